/// The residual block of diffusion UNets and their autoencoders:
///
///   y = conv2(silu(norm2(conv1(silu(norm1(x))) + time))) + shortcut(x)
///
/// Norms and SiLU run inside the convolutions; a UNet's skip connection is a second input, never copied beside x.
/// Source: Ho et al. 2020, arXiv:2006.11239; names as in diffusers' ResnetBlock2D.
#ifndef WEFT_KERNELS_LAYERS_RESNET_BLOCK_H
#define WEFT_KERNELS_LAYERS_RESNET_BLOCK_H

#include <cstdint>
#include <string>

#include "kernels/layers/layer_pass.h"
#include "kernels/layers/weight_plan.h"

namespace weft {

struct ResnetShape {
  int64_t in_channels = 0;  // of x and skip together
  int64_t out_channels = 0;
  int64_t time_width = 0;  // of the time embedding; 0: the block takes none
  int64_t groups = 32;
  float epsilon = 1e-5f;
};

struct ResnetBlock {
  ResnetShape shape;
  GroupNormLayer norm1, norm2;
  ConvolutionLayer conv1, conv2;
  ConvolutionLayer shortcut;  // absent where the channels stay the same
  DenseLayer time;            // absent without time_width
};

/// Binds the tensors below `name` ("down_blocks.0.resnets.1").
void plan_resnet(WeightPlan& plan, const std::string& name, const ResnetShape& shape, ResnetBlock* block);

/// x: [images, h, w, c]; skip: [images, h, w, in_channels - c] or rank 0; time: [images, time_width] f32 after its SiLU,
/// or rank 0. Returns a new buffer [images, h, w, out_channels] of type `stored`; x and skip stay the caller's. What is
/// between the two convolutions is stored as `inner`. Ends with a barrier.
TensorView resnet(LayerPass& pass, const ResnetBlock& block, const TensorView& x, const TensorView& skip,
                  const TensorView& time, DType stored, DType inner);

}  // namespace weft
#endif
