/// What a UNet holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_UNET_UNET_STATE_H
#define WEFT_KERNELS_NETWORKS_UNET_UNET_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/network_weights.h"
#include "kernels/layers/resnet_block.h"
#include "kernels/layers/spatial_transformer.h"
#include "kernels/networks/unet/unet.h"

namespace weft {

/// silu between two dense layers.
struct EmbeddingMlp {
  DenseLayer first, second;
};

/// A level's blocks, on the way down or up. A transformer follows each resnet, or none does.
struct UNetStage {
  std::vector<ResnetBlock> resnets;
  std::vector<SpatialTransformer> transformers;
  ConvolutionLayer resample;  // to the next level; absent at the last one
};

struct UNet::State {
  UNetConfig config;
  DType compute = DType::kF32;
  DType stored = DType::kF32;  // of what flows along the residual connections
  DType inner = DType::kF32;   // of what lives within a block
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;

  EmbeddingMlp time_embedding;
  DenseLayer guidance_projection;      // absent without guidance_width
  EmbeddingMlp class_embedding;        // kTimestep and kProjection
  const float* class_table = nullptr;  // kTable: [n_classes, time_width]
  EmbeddingMlp added_embedding;        // absent without added_time_width
  ConvolutionLayer conv_in;
  std::vector<UNetStage> down, up;
  ResnetBlock mid_first, mid_second;
  SpatialTransformer mid_transformer;  // no layers: absent
  GroupNormLayer norm_out;
  ConvolutionLayer conv_out;
};

/// Binds every layer to its tensors in state.plan.
void plan_unet(UNet::State& state);
/// The same of what a control network has: all up to the middle.
void plan_unet_way_down(UNet::State& state);

/// What the passes rely on, whatever a configuration says. Errors: kInvalidArgument.
Status check_unet_config(const UNetConfig& config, DType compute);

}  // namespace weft
#endif
