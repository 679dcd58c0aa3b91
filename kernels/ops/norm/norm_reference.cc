#include <cmath>

#include "kernels/ops/norm/norm.h"

namespace weft {

void norm_reference(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride,
                    int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * x_stride;
    float* to = y + r * y_stride;
    double mean = 0;
    if (norm.kind == NormKind::kLayer) {
      for (int64_t i = 0; i < cols; ++i) mean += from[i];
      mean /= static_cast<double>(cols);
    }
    double squares = 0;
    for (int64_t i = 0; i < cols; ++i) squares += (from[i] - mean) * (from[i] - mean);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(cols) + norm.epsilon);
    for (int64_t i = 0; i < cols; ++i)
      to[i] = static_cast<float>((from[i] - mean) * scale * norm.weight[i] + (norm.bias ? norm.bias[i] : 0));
  }
}

}  // namespace weft
