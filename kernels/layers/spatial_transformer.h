/// The attention block of Stable Diffusion's UNets: an image's pixels as tokens that attend to each other and to a
/// text's tokens.
///
///   tokens = proj_in(group_norm(x))
///   each layer: tokens += attention(norm1(tokens)); tokens += attention(norm2(tokens), context);
///               tokens += ff_out(geglu(norm3(tokens)))
///   y = proj_out(tokens) + x
///
/// Source: Rombach et al. 2022, arXiv:2112.10752; names as in diffusers' Transformer2DModel.
#ifndef WEFT_KERNELS_LAYERS_SPATIAL_TRANSFORMER_H
#define WEFT_KERNELS_LAYERS_SPATIAL_TRANSFORMER_H

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/layers/layer_pass.h"
#include "kernels/layers/weight_plan.h"

namespace weft {

struct TransformerShape {
  int64_t channels = 0;
  int64_t n_heads = 1;  // divides channels
  int64_t n_layers = 1;
  int64_t context_width = 0;
  int64_t groups = 32;
  bool only_cross_attention = false;  // the first attention sees the context too, not the pixels
};

struct TransformerLayer {
  Norm norm1, norm2, norm3;
  DenseLayer qkv;      // of the first attention, if it sees the pixels
  DenseLayer q1, kv1;  // if it sees the context
  DenseLayer out1;
  DenseLayer q2, kv2, out2;
  DenseLayer gate, down;
};

struct SpatialTransformer {
  TransformerShape shape;
  GroupNormLayer norm;
  ConvolutionLayer proj_in;
  DenseLayer proj_out;
  std::vector<TransformerLayer> layers;
};

/// Binds the tensors below `name` ("down_blocks.0.attentions.1"). *transformer must not move afterwards.
void plan_transformer(WeightPlan& plan, const std::string& name, const TransformerShape& shape,
                      SpatialTransformer* transformer);

/// x: [images, h, w, channels]; context: [images * n_context, context_width], n_context rows an image. Returns a new buffer
/// like x of type `stored`; x stays the caller's. What lives within a layer is stored as `inner`. Ends with a barrier.
TensorView spatial_transformer(LayerPass& pass, const SpatialTransformer& transformer, const TensorView& x,
                               const TensorView& context, int64_t n_context, DType stored, DType inner);

}  // namespace weft
#endif
