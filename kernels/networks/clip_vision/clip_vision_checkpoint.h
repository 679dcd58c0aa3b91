/// The image tower of a CLIP folder, whole or alone: config.json, and tensors without the model's prefix.
#ifndef WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_CHECKPOINT_H

#include <weft/sdk/status.h>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/clip_vision/clip_vision.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// Errors: kUnsupported (another model_type, or a switch that is not there), kNotFound, kCorruptData: naming file and key.
Result<ClipVisionConfig> read_clip_vision_config(const Metadata& metadata);

/// The tower's tensors without "vision_model."; the text tower's are left out.
WeightSource clip_vision_source(const WeightFile& file);

}  // namespace weft
#endif
