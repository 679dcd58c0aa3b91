/// gemm() with weights in a block-quantised format: the linear layers of image models whose checkpoint is quantised.
///
///   C[m, n] = f(A[m, k] * W[n, k]^T + bias) + residual, or with gates, as in gemm.h; W as ops/matmul packs it
///
/// Numerics: as matmul(): rows of A are rounded to int8 in blocks, products within a block are exact, blocks are added in
/// ascending k into f32. Then bias, activation, residual, one rounding. The bits of a row of C depend on that row of A (and of
/// the residual) and on W alone.
///
/// Ownership: the caller owns all memory; no op allocates. Threads: quantized_gemm_team() is one thread's part, with barriers
/// of the team between its steps and at the end: C is there when it returns.
#ifndef WEFT_KERNELS_OPS_GEMM_QUANTIZED_GEMM_H
#define WEFT_KERNELS_OPS_GEMM_QUANTIZED_GEMM_H

#include <weft/sdk/executor.h>

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/cpu/isa.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/ops/matmul/matmul.h"
#include "kernels/tensor.h"
#include "kernels/threads/shared_work.h"

namespace weft {

inline constexpr int kMostQuantizedParts = 3;

/// Columns of every view are adjacent.
struct QuantizedGemm {
  TensorView a;  // [m, k] f32, bf16 or f16
  std::span<const PackedMatrix>
      parts;  // 1 to kMostQuantizedParts, each [n_i, k]: W is one below the other, n their sum
  GemmPairing pairing = GemmPairing::kNone;
  const float* bias = nullptr;  // [n] or null
  std::optional<Activation> activation = {};
  TensorView residual = {};  // as c; rank 0: none. May be c itself, exactly
  TensorView c;              // [m, n], or [m, n / 2] with kValueGate; f32, bf16 or f16. Must not overlap a
  std::byte* scratch = nullptr;  // quantized_gemm_scratch_bytes(m, n, k), aligned to 64
  SharedWork* work = nullptr;
};

/// Rows are multiplied a few hundred at a time: scratch does not grow further with m.
int64_t quantized_gemm_scratch_bytes(int64_t m, int64_t n, int64_t k);

/// The team computes C. Precondition: shapes fit each other; what a gemm() would check.
void quantized_gemm_team(const QuantizedGemm& g, Team team, IsaLevel level = active_isa());

}  // namespace weft
#endif
