/// The layers of transformer encoders: CLIP's towers and vision transformers (norms before), BERT (norms after).
///
///   kBefore:  x += out(attention(norm(x)));          x += down(f(up(norm(x))))
///   kAfter:   x = norm(x + out(attention(x)));       x = norm(x + down(f(up(x))))
///
/// A gated MLP has down(up(x) * f(gate(x))) there.
///
/// Source: Vaswani et al. 2017, arXiv:1706.03762; Devlin et al. 2018, arXiv:1810.04805; Radford et al. 2021, arXiv:2103.00020.
#ifndef WEFT_KERNELS_LAYERS_ENCODER_LAYER_H
#define WEFT_KERNELS_LAYERS_ENCODER_LAYER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/layers/layer_pass.h"
#include "kernels/layers/weight_plan.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/ops/dense_attention/dense_attention.h"

namespace weft {

enum class NormPlace : uint8_t { kBefore, kAfter };

struct EncoderShape {
  int64_t width = 0;
  int64_t n_heads = 1;  // divides width
  int64_t mlp_width = 0;
  bool gated_mlp = false;
  Activation activation = Activation::kGelu;
  float epsilon = 1e-5f;
  NormPlace norms = NormPlace::kBefore;
  AttentionMask mask = AttentionMask::kNone;
};

/// What a checkpoint calls a layer's tensors, without ".weight" and ".bias".
struct EncoderLayerNames {
  std::string query, key, value, out, attention_norm, up, down, mlp_norm;
  std::string gate = {};  // of a gated MLP
};

/// Those of a layer of a CLIP tower ("encoder.layers.0"), in transformers' names.
EncoderLayerNames clip_layer_names(const std::string& layer);

struct EncoderLayer {
  Norm attention_norm, mlp_norm;
  DenseLayer qkv, out, up, down;  // up: with its gates, where the MLP is gated
};

/// Rows of tokens: `count` sequences of `tokens` each, or from starts[b] to starts[b + 1] ([count + 1], read by a pass that
/// computes).
struct EncoderSequences {
  int64_t count = 1;
  int64_t tokens = 0;
  const int64_t* starts = nullptr;
};

/// What the layers rely on, whatever a configuration says. whose: "a text encoder", for the message. Errors:
/// kInvalidArgument.
Status check_encoder(const EncoderShape& shape, int64_t n_layers, DType compute, std::string_view whose);

/// Binds the tensors of a layer, all with biases.
void plan_encoder_layer(WeightPlan& plan, const EncoderLayerNames& names, const EncoderShape& shape,
                        EncoderLayer* layer);

/// x: [rows, width] f32, changed in place. What lives within the layer is stored as `inner`. Ends with a barrier.
void encoder_layer(LayerPass& pass, const EncoderLayer& layer, const EncoderShape& shape, const TensorView& x,
                   const EncoderSequences& sequences, DType inner);

/// y[0..width) = row `row` of a table of embeddings that stays in its file.
void read_embedding_row(const SourceTensor& table, int64_t row, int64_t width, float* y, IsaLevel level);

}  // namespace weft
#endif
