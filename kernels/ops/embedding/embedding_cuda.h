/// Rows of an embedding table, stored in any weight format, on a CUDA device:
///
///   y[i] = scale * table[tokens[i]] [+ positions[position_of[i]]]
///
/// One block a row of y. Stream-ordered; no allocation, no synchronization.
/// Bounds that tests hold it to: at most 32 sectors a request beyond those of the bytes, since a row of a tile lies in pieces; no
/// spills, three quarters of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_CUDA_H
#define WEFT_KERNELS_OPS_EMBEDDING_EMBEDDING_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/ops/embedding/embedding.h"

struct CUstream_st;

namespace weft {

/// All pointers, the table's too, are into the device's memory.
struct EmbeddingCuda {
  EmbeddingTable table;             // data: its tiles (weight_tiles.h) if quantised; 16-byte aligned
  const int32_t* tokens = nullptr;  // [count]; one outside of the table gives a row of NaN
  float scale = 1;
  const float* positions = nullptr;      // [n_positions, width], 16-byte aligned; or null
  const int32_t* position_of = nullptr;  // [count], each in [0, n_positions); with positions
  float* y = nullptr;                    // [count, width], 16-byte aligned
  int64_t count = 0;
};

/// Errors: kUnsupported (a format that matmul_serves() does not), kInvalidShape (a width that is no multiple of 4 or of the
/// format's block, negative extents), kInvalidArgument (a null or misaligned pointer).
Status embedding_cuda(const EmbeddingCuda& e, CUstream_st* stream);

}  // namespace weft
#endif
