#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/ops/attention/attention.h"
#include "kernels/quant/dequantize.h"

namespace weft {
namespace {

WeightFormat element(KvFormat format) {
  switch (format) {
    case KvFormat::kF32: return WeightFormat::kF32;
    case KvFormat::kF16: return WeightFormat::kF16;
    case KvFormat::kBF16: return WeightFormat::kBF16;
    case KvFormat::kQ8_0: return WeightFormat::kI8;
  }
  return WeightFormat::kF32;
}

// One stored number: `index` into the block's numbers, `scale_index` into its scales.
double stored(const AttentionShape& shape, const std::byte* block, int64_t index, int64_t scale_index) {
  const WeightFormat format = element(shape.format);
  float value = 0;
  dequantize(format, block + index * block_layout(format).bytes, 1, &value);
  if (shape.format != KvFormat::kQ8_0) return value;
  float scale = 0;
  dequantize(WeightFormat::kF16, block + shape.head_dim * kPageTokens + scale_index * 2, 1, &scale);
  return double{value} * scale;
}

}  // namespace

void attention_reference(const AttentionShape& shape, const AttentionRow& row) {
  const int64_t block = kv_block_bytes(shape.format, shape.head_dim);
  const int64_t padded = padded_head_dim(shape.head_dim);
  const int64_t groups = shape.head_dim / 32;
  const int64_t first = shape.window > 0 ? std::max<int64_t>(row.position - shape.window + 1, 0) : 0;
  const int64_t last = row.last_seen();
  for (int64_t h = 0; h < shape.n_heads; ++h) {
    const int64_t g = h / (shape.n_heads / shape.n_kv_heads);
    const float* q = row.q + h * shape.head_dim;
    std::vector<double> weights;
    double largest = -INFINITY;
    for (int64_t t = first; t <= last; ++t) {
      const std::byte* keys = row.pages[t / kPageTokens] + shape.layer_offset + g * 2 * block;
      const int64_t slot = t % kPageTokens;
      double score = 0;
      for (int64_t d = 0; d < shape.head_dim; ++d)
        score += q[d] * stored(shape, keys, d * kPageTokens + slot, d / 32 * kPageTokens + slot);
      score *= shape.scale;
      if (shape.softcap > 0) score = shape.softcap * std::tanh(score / shape.softcap);
      if (row.bias != nullptr) score += row.bias[h * shape.bias_head_stride + t];
      weights.push_back(score);
      largest = std::max(largest, score);
    }
    double sum = 0;
    for (double& w : weights) sum += w = std::exp(w - largest);
    for (int64_t d = 0; d < shape.head_dim; ++d) {
      double y = 0;
      for (int64_t t = first; t <= last; ++t) {
        const std::byte* values = row.pages[t / kPageTokens] + shape.layer_offset + (g * 2 + 1) * block;
        const int64_t slot = t % kPageTokens;
        y += weights[t - first] * stored(shape, values, slot * padded + d, slot * groups + d / 32);
      }
      row.y[h * shape.head_dim + d] = static_cast<float>(y / sum);
    }
  }
}

}  // namespace weft
