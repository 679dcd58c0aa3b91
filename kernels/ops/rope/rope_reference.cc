#include <cmath>

#include "kernels/ops/rope/rope.h"

namespace weft {

void rope_reference(RopeLayout layout, int64_t n_rotated, const double* frequencies, double magnitude,
                    int64_t position, float* x, int64_t n_heads, int64_t head_dim) {
  if (layout == RopeLayout::kNone) return;
  const int64_t pairs = n_rotated / 2;
  for (int64_t h = 0; h < n_heads; ++h) {
    for (int64_t i = 0; i < pairs; ++i) {
      const bool adjacent = layout == RopeLayout::kInterleaved;
      float& first = x[h * head_dim + (adjacent ? 2 * i : i)];
      float& second = x[h * head_dim + (adjacent ? 2 * i + 1 : i + pairs)];
      const double angle = static_cast<double>(position) * frequencies[i];
      const double c = std::cos(angle) * magnitude, s = std::sin(angle) * magnitude;
      const double a = first, b = second;
      first = static_cast<float>(a * c - b * s);
      second = static_cast<float>(a * s + b * c);
    }
  }
}

}  // namespace weft
