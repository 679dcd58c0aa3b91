/// A Stable Diffusion checkpoint on disk: a diffusers folder (model_index.json, a folder a part) or a single-file
/// safetensors with the names of the original implementation (SD 1.x, SD 2.x, SDXL base and refiner, inpainting).
///
/// Opening reads headers only. A single file's tensors are given the names that the networks ask for (OpenCLIP's fused
/// projections split, its text projection turned), and its kind and shapes are found from the tensors; a folder's come from
/// its config.json files. Ownership: move-only; owns the mapped files that the sources refer to, so it outlives the networks
/// that are opened from it.
///
///   Result<DiffusionCheckpoint> checkpoint = DiffusionCheckpoint::open("stable-diffusion-v1-5");
///   Result<UNet> unet = UNet::open(checkpoint->unet().source, checkpoint->unet().config, DType::kBF16);
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_DIFFUSION_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_DIFFUSION_CHECKPOINT_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/clip_text/clip_text.h"
#include "kernels/networks/taesd/taesd.h"
#include "kernels/networks/unet/control_net.h"
#include "kernels/networks/unet/unet_config.h"
#include "kernels/networks/vae/vae.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

enum class DiffusionKind : uint8_t {
  kSd1,          // one CLIP-L text encoder, 8 heads
  kSd2,          // one OpenCLIP-H text encoder, heads of 64
  kSdxl,         // CLIP-L and OpenCLIP bigG
  kSdxlRefiner,  // OpenCLIP bigG alone
};
/// "SD 1.x", "SD 2.x", "SDXL", "SDXL refiner"
const char* to_string(DiffusionKind kind);

/// What the tensors of a single file do not tell: the values of all published models, for reduced ones to change.
struct UntoldShapes {
  int64_t groups = 32;    // of group norms
  int64_t heads = 8;      // of SD 1.x
  int64_t head_dim = 64;  // of the UNets of all others
  int64_t text_head_dim = 64;
  int64_t added_time_width = 256;  // of SDXL
};

/// One network of a checkpoint.
template <typename Config>
struct CheckpointPart {
  Config config;
  WeightSource source;
  std::vector<std::filesystem::path> files;  // that hold its tensors
};

class DiffusionCheckpoint {
 public:
  /// Errors, naming file, tensor or key: kNotFound (a part's folder, file or key), kUnsupported (another architecture, a
  /// switch that no network here has), kCorruptData (a value out of its range), those of WeightFile::open().
  static Result<DiffusionCheckpoint> open(const std::filesystem::path& path, const UntoldShapes& untold = {});

  DiffusionKind kind() const { return kind_; }
  const CheckpointPart<UNetConfig>& unet() const { return unet_; }
  const CheckpointPart<VaeConfig>& vae() const { return vae_; }
  /// One or two, in the order of their hidden states in the UNet's context.
  const std::vector<CheckpointPart<ClipTextConfig>>& text_encoders() const { return text_encoders_; }

  /// Folders with tokenizers, one a text encoder; empty paths for a single file, which has none.
  const std::vector<std::filesystem::path>& tokenizers() const { return tokenizers_; }
  /// scheduler_config.json; empty for a single file.
  const std::filesystem::path& scheduler_config() const { return scheduler_config_; }
  /// Whether a single file carries the marker tensor "v_pred"; of a folder the scheduler's configuration tells.
  bool marked_v_prediction() const { return marked_v_prediction_; }
  /// model_index.json's force_zeros_for_empty_prompt: SDXL's empty negative prompt is zeros.
  bool zeros_for_empty_prompt() const { return zeros_for_empty_prompt_; }

 private:
  Status read_folder(const std::filesystem::path& folder);
  Status read_single_file(const std::filesystem::path& path, const UntoldShapes& untold);

  DiffusionKind kind_ = DiffusionKind::kSd1;
  std::vector<std::unique_ptr<WeightFile>> files_;
  CheckpointPart<UNetConfig> unet_;
  CheckpointPart<VaeConfig> vae_;
  std::vector<CheckpointPart<ClipTextConfig>> text_encoders_;
  std::vector<std::filesystem::path> tokenizers_;
  std::filesystem::path scheduler_config_;
  bool marked_v_prediction_ = false;
  bool zeros_for_empty_prompt_ = false;
};

/// A part's configuration from its config.json. Errors: kNotFound, kCorruptData, kUnsupported.
Result<UNetConfig> read_unet_config(const Metadata& metadata);
Result<ControlNetConfig> read_control_net_config(const Metadata& metadata);
Result<VaeConfig> read_vae_config(const Metadata& metadata);
Result<TaesdConfig> read_taesd_config(const Metadata& metadata);

}  // namespace weft
#endif
