/// A tiny autoencoder (TAESD) on disk: a diffusers folder (AutoencoderTiny), or the original implementation's
/// taesd_decoder.safetensors, which has a decoder alone.
///
/// Opening reads headers only. Ownership: move-only; owns the mapped files that the source refers to, so it outlives the
/// network that is opened from it.
///
///   Result<TaesdCheckpoint> checkpoint = TaesdCheckpoint::open("taesd_decoder.safetensors");
///   Result<Taesd> tiny = Taesd::open(checkpoint->source(), checkpoint->config(), DType::kBF16);
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TAESD_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_TAESD_CHECKPOINT_H

#include <memory>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"

namespace weft {

class TaesdCheckpoint {
 public:
  /// Errors, naming file, tensor or key: kNotFound (no tiny autoencoder in it), those of WeightFile::open() and of
  /// read_taesd_config().
  static Result<TaesdCheckpoint> open(const std::filesystem::path& path);

  const TaesdConfig& config() const { return part_.config; }
  const WeightSource& source() const { return part_.source; }
  /// Files that hold its tensors.
  const std::vector<std::filesystem::path>& files() const { return part_.files; }

 private:
  std::unique_ptr<WeightFile> file_;
  CheckpointPart<TaesdConfig> part_;
};

}  // namespace weft
#endif
