/// The image encoder of a Hugging Face folder, whole or alone: config.json, and tensors under the names of CLIP's image towers;
/// or of a folder of OpenCLIP's: open_clip_config.json, and its names.
#ifndef WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_CHECKPOINT_H
#define WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_CHECKPOINT_H

#include <weft/sdk/status.h>

#include <optional>

#include "kernels/layers/weight_source.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"
#include "modalities/weights/metadata.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// image_size: of the pictures that will come, where that is known; else what the model was trained on. Another one is possible
/// with ViT and DINOv2, whose positions are resized then. Errors: kUnsupported (another model_type, or a switch that is not
/// there), kNotFound, kCorruptData: naming file and key.
Result<VisionTransformerConfig> read_vision_transformer_config(const Metadata& metadata,
                                                               std::optional<int64_t> image_size = {});

/// The tower of a model that has more: CLIP's or SigLIP's, under "vision_config". States alone, without pooling. Errors: as above.
Result<VisionTransformerConfig> read_vision_tower_config(const Metadata& metadata);

/// The tensors of such a tower, those that `config` does not read left out: layers from n_layers on, norms and heads behind them.
WeightSource vision_tower_source(const WeightFile& file, const VisionTransformerConfig& config);

/// The encoder's tensors; a text tower's are left out. DINOv2's layer scales are multiplied into the products before them.
WeightSource vision_transformer_source(const WeightFile& file);

}  // namespace weft
#endif
