/// What a VisionTransformer holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_STATE_H
#define WEFT_KERNELS_NETWORKS_VISION_TRANSFORMER_VISION_TRANSFORMER_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/encoder_layer.h"
#include "kernels/layers/network_weights.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/networks/vision_transformer/vision_transformer.h"

namespace weft {

struct VisionTransformer::State {
  VisionTransformerConfig config;
  EncoderShape shape;
  DType compute = DType::kF32;  // and of what lives within a layer; the residual connection is f32
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;
  DeviceBuffer device_memory;  // of the weights and of resized positions

  ConvolutionLayer patches;
  DenseLayer patch_rows;                     // in its place, of pictures that keep their shapes
  const float* class_embedding = nullptr;    // [width]
  const float* trained_positions = nullptr;  // [class tokens + trained_patches_a_side ^ 2, width]
  std::vector<float> resized_positions;      // for pictures of another size; else, and on a device, empty
  const float* host_positions =
      nullptr;                        // trained_positions on the host, for pictures that keep their shapes
  std::vector<float> kept_positions;  // those, of weights on a device
  const float* positions = nullptr;   // [n_tokens, width]: those, where the weights are
  Norm first_norm, last_norm;
  std::vector<EncoderLayer> layers;
  DenseLayer projection;  // absent without projection_width

  // Attention pooling: `query` is a token that looks at the patches.
  const float* query = nullptr;  // [width]
  DenseLayer head_query, head_key_value, head_out, head_up, head_down;
  Norm head_norm;

  DenseLayer classifier;

  bool resizes_positions() const {
    return !config.keeps_shapes() && config.trained_patches_a_side != config.patches_a_side();
  }
};

}  // namespace weft
#endif
