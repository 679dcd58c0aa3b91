/// Products of few rows with a weight matrix in any format, on a CUDA device, with what stands before and after them:
///
///   x' = x, or RMS norm of x;   y = f(W x' + bias) [* (U x')] [+ added];   and further matrices: y2 = W2 x' + bias2, ...
///
/// W and U lie in tiles where they are quantised (weight_tiles.h; tile_weights_cuda.h makes them), else as rows. This serves decoding
/// (one row, or a few), where the reading of W is the time.
/// Quantised formats: on tensor cores in integers, x in 16 bits a run of 32 (quantised_rows.h): W is read once for one, four or eight
/// rows of x. Others: one warp a row of W, once for each row of x, in f32.
/// Stream-ordered; no allocation, no synchronization. On devices that can, a launch begins to read W before the stream's earlier
/// kernel has ended: W and U are written before that one starts.
/// Bounds that tests hold it to: at most 16 sectors a request beyond those of the bytes, at most two-way bank conflicts, no spills; of a
/// multiprocessor's threads half for one row of x, a quarter for more, three eighths for plain formats.
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
  const void* w = nullptr;  // [n, k], or its tiles; 16-byte aligned
  float* y = nullptr;       // [m, n], adjacent rows
  const float* bias = nullptr;
  int64_t n = 0;
};

/// How a product of quantised weights shares its work: warps a block (4, 8 or 16), steps of k that each has ahead (2, 3, 4 or 6),
/// blocks.
struct GemvTiling {
  int warps = 16, stages = 2, blocks = 0;
};

/// Everything is in the device's memory; a null pointer leaves its part out.
struct GemvCuda {
  WeightFormat format = WeightFormat::kF32;  // of w and up
  const void* w = nullptr;                   // [n, k], or its tiles; 16-byte aligned
  const void* up = nullptr;                  // U: [n, k], or its tiles; 16-byte aligned
  const float* x = nullptr;                  // [m, k], adjacent rows, 16-byte aligned
  float* y = nullptr;                        // [m, n], adjacent rows
  const float* norm_weight =
      nullptr;  // [k], 16-byte aligned: x' = x / sqrt(mean(x^2) + epsilon) * norm_weight
  float epsilon = 1e-5f;
  const float* bias = nullptr;   // [n]
  const float* added = nullptr;  // [m, n]; may be y
  std::optional<Activation> f = {};
  int64_t m = 0, n = 0, k = 0;
  std::array<GemvMatrix, 2> more = {};    // n of 0: none; without up, f and added
  std::optional<GemvTiling> tiling = {};  // for measurements; else the kernel's own
};

inline constexpr int64_t kMaxGemvCudaDepth = 65536;            // k of quantised formats
inline constexpr int64_t kMaxGemvCudaRows = int64_t{1} << 30;  // n

/// Errors: kUnsupported (a format that matmul_serves() does not), kInvalidShape (negative extents, m above 65535, k no multiple
/// of the block's elements or of 4, beyond kMaxGemvCudaDepth), kInvalidArgument (a null or misaligned pointer, an epsilon that is not positive, more beside up, f or added).
Status gemv_cuda(const GemvCuda& g, CUstream_st* stream);

}  // namespace weft
#endif
