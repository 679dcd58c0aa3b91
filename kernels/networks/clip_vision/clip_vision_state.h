/// What a ClipVision holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_STATE_H
#define WEFT_KERNELS_NETWORKS_CLIP_VISION_CLIP_VISION_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/encoder_layer.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/networks/clip_vision/clip_vision.h"

namespace weft {

struct ClipVision::State {
  ClipVisionConfig config;
  EncoderShape shape;
  DType compute = DType::kF32;  // and of what lives within a layer; the residual connection is f32
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  bool loaded = false;

  ConvolutionLayer patches;
  const float* class_embedding = nullptr;     // [width]
  const float* position_embedding = nullptr;  // [n_tokens, width]
  Norm first_norm, last_norm;
  std::vector<EncoderLayer> layers;
  DenseLayer projection;  // absent without projection_width
};

}  // namespace weft
#endif
