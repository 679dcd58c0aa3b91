/// Dense products on a CUDA device: gemm.h's, with what stands behind them.
///
///   C[m, n] = f(A[m, k] W[n, k]^T + bias) + residual
///   C[m, n / 2] = (value + bias) * f(gate + bias)     paired: rows 2 j and 2 j + 1 of W are a value's and its gate's
///
/// bf16 and f16 are multiplied by tensor cores and added in f32; f32 without them, in f32. Tiles of 128 x 128, 128 x 64 or 64 x 64
/// (product_tiling.h), three buffers of 128 bytes of the depth that cp.async fills; where tiles are few their depth is shared by
/// blocks, whose sums a second kernel adds in order. C is rounded once.
/// Stream-ordered; no allocation, no synchronization. The bits of a row may depend on m, by which tiles are chosen.
/// On a CUDA device large products may go to cuBLASLt instead (product_engine.h; kernels/cuda), where that is installed.
/// Bounds that tests hold it to: no 32-byte sectors beyond those of A, W and C where k is a multiple of 64, no bank conflicts in
/// the products, no spills, an eighth (128 x 128) to a quarter of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_GEMM_GEMM_CUDA_H
#define WEFT_KERNELS_OPS_GEMM_GEMM_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/ops/activation/activation.h"
#include "kernels/ops/gemm/product_engine.h"
#include "kernels/ops/gemm/product_tiling.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory, pointers are aligned to 16 bytes; a null pointer leaves its part out.
struct GemmCuda {
  DType dtype = DType::kBF16;   // of a and w: bf16, f16 or f32
  const void* a = nullptr;      // [m, k], rows a_stride elements apart
  const void* w = nullptr;      // [n, k], adjacent
  const float* bias = nullptr;  // [n], in the order of w's rows
  std::optional<Activation> activation = {};
  bool paired = false;             // value and gate; wants an activation and no residual
  DType c_dtype = DType::kBF16;    // of c and residual: dtype or f32
  const void* residual = nullptr;  // as c, rows residual_stride apart; may be c
  void* c = nullptr;               // [m, n], or [m, n / 2]: rows c_stride apart
  int64_t m = 0, n = 0, k = 0, a_stride = 0, residual_stride = 0, c_stride = 0;
  float* workspace = nullptr;                      // gemm_cuda_workspace() floats
  std::optional<ProductTiling> tiling = {};        // for measurements: else product_tiling()'s, of the kernel
  ProductEngine engine = ProductEngine::kByShape;  // for measurements: else by product_engine.h
};

constexpr ProductTiling tiling_of(const GemmCuda& g) {
  return g.tiling ? *g.tiling : product_tiling(g.dtype, g.m, g.n, g.k);
}

/// Whether a library has all of the product: pairs have no counterpart there, nor does any activation but max(x, 0) and the tanh
/// approximation of GELU in 16 bits. What pointers decide (a residual behind an activation, alignment) is known where it runs.
constexpr bool library_serves(const GemmCuda& g) {
  const int64_t c_piece = 16 / size_bytes(g.c_dtype);
  const bool activates = !g.activation || *g.activation == Activation::kRelu ||
                         (*g.activation == Activation::kGeluTanh && g.dtype != DType::kF32);
  return !g.paired && activates && g.n % c_piece == 0 && g.c_stride % c_piece == 0 &&
         g.residual_stride % c_piece == 0;
}
/// What is asked for, or what product_engine.h chooses.
constexpr bool goes_to_library(const GemmCuda& g) {
  if (g.engine != ProductEngine::kByShape) return g.engine == ProductEngine::kLibrary;
  return !g.tiling && library_serves(g) && library_wins(g.dtype, g.m, g.n, g.k);
}

/// Floats of workspace, often none; enough for the kernel and for the library. Whatever the pointers. Precondition: extents that
/// gemm_cuda() takes.
constexpr int64_t gemm_cuda_workspace(const GemmCuda& g) {
  const int64_t kernel = tiling_of(g).workspace(g.m, g.n),
                library = goes_to_library(g) ? library_workspace(g.dtype, g.n) : 0;
  return kernel > library ? kernel : library;
}

/// What gemm_cuda() refuses, but for the engine.
Status check_gemm_cuda(const GemmCuda& g);

/// By the kernel. Errors: kUnsupported (a dtype, a library), kInvalidShape (an extent, k or a_stride no multiple of 16 bytes, an odd n of pairs),
/// kInvalidArgument (a null or misaligned pointer).
Status gemm_cuda(const GemmCuda& g, CUstream_st* stream);

}  // namespace weft
#endif
