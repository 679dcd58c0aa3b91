#include "kernels/layers/spatial_transformer.h"

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

// The GEGLU's inner activations of this many tokens at a time stay in cache on their way to the next product.
constexpr int64_t kMlpRows = 1024;

void plan_layer(WeightPlan& plan, const std::string& name, const TransformerShape& s,
                TransformerLayer* layer) {
  const int64_t c = s.channels;
  plan.layer_norm(name + ".norm1", c, 1e-5f, &layer->norm1);
  plan.layer_norm(name + ".norm2", c, 1e-5f, &layer->norm2);
  plan.layer_norm(name + ".norm3", c, 1e-5f, &layer->norm3);
  const std::string self = name + ".attn1", cross = name + ".attn2";
  if (s.only_cross_attention) {
    plan.dense({self + ".to_q"}, c, c, BiasTensor::kNone, &layer->q1);
    plan.dense({self + ".to_k", self + ".to_v"}, c, s.context_width, BiasTensor::kNone, &layer->kv1);
  } else {
    plan.dense({self + ".to_q", self + ".to_k", self + ".to_v"}, c, c, BiasTensor::kNone, &layer->qkv);
  }
  plan.dense({self + ".to_out.0"}, c, c, BiasTensor::kRequired, &layer->out1);
  plan.dense({cross + ".to_q"}, c, c, BiasTensor::kNone, &layer->q2);
  plan.dense({cross + ".to_k", cross + ".to_v"}, c, s.context_width, BiasTensor::kNone, &layer->kv2);
  plan.dense({cross + ".to_out.0"}, c, c, BiasTensor::kRequired, &layer->out2);
  plan.dense({name + ".ff.net.0.proj"}, 8 * c, c, BiasTensor::kRequired, &layer->gate,
             GemmPairing::kValueGate);
  plan.dense({name + ".ff.net.2"}, c, 4 * c, BiasTensor::kRequired, &layer->down);
}

TensorView rows_of(const TensorView& rows, int64_t begin, int64_t count) {
  TensorView part = rows;
  part.data = rows.as<char>() + begin * rows.strides[0] * size_bytes(rows.dtype);
  part.shape[0] = count;
  return part;
}

// One transformer's walk over its layers.
struct Walk {
  LayerPass& pass;
  const TransformerShape& s;
  const TensorView& tokens;  // [images * pixels, channels], updated
  const TensorView& context;
  int64_t images, pixels, n_context;
  DType inner;

  const char* column(const TensorView& rows, int64_t c) const {
    return rows.as<const char>() + c * size_bytes(rows.dtype);
  }

  // tokens += out(attention); q at the first columns of `queries`, keys and values at column `k` of `keys` on.
  void attend(const TensorView& queries, const TensorView& keys, int64_t k_column, int64_t n_keys,
              const DenseLayer& out) const {
    const int64_t c = s.channels;
    const TensorView attended = pass.take(inner, {images * pixels, c});
    DenseAttention a;
    a.batch = images;
    a.n_queries = pixels;
    a.n_keys = n_keys;
    a.n_heads = s.n_heads;
    a.head_dim = c / s.n_heads;
    a.dtype = inner;
    a.scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
    a.q = {queries.data, queries.strides[0], pixels * queries.strides[0]};
    a.k = {column(keys, k_column), keys.strides[0], n_keys * keys.strides[0]};
    a.v = {column(keys, k_column + c), keys.strides[0], n_keys * keys.strides[0]};
    a.y = {attended.data, c, pixels * c};
    pass.attention(a);
    pass.dense(out, attended, tokens, {.residual = tokens});
    pass.barrier();
    pass.give(attended);
  }

  void cross_attention(const Norm& norm, const DenseLayer& q, const DenseLayer& kv,
                       const DenseLayer& out) const {
    const int64_t c = s.channels;
    const TensorView normed = pass.take(inner, {images * pixels, c});
    const TensorView queries = pass.take(inner, {images * pixels, c});
    const TensorView keys = pass.take(inner, {images * n_context, 2 * c});
    pass.layer_norm(norm, tokens, normed);
    pass.dense(kv, context, keys);
    pass.barrier();
    pass.dense(q, normed, queries);
    pass.barrier();
    pass.give(normed);
    attend(queries, keys, 0, n_context, out);
    pass.give(keys);
    pass.give(queries);
  }

  void self_attention(const TransformerLayer& layer) const {
    const int64_t c = s.channels;
    const TensorView normed = pass.take(inner, {images * pixels, c});
    const TensorView qkv = pass.take(inner, {images * pixels, 3 * c});
    pass.layer_norm(layer.norm1, tokens, normed);
    pass.barrier();
    pass.dense(layer.qkv, normed, qkv);
    pass.barrier();
    pass.give(normed);
    attend(qkv, qkv, c, pixels, layer.out1);
    pass.give(qkv);
  }

  void mlp(const TransformerLayer& layer) const {
    const int64_t c = s.channels, n = images * pixels, step = pass.on_device() ? n : std::min(n, kMlpRows);
    const TensorView normed = pass.take(inner, {n, c});
    const TensorView wide = pass.take(inner, {step, 4 * c});
    pass.layer_norm(layer.norm3, tokens, normed);
    pass.barrier();
    for (int64_t begin = 0; begin < n; begin += step) {
      const int64_t count = std::min(step, n - begin);
      const TensorView part = rows_of(wide, 0, count), own = rows_of(tokens, begin, count);
      pass.dense(layer.gate, rows_of(normed, begin, count), part, {.activation = Activation::kGelu});
      pass.barrier();
      pass.dense(layer.down, part, own, {.residual = own});
      pass.barrier();
    }
    pass.give(wide);
    pass.give(normed);
  }

  void layer(const TransformerLayer& l) const {
    if (s.only_cross_attention) cross_attention(l.norm1, l.q1, l.kv1, l.out1);
    else self_attention(l);
    cross_attention(l.norm2, l.q2, l.kv2, l.out2);
    mlp(l);
  }
};

}  // namespace

void plan_transformer(WeightPlan& plan, const std::string& name, const TransformerShape& shape,
                      SpatialTransformer* transformer) {
  transformer->shape = shape;
  const int64_t c = shape.channels;
  plan.group_norm(name + ".norm", c, shape.groups, 1e-6f, &transformer->norm);
  plan.convolution(name + ".proj_in", c, c, 1, BiasTensor::kRequired, &transformer->proj_in);
  transformer->layers.resize(static_cast<size_t>(shape.n_layers));
  for (size_t i = 0; i < transformer->layers.size(); ++i)
    plan_layer(plan, name + ".transformer_blocks." + std::to_string(i), shape, &transformer->layers[i]);
  plan.dense({name + ".proj_out"}, c, c, BiasTensor::kRequired, &transformer->proj_out);
}

TensorView spatial_transformer(LayerPass& pass, const SpatialTransformer& transformer, const TensorView& x,
                               const TensorView& context, int64_t n_context, DType stored, DType inner) {
  const TensorView y = pass.take(stored, {x.shape[0], x.shape[1], x.shape[2], x.shape[3]});
  const TensorView image = pass.take(stored, {x.shape[0], x.shape[1], x.shape[2], x.shape[3]});
  const ScaleShift norm = pass.group_norm(transformer.norm, x);
  pass.convolution(transformer.proj_in, x, image, {.in_scale = norm.scale, .in_shift = norm.shift});
  pass.barrier();
  pass.give(norm);
  const TensorView tokens = as_rows(image);
  const Walk walk = {pass,       transformer.shape,       tokens,    context,
                     x.shape[0], x.shape[1] * x.shape[2], n_context, inner};
  for (const TransformerLayer& layer : transformer.layers) walk.layer(layer);
  pass.dense(transformer.proj_out, tokens, as_rows(y), {.residual = as_rows(x)});
  pass.barrier();
  pass.give(image);
  return y;
}

}  // namespace weft
