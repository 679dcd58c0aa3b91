/// Products of few rows with a weight matrix in any format, on a CUDA device, with what stands before and after them:
///
///   x' = x, or RMS norm of x;   y = f(W x' + bias) [* (U x')] [+ added];   and further matrices: y2 = W2 x' + bias2, ...
///
/// W and U lie as a GGUF file holds them: rows of blocks, no packing. This serves decoding (one row, or a few), where the reading
/// of W is the time.
/// Quantised formats: 16 rows of W a block, on tensor cores in integers, x in 16 bits a run of 32 (quantised_tile.h): W is read
/// once for up to four rows of x. Others: one warp a row of W, once for each row of x, in f32.
/// Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 16 sectors a request beyond those of the bytes (16 rows are read together, a part of a
/// block of each; the sectors that one request leaves are those that the next one finds in the cache); at most two-way bank
/// conflicts, no spills, a quarter of a multiprocessor's threads, half of them without blocks.
#ifndef WEFT_KERNELS_OPS_MATMUL_GEMV_CUDA_H
#define WEFT_KERNELS_OPS_MATMUL_GEMV_CUDA_H

#include <weft/sdk/status.h>

#include <array>
#include <cstdint>
#include <optional>

#include "kernels/ops/activation/activation.h"
#include "kernels/quant/format.h"

struct CUstream_st;

namespace weft {

/// A further product of the same launch: its own y, W and bias, of the same format, with the same x'.
struct GemvMatrix {
  const void* w = nullptr;  // [n, k], 16-byte aligned
  float* y = nullptr;       // [m, n], adjacent rows
  const float* bias = nullptr;
  int64_t n = 0;
};

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
  std::array<GemvMatrix, 2> more = {};  // n of 0: none; without up, f and added
};

inline constexpr int64_t kMaxGemvCudaDepth = 65536;  // k of quantised formats

/// Errors: kUnsupported (a format that matmul_serves() does not), kInvalidShape (negative extents, m above 65535, k no multiple
/// of the block's elements or of 4, beyond kMaxGemvCudaDepth), kInvalidArgument (a null or misaligned pointer, an epsilon that is not positive, more beside up, f or added).
Status gemv_cuda(const GemvCuda& g, CUstream_st* stream);

}  // namespace weft
#endif
