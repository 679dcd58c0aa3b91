/// Products of activations with weight matrices that stay, dense: the linear layers of image models.
///
///   C[m, n] = f(A[m, k] * W[n, k]^T + bias) + residual          A, C, residual: f32, bf16 or f16.  f: an activation or nothing
///   C[m, n / 2] = (value + bias) * f(gate + bias) + residual    kValueGate: W is the rows of value, then those of gate
///                                                               (GEGLU); the [m, n] between them is never stored
///
/// For block-quantised weights, and few rows of f32, see ops/matmul.
///
/// Numerics, per (compute type, ISA level): kF32 computes in f32. kBF16 rounds A and W to bf16 (to nearest even), where they
/// are not, and adds products in f32: twice the speed of f32 with AVX-512 BF16, more with AMX. kF16 does the same with f16 (what
/// lies beyond 65504 becomes infinite), at the speed of f32 with half its weights' memory. README.md has the order of
/// additions. Bias, activation and residual are f32; C is rounded once. The bits of a row of C depend on that row of A (and
/// of the residual) and on W alone: not on m, on the number of threads or on where the row lies. Non-finite values of A
/// make the row they are in non-finite; they never vanish.
///
/// Ownership: the caller owns all memory, packed weights included (they may be a mapped file); no op allocates. Threads: two
/// ways. gemm() runs a team of its own. gemm_share() is one thread's part, for callers that keep one team over many ops; it
/// needs no barrier but the one that makes A visible before and C after.
///
///   const GemmShape shape = {.n = 1280, .k = 320, .compute = DType::kBF16};
///   pack_gemm_weights(shape, WeightFormat::kF16, file, packed, executor);          // once; packed: gemm_packed_bytes(shape)
///   Gemm g = {.a = TensorView::contiguous(x, DType::kF32, {m, 320}), .w = {shape, packed}, .bias = bias,
///             .activation = Activation::kGelu, .c = TensorView::contiguous(y, DType::kBF16, {m, 1280}),
///             .scratch = scratch};                                        // gemm_scratch_bytes(executor.max_threads())
///   Status status = gemm(g, executor);
#ifndef WEFT_KERNELS_OPS_GEMM_GEMM_H
#define WEFT_KERNELS_OPS_GEMM_GEMM_H

#include <weft/sdk/executor.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/cpu/isa.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/quant/format.h"
#include "kernels/tensor.h"

namespace weft {

/// Changes whenever the bytes that pack_gemm_weights() writes change: part of the key of a packed-weight cache. The layout is
/// the same for every ISA level.
inline constexpr uint32_t kGemmLayoutVersion = 1;
inline constexpr int64_t kGemmAlignment = 64;  // bytes, of packed weights and of scratch

enum class GemmPairing : uint8_t {
  kNone,
  kValueGate,  // rows [0, n / 2) of W give values, rows [n / 2, n) their gates; n is even
};

struct GemmShape {
  int64_t n = 0;                // rows of W
  int64_t k = 0;                // columns of W
  DType compute = DType::kF32;  // kF32, kBF16 or kF16: also what packed weights are stored as
  GemmPairing pairing = GemmPairing::kNone;
};

/// Bytes of packed weights. Errors: kUnsupported (compute), kInvalidShape (an extent below 1, an odd n with kValueGate),
/// kOutOfRange (the size exceeds 2^62).
Result<int64_t> gemm_packed_bytes(const GemmShape& shape);

/// Packs W from the file's layout: n rows of k weights, rows adjacent, any alignment. format: kF32, kF16 or kBF16; weights
/// are rounded to shape.compute. dst: gemm_packed_bytes(), aligned to kGemmAlignment. Errors: as gemm_packed_bytes(), and
/// kUnsupported (format), kInvalidArgument (a null or misaligned pointer).
Status pack_gemm_weights(const GemmShape& shape, WeightFormat format, const void* src, void* dst,
                         Executor executor);

/// Does not own.
struct GemmWeights {
  GemmShape shape;
  const void* data = nullptr;
};

/// Bytes of scratch of a team of n_threads: two and a half megabytes each, whatever the shapes, so that one serves every op of
/// a model (a convolution's too).
int64_t gemm_scratch_bytes(uint32_t n_threads);

/// One product. Columns of every view are adjacent (the last stride is 1); rows may lie further apart than they are long.
struct Gemm {
  TensorView a;  // [m, k] f32, bf16 or f16
  GemmWeights w;
  const float* bias = nullptr;                // [n], in the order of W's rows, or null
  std::optional<Activation> activation = {};  // of the sum with its bias; kValueGate: of the gate
  TensorView residual = {};  // as c, any of these types; rank 0: none. May be c itself, exactly
  TensorView c;              // [m, n], or [m, n / 2] with kValueGate. Must not overlap a
  void* scratch = nullptr;   // gemm_scratch_bytes(threads of the team), aligned to kGemmAlignment
};

/// What gemm() refuses: kUnsupported (a dtype), kInvalidShape (extents that do not fit each other, rows that overlap; m = 0
/// is fine), kInvalidArgument (a null or misaligned pointer).
Status check_gemm(const Gemm& g);

/// Computes C. Errors: as check_gemm().
Status gemm(const Gemm& g, Executor executor, IsaLevel level = active_isa());

/// Thread `thread` of `n_threads` computes its part of C. No allocation, no synchronisation.
/// Precondition: check_gemm() is ok.
void gemm_share(const Gemm& g, uint32_t thread, uint32_t n_threads, IsaLevel level = active_isa());

/// The body that serves `compute` at `level`, as compiled: "scalar", "avx2", "avx512", "avx512bf16" or "amx". For tests,
/// benches and `weft doctor`.
const char* gemm_body_name(DType compute, IsaLevel level);

/// The definition, naively, in double, from unpacked weights as pack_gemm_weights() takes them. A and W are rounded to
/// g.w.shape.compute; g.w.data and g.scratch are not read. For tests.
void gemm_reference(const Gemm& g, WeightFormat format, const void* weights);

}  // namespace weft
#endif
