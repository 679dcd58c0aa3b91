/// OpenCLIP's tensors under the names of transformers' CLIP, which the networks ask for: its fused attention as three ranges of
/// rows, its projections transposed.
///
///   WeightSource pictures = open_clip_vision_source(file);                            // "encoder.layers.0.mlp.fc1.weight"
///   WeightSource texts = open_clip_text_source(file, "conditioner.embedders.1.model.");  // "text_model.encoder.layers. ..."
#ifndef WEFT_KERNELS_NETWORKS_OPEN_CLIP_OPEN_CLIP_TENSORS_H
#define WEFT_KERNELS_NETWORKS_OPEN_CLIP_OPEN_CLIP_TENSORS_H

#include <cstdint>
#include <string_view>

#include "kernels/layers/weight_source.h"
#include "modalities/weights/weight_file.h"

namespace weft {

/// The text tower whose names begin with `prefix`. used_layers: how many of its layers the model reads, without the projection;
/// -1: all, and the projection. A name that is not known stays as it is.
WeightSource open_clip_text_source(const WeightFile& file, std::string_view prefix, int64_t used_layers = -1);

/// The image tower, whose names begin with "visual.".
WeightSource open_clip_vision_source(const WeightFile& file);

}  // namespace weft
#endif
