/// Normalisation of rows: RMS norm and layer norm.
///
///   kRms:   y = x / sqrt(mean(x^2) + epsilon) * weight
///   kLayer: y = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias      (two passes)
///
/// Sums are taken in f32 over fixed lanes, so that a row's bits depend on the row alone.
/// Source: Zhang & Sennrich 2019, arXiv:1910.07467; Ba et al. 2016, arXiv:1607.06450.
#ifndef WEFT_KERNELS_OPS_NORM_NORM_H
#define WEFT_KERNELS_OPS_NORM_NORM_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/cpu/isa.h"
#include "kernels/tensor.h"

namespace weft {

enum class NormKind : uint8_t { kRms, kLayer };

/// weight: [cols]; bias: [cols], kLayer only, or null. epsilon: > 0.
struct Norm {
  NormKind kind = NormKind::kRms;
  const float* weight = nullptr;
  const float* bias = nullptr;
  float epsilon = 1e-5f;
};

/// x, y: [rows, cols] f32, rows x_stride and y_stride elements apart; may alias exactly. No allocation, no
/// threads: callers split rows. Preconditions: those that norm() checks.
void norm_rows(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
               int64_t cols, IsaLevel level = active_isa());

/// Layer norm of rows [begin, end) of x into those of y. x, y: [rows, cols], f32 or bf16, each its own; columns are
/// adjacent (the last stride is 1). May alias exactly where the types agree. Computes in f32, rounds once; f32 in and
/// out give the bits of norm_rows(). No allocation, no threads. Preconditions: norm.kind is kLayer, the shapes agree.
void layer_norm_rows(const Norm& norm, const TensorView& x, const TensorView& y, int64_t begin, int64_t end,
                     IsaLevel level = active_isa());

/// norm_rows() over the executor's threads. Errors: kInvalidShape (cols below 1, rows below 0, a stride below cols),
/// kInvalidArgument (a null pointer, an epsilon that is not positive, a bias with kRms).
Status norm(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
            int64_t cols, Executor executor, IsaLevel level = active_isa());

/// The definition, naively, in double.
void norm_reference(const Norm& norm, const float* x, int64_t x_stride, float* y, int64_t y_stride,
                    int64_t rows, int64_t cols);

}  // namespace weft
#endif
