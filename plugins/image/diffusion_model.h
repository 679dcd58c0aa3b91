/// The model type "image.diffusion": a Stable Diffusion checkpoint, with text encoders, UNet, autoencoder, tokenizers and
/// the scheduler's configuration, shared by every node that names it.
///
/// open() maps the files and reads headers and vocabularies; every tensor that is missing, of another shape or unknown is
/// listed. load() packs the weights, or maps them from the host's cache; where memory does not suffice for all networks at
/// once, enter() does it for those of a stage. On a device they are uploaded. Ownership: the host's residency owns it; nodes
/// borrow it. Thread safety: const members of a loaded model may be used by several nodes at once.
#ifndef WEFT_PLUGINS_IMAGE_DIFFUSION_MODEL_H
#define WEFT_PLUGINS_IMAGE_DIFFUSION_MODEL_H

#include <weft/sdk/plugin.h>

#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/diffusion/sampler_config.h"
#include "kernels/layers/model_device.h"
#include "kernels/networks/clip_text/clip_text.h"
#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"
#include "kernels/networks/diffusion_checkpoint/taesd_checkpoint.h"
#include "kernels/networks/unet/unet.h"
#include "kernels/networks/vae/vae.h"
#include "modalities/text/prompt_weights/prompt_weights.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/weight_file.h"
#include "plugins/image/control_networks.h"
#include "plugins/image/model_stages.h"

namespace weft::image {

/// One text encoder with what belongs to it.
struct TextEncoder {
  ClipText network;
  Tokenizer tokenizer;
  std::vector<LearnedToken> learned;      // textual inversion
  std::vector<float> learned_embeddings;  // [n, width]
};

/// An adapter (LoRA) that is merged into the networks, as the "models" entry names it.
struct DiffusionAdapter {
  WeightFile file;
  float unet_scale = 1, text_scale = 1;
};

class DiffusionModel {
 public:
  /// Parameters of the "models" entry.
  static std::span<const weft_parameter> parameters();

  static Result<std::unique_ptr<DiffusionModel>> open(const sdk::ModelSource& source);
  ~DiffusionModel();
  Result<weft_model_estimate> estimate() const;
  Status load(weft_stream* stream);
  void evict();

  const std::string& path() const { return path_; }
  DiffusionKind kind() const { return checkpoint_->kind(); }
  const std::vector<TextEncoder>& text_encoders() const { return text_encoders_; }
  const UNet& unet() const { return *unet_; }
  const Vae& vae() const { return *vae_; }
  /// A tiny autoencoder for previews; null if the model names none.
  const Taesd* preview() const { return preview_ ? &*preview_ : nullptr; }
  /// By the names that image.control asks for.
  const std::vector<NamedControl>& controls() const { return controls_; }
  bool zeros_for_empty_prompt() const { return checkpoint_->zeros_for_empty_prompt(); }

  /// The checkpoint's scheduler, or `sampler` with the checkpoint's options. Errors: those of read_scheduler_config.
  Result<diffusion::SamplerConfig> sampler_config(std::optional<diffusion::Sampler> sampler) const;
  /// Side of the pictures that the model was trained on, in pixels.
  int64_t default_side() const { return default_side_; }
  /// Channels that a sample has; the UNet's input may have more (inpainting).
  int64_t latent_channels() const { return vae_->config().latent_channels; }
  /// Text tokens of one chunk, beginning and end included.
  int64_t chunk_length() const;
  /// Width of the pooled text that SDXL wants; 0: none.
  int64_t pooled_width() const;
  double load_seconds() const { return load_seconds_; }
  /// Null: on the CPU.
  const ModelDevice* device() const { return device_ ? &*device_ : nullptr; }
  /// Keeps the networks of a stage in memory while the result lives; whoever computes with one asks first. stream: of an
  /// execution on the model's device.
  Result<ModelStages::Use> enter(ModelStage stage, const StopRequest& stop, weft_stream* stream) const {
    return stages_->enter(stage, stop, stream);
  }
  /// Whether a stage's networks leave memory when another stage is entered.
  bool networks_take_turns() const { return stages_->keeps() == ModelStages::Keeps::kOne; }

 private:
  DiffusionModel(sdk::Host host, std::string path) : host_(host), path_(std::move(path)) {}
  /// Opens the adapters and merges them into the sources that the networks are opened from.
  Status merge_adapters(std::string_view json);
  Status open_networks(DType compute);
  void choose_residency(std::string_view name);
  /// What a stage's weights take where they are loaded.
  int64_t loaded_bytes(ModelStage stage) const;
  Status load_stage(ModelStage stage, const StopRequest& stop);
  Status load_stage_on_device(ModelStage stage, const StopRequest& stop, weft_stream* stream);
  void unload_stage(ModelStage stage);
  Status open_tokenizers(const std::string& given);
  Status open_embeddings(std::string_view json);
  Status open_controls(std::string_view json);
  Status open_preview(std::string_view path);
  Status read_default_side();
  Status note_files(const sdk::ModelSource& source);

  sdk::Host host_;
  std::string path_;
  std::string weights_key_;  // empty: the host keeps nothing
  std::optional<ModelDevice> device_;
  DType compute_ = DType::kF32;
  double load_seconds_ = 0;
  int64_t default_side_ = 512;
  std::optional<DiffusionCheckpoint> checkpoint_;
  std::vector<DiffusionAdapter> adapters_;
  WeightSource unet_source_;
  std::vector<WeightSource> text_sources_;
  std::vector<TextEncoder> text_encoders_;
  std::optional<UNet> unet_;
  std::optional<Vae> vae_;
  std::vector<NamedControl> controls_;
  std::optional<TaesdCheckpoint> preview_checkpoint_;
  std::optional<Taesd> preview_;
  std::string preview_key_;                // of its packed weights
  std::vector<std::string> control_keys_;  // of their packed weights, as weights_key_
  std::array<std::unique_ptr<PackedWeightStore>, std::size(kModelStages)>
      stores_;                                                       // of the loaded weights, by stage
  std::array<sdk::Buffer, std::size(kModelStages)> device_weights_;  // likewise
  std::unique_ptr<ModelStages> stages_;
};

}  // namespace weft::image
#endif
