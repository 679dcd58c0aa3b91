/// The k largest of each row on a CUDA device, in the order of top_k.h: larger first, the smaller place among equals, what is not
/// a number left out.
///
/// One block a row, which goes over it once for each of the k: right for the few that sampling wants, and for the largest alone.
/// Stream-ordered; no allocation, no synchronization. Bounds that tests hold it to: at most one sector a request beyond those of
/// the data, no bank conflicts, no spills, all of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_TOP_K_TOP_K_CUDA_H
#define WEFT_KERNELS_OPS_TOP_K_TOP_K_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/ops/top_k/top_k.h"

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory.
struct TopKCuda {
  const float* x = nullptr;    // [rows, cols], rows x_stride elements apart
  RankedValue* top = nullptr;  // [rows, k]; where a row has fewer numbers, NaN at place -1
  int64_t rows = 0, cols = 0, x_stride = 0, k = 1;
};

/// Errors: kInvalidShape (negative extents, cols or k above 2^31 - 1, k below 1, a stride below cols), kInvalidArgument (a null
/// pointer).
Status top_k_cuda(const TopKCuda& t, CUstream_st* stream);

}  // namespace weft
#endif
