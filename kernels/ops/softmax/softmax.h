/// Softmax of rows, and the logarithm of its sum.
///
///   y = exp(scale * (x - max(x))) / sum(exp(scale * (x - max(x))))
///
/// Numerics: exponentials in f32 to about 1 ulp; sums in f32 over fixed lanes of each 4096 columns, added in double, so that
/// a row's bits depend on the row alone. A row with a NaN, or of nothing but -infinity, becomes NaN; -infinity among numbers
/// becomes 0. Attention has an online softmax of its own, which never holds a whole row of scores.
///
///   softmax(1, scores, columns, scores, columns, rows, columns, executor);
///
/// Thread safety: pure functions; no allocation.
#ifndef WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_H
#define WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <span>

#include "kernels/cpu/isa.h"

namespace weft {

/// x, y: [rows, cols] f32, rows x_stride and y_stride elements apart; may alias exactly. Callers split rows. Preconditions:
/// those that softmax() checks.
void softmax_rows(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
                  int64_t cols, IsaLevel level = active_isa());

/// softmax_rows() over the executor's threads. Errors: kInvalidShape (cols below 1, rows below 0, a stride below cols),
/// kInvalidArgument (a null pointer, a scale that is not a positive number).
Status softmax(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
               int64_t cols, Executor executor, IsaLevel level = active_isa());

/// ln(sum(exp(x))): what log-probabilities are relative to. What is not a number is left out. Of infinite or no numbers, their
/// largest.
double log_sum_exp(std::span<const float> x, IsaLevel level = active_isa());

/// The definition, naively, in double.
void softmax_reference(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride,
                       int64_t rows, int64_t cols);

}  // namespace weft
#endif
