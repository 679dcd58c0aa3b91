/// What a Vae holds: its layers, and the plan by which load() makes their weights. Private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_VAE_VAE_STATE_H
#define WEFT_KERNELS_NETWORKS_VAE_VAE_STATE_H

#include <optional>
#include <vector>

#include "kernels/layers/network_weights.h"
#include "kernels/layers/resnet_block.h"
#include "kernels/networks/vae/vae.h"

namespace weft {

/// Attention of all pixels to each other, one head as wide as the channels.
struct PixelAttention {
  GroupNormLayer norm;
  ConvolutionLayer qkv;
  DenseLayer out;
};

struct VaeMiddle {
  ResnetBlock first, second;
  PixelAttention attention;
};

struct VaeStage {
  std::vector<ResnetBlock> resnets;
  ConvolutionLayer resample;  // absent at the last stage
};

/// One half: the encoder or the decoder.
struct VaeHalf {
  ConvolutionLayer conv_in;
  std::vector<VaeStage> stages;
  VaeMiddle middle;
  GroupNormLayer norm_out;
  ConvolutionLayer conv_out;
  ConvolutionLayer quant;  // after the encoder, before the decoder; may be absent
};

struct Vae::State {
  VaeConfig config;
  DType compute = DType::kF32;
  DType stored = DType::kF32;  // of what flows along the residual connections
  DType inner = DType::kF32;   // of what lives within a block
  WeightSource source;
  std::optional<WeightPlan> plan;  // refers to source
  NetworkWeights weights;
  VaeHalf encoder, decoder;
};

/// Binds every layer to its tensors in state.plan.
void plan_vae(Vae::State& state);

}  // namespace weft
#endif
