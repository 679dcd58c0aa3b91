/// A control network (ControlNet) on disk: a diffusers folder, or one safetensors file with diffusers' or the original
/// implementation's names ("control_model.input_blocks...").
///
/// Opening reads headers only. The shape comes from config.json where there is one, else from the tensors. Ownership:
/// move-only; owns the mapped files that the source refers to, so it outlives the network that is opened from it.
///
///   Result<ControlCheckpoint> checkpoint = ControlCheckpoint::open("control_v11p_sd15_canny.safetensors");
///   Result<ControlNet> network = ControlNet::open(checkpoint->source(), checkpoint->config(), DType::kBF16);
#ifndef WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_CONTROL_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_DIFFUSION_CHECKPOINT_CONTROL_CHECKPOINT_H

#include <memory>

#include "kernels/networks/diffusion_checkpoint/diffusion_checkpoint.h"

namespace weft {

class ControlCheckpoint {
 public:
  /// Errors, naming file, tensor or key: kNotFound (no control network in it), those of WeightFile::open() and of
  /// read_control_net_config().
  static Result<ControlCheckpoint> open(const std::filesystem::path& path, const UntoldShapes& untold = {});

  const ControlNetConfig& config() const { return part_.config; }
  const WeightSource& source() const { return part_.source; }
  /// Files that hold its tensors.
  const std::vector<std::filesystem::path>& files() const { return part_.files; }

 private:
  std::unique_ptr<WeightFile> file_;
  CheckpointPart<ControlNetConfig> part_;
};

}  // namespace weft
#endif
