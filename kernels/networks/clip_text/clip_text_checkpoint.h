/// The text tower of a folder of CLIP or SigLIP, whole or alone: config.json, and tensors; or of OpenCLIP: open_clip_config.json.
#ifndef WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_CHECKPOINT_H

#include <weft/sdk/status.h>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/clip_text/clip_text.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// Of a text encoder's own folder, or of a whole model's (model_type "clip", "siglip" or "siglip2", or OpenCLIP's), whose tower
/// has a projection. Errors: kUnsupported, kCorruptData: naming file and key.
Result<ClipTextConfig> read_clip_text_config(const Metadata& metadata);

/// The tower's tensors, SigLIP's head as a projection; the image tower's are left out.
WeightSource clip_text_source(const WeightFile& file);

}  // namespace weft
#endif
