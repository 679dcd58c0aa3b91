/// A block-quantised matrix as a GGUF file holds it to the tiles that products read on a CUDA device (weight_tiles.h).
///
/// One warp a unit of a tile. Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 16 sectors a request beyond those of the bytes, since a warp reads 16 rows; no spills, half
/// of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_MATMUL_TILE_WEIGHTS_CUDA_H
#define WEFT_KERNELS_OPS_MATMUL_TILE_WEIGHTS_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/quant/weight_tiles.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory.
struct TileWeightsCuda {
  WeightFormat format = WeightFormat::kQ4_0;
  const void* blocks = nullptr;  // [n, k] as rows of blocks, 16-byte aligned
  void* tiles = nullptr;  // device_matrix_bytes(), 16-byte aligned; rows past n and elements past k are zeros
  int64_t n = 0, k = 0;
};

/// Errors: kUnsupported (a format without blocks), kInvalidShape (negative n, k no multiple of the block's elements), kInvalidArgument
/// (a null or misaligned pointer).
Status tile_weights_cuda(const TileWeightsCuda& t, CUstream_st* stream);

}  // namespace weft
#endif
