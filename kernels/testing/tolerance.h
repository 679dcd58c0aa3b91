/// Tolerances of the compute library's tests, by what the arithmetic is done in: written here and nowhere
/// else.
///
/// Relative error means ||a - b||2 / ||b||2 over one output, b being the reference that accumulates in
/// double.
#ifndef WEFT_KERNELS_TESTING_TOLERANCE_H
#define WEFT_KERNELS_TESTING_TOLERANCE_H

#include <cstdint>

#include "kernels/tensor.h"

namespace weft::testing {

/// ||got - want||2 / ||want||2; 0 if both are zero, infinity if a value is not finite where the other is.
double relative_error(const float* got, const float* want, int64_t count);

/// What an op that computes in f32 and stores `stored` may differ from the reference.
constexpr double tolerance(DType stored) {
  switch (stored) {
    case DType::kF64:
    case DType::kF32: return 2e-6;
    case DType::kF16: return 1e-3;
    case DType::kBF16: return 8e-3;
    default: return 0;
  }
}

/// What a dense op that computes in `compute` (kF32, kBF16 or kF16) and stores `stored` may differ from a reference whose inputs
/// are rounded to `compute`: the order of additions, and rounding to the type of the output. Products of bf16 lose subnormals.
constexpr double tolerance(DType compute, DType stored) {
  if (stored != DType::kF32) return tolerance(stored);
  return tolerance(compute == DType::kBF16 ? DType::kF16 : DType::kF32);
}

/// A product of some thousand outputs whose activations are rounded to int8 blocks, against the same product of unrounded
/// activations. Typical for normally distributed values is 3.5e-3.
inline constexpr double kInt8ActivationTolerance = 5e-3;

}  // namespace weft::testing
#endif
