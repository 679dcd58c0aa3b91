#include "kernels/ops/softmax/softmax.h"

#include <cmath>
#include <string>

#include "kernels/ops/softmax/softmax_bodies.h"

namespace weft {

void softmax_rows(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
                  int64_t cols, IsaLevel level) {
  const SoftmaxBodies& bodies = WEFT_ISA_BODY(kSoftmaxBodies, level);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * x_stride;
    float* to = y + r * y_stride;
    const double sum = bodies.exponentials(from, cols, scale, bodies.largest(from, cols), to);
    bodies.multiply(to, cols, static_cast<float>(1 / sum));
  }
}

Status softmax(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
               int64_t cols, Executor executor, IsaLevel level) {
  if (cols < 1 || rows < 0)
    return Status(StatusCode::kInvalidShape, "softmax of an impossible shape")
        .expected("rows >= 0, cols >= 1")
        .got("rows " + std::to_string(rows) + ", cols " + std::to_string(cols));
  if (rows > 1 && (x_stride < cols || y_stride < cols))
    return Status(StatusCode::kInvalidShape, "softmax: a row stride is shorter than a row")
        .expected("at least " + std::to_string(cols))
        .got(std::to_string(x_stride) + " and " + std::to_string(y_stride));
  if (rows == 0) return Status();
  if (!x || !y) return Status(StatusCode::kInvalidArgument, "softmax: a pointer is null");
  if (!(scale > 0) || std::isinf(scale))
    return Status(StatusCode::kInvalidArgument, "softmax: the scale must be a positive number")
        .got(std::to_string(scale));
  executor.parallel_for(rows, 4096 / cols + 1, [&](int64_t begin, int64_t end) {
    softmax_rows(scale, x + begin * x_stride, x_stride, y + begin * y_stride, y_stride, end - begin, cols,
                 level);
  });
  return Status();
}

double log_sum_exp(std::span<const float> x, IsaLevel level) {
  const SoftmaxBodies& bodies = WEFT_ISA_BODY(kSoftmaxBodies, level);
  const int64_t n = static_cast<int64_t>(x.size());
  const float largest = bodies.largest(x.data(), n);
  if (std::isinf(largest)) return largest;
  return largest + std::log(bodies.sum_exponentials(x.data(), n, largest));
}

}  // namespace weft
