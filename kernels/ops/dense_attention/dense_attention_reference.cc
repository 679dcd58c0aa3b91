#include <cmath>
#include <vector>

#include "kernels/ops/dense_attention/dense_attention.h"
#include "kernels/quant/half.h"

namespace weft {
namespace {

double read(DType dtype, const HeadsView& view, int64_t index) {
  if (dtype == DType::kF32) return static_cast<const float*>(view.data)[index];
  return f32_from_bf16_bits(static_cast<const uint16_t*>(view.data)[index]);
}

void write(DType dtype, const HeadsView& view, int64_t index, double value) {
  void* data = const_cast<void*>(view.data);
  if (dtype == DType::kF32) static_cast<float*>(data)[index] = static_cast<float>(value);
  else static_cast<uint16_t*>(data)[index] = bf16_bits(static_cast<float>(value));
}

int64_t index_of(const HeadsView& view, int64_t batch, int64_t token, int64_t component) {
  return batch * view.batch_stride + token * view.token_stride + component;
}

// a, for one sequence of several that follow one another.
DenseAttention one_of(const DenseAttention& a, int64_t b) {
  DenseAttention one = a;
  one.starts = nullptr;
  one.batch = 1;
  one.n_queries = one.n_keys = a.starts[b + 1] - a.starts[b];
  for (HeadsView* view : {&one.q, &one.k, &one.v, &one.y})
    view->data =
        static_cast<const char*>(view->data) + a.starts[b] * view->token_stride * size_bytes(a.dtype);
  return one;
}

}  // namespace

void dense_attention_reference(const DenseAttention& a) {
  if (a.starts) {
    for (int64_t b = 0; b < a.batch; ++b) dense_attention_reference(one_of(a, b));
    return;
  }
  std::vector<double> weights, row(static_cast<size_t>(a.head_dim));
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t h = 0; h < a.n_heads; ++h) {
      for (int64_t i = 0; i < a.n_queries; ++i) {
        const int64_t seen = a.mask == AttentionMask::kCausal ? std::min(i + 1, a.n_keys) : a.n_keys;
        weights.assign(static_cast<size_t>(seen), 0);
        double largest = -INFINITY, sum = 0;
        for (int64_t j = 0; j < seen; ++j) {
          double score = 0;
          for (int64_t d = 0; d < a.head_dim; ++d)
            score += read(a.dtype, a.q, index_of(a.q, b, i, h * a.head_dim + d)) *
                     read(a.dtype, a.k, index_of(a.k, b, j, h * a.head_dim + d));
          score *= a.scale;
          if (a.bias)
            score += a.bias[b * a.bias_batch_stride + h * a.bias_head_stride + i * a.bias_query_stride + j];
          weights[static_cast<size_t>(j)] = score;
          largest = std::max(largest, score);
        }
        for (double& w : weights) sum += w = std::exp(w - largest);
        row.assign(row.size(), 0);
        for (int64_t j = 0; j < seen; ++j)
          for (int64_t d = 0; d < a.head_dim; ++d)
            row[static_cast<size_t>(d)] +=
                weights[static_cast<size_t>(j)] * read(a.dtype, a.v, index_of(a.v, b, j, h * a.head_dim + d));
        for (int64_t d = 0; d < a.head_dim; ++d)
          write(a.dtype, a.y, index_of(a.y, b, i, h * a.head_dim + d), row[static_cast<size_t>(d)] / sum);
      }
    }
  }
}

}  // namespace weft
