/// Products of few rows with a weight matrix in any format, on a CUDA device, with what stands before and after them:
///
///   x' = x, or RMS norm of x;   y = f(W x' + bias) [* (U x')] [+ added]
///
/// W and U lie as a GGUF file holds them: rows of blocks, no packing. x stays in f32; a weight is read once for each row of x,
/// so this serves decoding (one row, or a few), where the reading of W is the time. One warp a row of W.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 8 sectors a request beyond those of the bytes, which are scales between codes (rows
/// are contiguous, and the sectors that one request leaves are those that the next one finds in the cache); no bank
/// conflicts, no spills, half of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_MATMUL_GEMV_CUDA_H
#define WEFT_KERNELS_OPS_MATMUL_GEMV_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <optional>

#include "kernels/ops/activation/activation.h"
#include "kernels/quant/format.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory; a null pointer leaves its part out.
struct GemvCuda {
  WeightFormat format = WeightFormat::kF32;  // of w and up
  const void* w = nullptr;                   // [n, k], 16-byte aligned
  const void* up = nullptr;                  // U: [n, k], 16-byte aligned
  const float* x = nullptr;                  // [m, k], adjacent rows, 16-byte aligned
  float* y = nullptr;                        // [m, n], adjacent rows
  const float* norm_weight =
      nullptr;  // [k], 16-byte aligned: x' = x / sqrt(mean(x^2) + epsilon) * norm_weight
  float epsilon = 1e-5f;
  const float* bias = nullptr;   // [n]
  const float* added = nullptr;  // [m, n]; may be y
  std::optional<Activation> f = {};
  int64_t m = 0, n = 0, k = 0;
};

/// Errors: kUnsupported (a format that matmul_serves() does not), kInvalidShape (negative extents, m above 65535, k no multiple
/// of the block's elements or of 4), kInvalidArgument (a null or misaligned pointer, an epsilon that is not positive).
Status gemv_cuda(const GemvCuda& g, CUstream_st* stream);

}  // namespace weft
#endif
