/// What a ClipText holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_STATE_H
#define WEFT_KERNELS_NETWORKS_CLIP_TEXT_CLIP_TEXT_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/encoder_layer.h"
#include "kernels/layers/network_weights.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/networks/clip_text/clip_text.h"

namespace weft {

struct ClipText::State {
  ClipTextConfig config;
  EncoderShape shape;
  DType compute = DType::kF32;
  DType inner = DType::kF32;  // of what lives within a layer; the residual connection is f32
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;

  const SourceTensor* token_embedding = nullptr;  // [vocabulary, width], in its file
  const float* position_embedding = nullptr;      // [n_positions, width]
  std::vector<EncoderLayer> layers;
  Norm final_norm;
  DenseLayer projection;  // absent without projection_width
};

}  // namespace weft
#endif
