/// Weights in any format as f16, bf16 or f32, on a CUDA device: what a dense product (gemm_cuda.h) reads where rows are so many that
/// tensor cores pay for it; and rows of f32 as f16 or bf16.
///
/// Quantised weights come from tiles (weight_tiles.h). Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 8 sectors a request beyond those of the bytes, which are rows of a tile; no spills, three
/// quarters of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_MATMUL_UNPACK_CUDA_H
#define WEFT_KERNELS_OPS_MATMUL_UNPACK_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/quant/format.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory.
struct UnpackCuda {
  WeightFormat format = WeightFormat::kF32;
  const void* w = nullptr;    // [n, k], or its tiles; 16-byte aligned
  DType dtype = DType::kF16;  // of y: f16, bf16 or f32
  void* y = nullptr;          // [n, k], 16-byte aligned
  int64_t n = 0, k = 1;       // k: a multiple of the block's elements; plain formats want n k to be one of 4
};

/// Rounds once, to the nearest. Errors: kUnsupported (a format that matmul_serves() does not, a dtype), kInvalidShape (n, k),
/// kInvalidArgument (a null or misaligned pointer).
Status unpack_cuda(const UnpackCuda& u, CUstream_st* stream);

}  // namespace weft
#endif
