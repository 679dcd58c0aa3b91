#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ops/softmax/softmax.h"

namespace weft {

void softmax_reference(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride,
                       int64_t rows, int64_t cols) {
  std::vector<double> weights(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * x_stride;
    const double largest = *std::max_element(from, from + cols);
    double sum = 0;
    for (int64_t i = 0; i < cols; ++i)
      sum += weights[static_cast<size_t>(i)] = std::exp(double{scale} * (from[i] - largest));
    for (int64_t i = 0; i < cols; ++i)
      y[r * y_stride + i] = static_cast<float>(weights[static_cast<size_t>(i)] / sum);
  }
}

}  // namespace weft
