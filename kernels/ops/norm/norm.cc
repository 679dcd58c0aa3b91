#include "kernels/ops/norm/norm.h"

#include <string>

#include "kernels/ops/norm/norm_bodies.h"

namespace weft {

void norm_rows(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
               int64_t cols, IsaLevel level) {
  const NormBodies& bodies = WEFT_ISA_BODY(kNormBodies, level);
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x + r * x_stride;
    float* to = y + r * y_stride;
    if (norm.kind == NormKind::kRms) bodies.rms(norm.weight, norm.epsilon, from, to, cols);
    else bodies.layer(norm.weight, norm.bias, norm.epsilon, from, to, cols);
  }
}

void layer_norm_rows(const Norm& norm, const TensorView& x, const TensorView& y, int64_t begin, int64_t end,
                     IsaLevel level) {
  const NormBodies& bodies = WEFT_ISA_BODY(kNormBodies, level);
  for (int64_t r = begin; r < end; ++r)
    bodies.layer_mixed(norm.weight, norm.bias, norm.epsilon, x.dtype == DType::kBF16,
                       x.as<char>() + r * x.strides[0] * size_bytes(x.dtype), y.dtype == DType::kBF16,
                       y.as<char>() + r * y.strides[0] * size_bytes(y.dtype), x.shape[1]);
}

Status norm(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
            int64_t cols, Executor executor, IsaLevel level) {
  if (cols < 1 || rows < 0)
    return Status(StatusCode::kInvalidShape, "norm of an impossible shape")
        .expected("rows >= 0, cols >= 1")
        .got("rows " + std::to_string(rows) + ", cols " + std::to_string(cols));
  if (rows > 1 && (x_stride < cols || y_stride < cols))
    return Status(StatusCode::kInvalidShape, "norm: a row stride is shorter than a row")
        .expected("at least " + std::to_string(cols))
        .got(std::to_string(x_stride) + " and " + std::to_string(y_stride));
  if (rows == 0) return Status();
  if (!x || !y || !norm.weight) return Status(StatusCode::kInvalidArgument, "norm: a pointer is null");
  if (!(norm.epsilon > 0))
    return Status(StatusCode::kInvalidArgument, "norm: epsilon must be positive")
        .got(std::to_string(norm.epsilon));
  if (norm.bias && norm.kind == NormKind::kRms)
    return Status(StatusCode::kInvalidArgument, "norm: RMS norm has no bias");
  executor.parallel_for(rows, 16384 / cols + 1, [&](int64_t begin, int64_t end) {
    norm_rows(norm, x + begin * x_stride, x_stride, y + begin * y_stride, y_stride, end - begin, cols, level);
  });
  return Status();
}

}  // namespace weft
