/// Products of several rows with a weight matrix in any format, on a CUDA device: prompts, and batches too large for gemv_cuda.h.
///
///   y = W x + bias [+ added]
///
/// W is plain: quantised weights are unpacked for a dense product (unpack_cuda.h, gemm_cuda.h). Tiles of 32 rows of x and 64 of W go
/// through shared memory, so that a weight is read once for 32 rows. Products and sums are in f32, without tensor cores.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 8 sectors a request beyond those of the bytes, no bank conflicts, no spills, half of a
/// multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_MATMUL_MATMUL_CUDA_H
#define WEFT_KERNELS_OPS_MATMUL_MATMUL_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/quant/format.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory; a null pointer leaves its part out.
struct MatmulCuda {
  WeightFormat format = WeightFormat::kF32;  // f32, f16 or bf16
  const void* w = nullptr;                   // [n, k], 16-byte aligned
  const float* x = nullptr;                  // [m, k], adjacent rows, 16-byte aligned
  float* y = nullptr;                        // [m, n], adjacent rows
  const float* bias = nullptr;               // [n]
  const float* added = nullptr;              // [m, n]; may be y
  int64_t m = 0, n = 0, k = 0;
};

/// Errors: kUnsupported (a quantised format), kInvalidShape (negative extents, m above 2^20, k no multiple of
/// 4), kInvalidArgument (a null or misaligned pointer).
Status matmul_cuda(const MatmulCuda& p, CUstream_st* stream);

}  // namespace weft
#endif
