#include "kernels/layers/encoder_layer.h"

#include <cmath>

#include "kernels/ops/embedding/embedding.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

constexpr int64_t kMostWidth = 1 << 16;
constexpr int64_t kMostLayers = 256;

// y may be what qkv was made from.
void attend(LayerPass& pass, const EncoderShape& shape, const EncoderSequences& sequences,
            const TensorView& qkv, const TensorView& y) {
  const int64_t c = shape.width, n = sequences.tokens, element = size_bytes(qkv.dtype);
  const char* base = qkv.as<const char>();
  DenseAttention a;
  a.batch = sequences.count;
  a.n_queries = a.n_keys = n;
  a.starts = sequences.starts;
  a.n_heads = shape.n_heads;
  a.head_dim = c / shape.n_heads;
  a.dtype = qkv.dtype;
  a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
  a.mask = shape.mask;
  a.q = {base, 3 * c, n * 3 * c};
  a.k = {base + c * element, 3 * c, n * 3 * c};
  a.v = {base + 2 * c * element, 3 * c, n * 3 * c};
  a.y = {y.data, c, n * c};
  pass.attention(a);
}

}  // namespace

Status check_encoder(const EncoderShape& shape, int64_t n_layers, DType compute, std::string_view whose) {
  const std::string of = " of " + std::string(whose);
  const auto invalid = [](std::string message) {
    return Status(StatusCode::kInvalidArgument, std::move(message));
  };
  if (compute != DType::kF32 && compute != DType::kBF16)
    return invalid(std::string(whose) + " computes in f32 or bf16");
  if (shape.width < 1 || shape.width > kMostWidth || shape.mlp_width < 1 || shape.mlp_width > kMostWidth * 8)
    return invalid("the widths" + of + " are out of range").expected("1 to 65536");
  if (n_layers < 1 || n_layers > kMostLayers) return invalid("the layers" + of + " are out of range");
  if (shape.n_heads < 1 || shape.width % shape.n_heads != 0 || shape.width / shape.n_heads > kMaxDenseHeadDim)
    return invalid("the number of heads must divide the width" + of)
        .expected("a divisor of " + std::to_string(shape.width))
        .got(std::to_string(shape.n_heads));
  if (!(shape.epsilon > 0)) return invalid("the epsilon of the norms" + of + " must be positive");
  return Status();
}

EncoderLayerNames clip_layer_names(const std::string& layer) {
  const std::string attention = layer + ".self_attn";
  return {.query = attention + ".q_proj",
          .key = attention + ".k_proj",
          .value = attention + ".v_proj",
          .out = attention + ".out_proj",
          .attention_norm = layer + ".layer_norm1",
          .up = layer + ".mlp.fc1",
          .down = layer + ".mlp.fc2",
          .mlp_norm = layer + ".layer_norm2",
          .gate = layer + ".mlp.gate"};
}

void plan_encoder_layer(WeightPlan& plan, const EncoderLayerNames& names, const EncoderShape& shape,
                        EncoderLayer* layer) {
  const int64_t c = shape.width;
  plan.layer_norm(names.attention_norm, c, shape.epsilon, &layer->attention_norm);
  plan.dense({names.query, names.key, names.value}, c, c, BiasTensor::kRequired, &layer->qkv);
  plan.dense({names.out}, c, c, BiasTensor::kRequired, &layer->out);
  plan.layer_norm(names.mlp_norm, c, shape.epsilon, &layer->mlp_norm);
  if (shape.gated_mlp)
    plan.dense({names.up, names.gate}, shape.mlp_width, c, BiasTensor::kRequired, &layer->up,
               GemmPairing::kValueGate);
  else plan.dense({names.up}, shape.mlp_width, c, BiasTensor::kRequired, &layer->up);
  plan.dense({names.down}, c, shape.mlp_width, BiasTensor::kRequired, &layer->down);
}

void encoder_layer(LayerPass& pass, const EncoderLayer& layer, const EncoderShape& shape, const TensorView& x,
                   const EncoderSequences& sequences, DType inner) {
  const bool before = shape.norms == NormPlace::kBefore;
  const int64_t rows = x.shape[0], c = shape.width;
  const auto norm = [&](const Norm& weights, const TensorView& y) {
    pass.layer_norm(weights, x, y);
    pass.barrier();
  };
  const TensorView narrow = pass.take(inner, {rows, c});
  const TensorView read = before ? narrow : x;  // by the products
  const TensorView qkv = pass.take(inner, {rows, 3 * c});
  if (before) norm(layer.attention_norm, narrow);
  pass.dense(layer.qkv, read, qkv);
  pass.barrier();
  attend(pass, shape, sequences, qkv, narrow);
  pass.dense(layer.out, narrow, x, {.residual = x});
  pass.barrier();
  pass.give(qkv);
  const TensorView wide = pass.take(inner, {rows, shape.mlp_width});
  norm(before ? layer.mlp_norm : layer.attention_norm, read);
  pass.dense(layer.up, read, wide, {.activation = shape.activation});
  pass.barrier();
  pass.dense(layer.down, wide, x, {.residual = x});
  pass.barrier();
  if (!before) norm(layer.mlp_norm, x);
  pass.give(wide);
  pass.give(narrow);
}

void read_embedding_row(const SourceTensor& table, int64_t row, int64_t width, float* y, IsaLevel level) {
  const WeightFormat format = table.tensor->format;
  embedding_row(format, table.data() + row * weights_bytes(format, width), width, 1, y, level);
}

}  // namespace weft
