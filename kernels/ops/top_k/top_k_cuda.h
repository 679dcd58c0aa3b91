/// The k largest of each row on a CUDA device, in the order of top_k.h: larger first, the smaller place among equals, what is not
/// a number left out.
///
/// A row is cut into slices of 1024. A warp has one in registers and takes its largest k times; a second kernel merges the lists,
/// a thread a slice: what sampling wants of a vocabulary, a few to a few hundred.
/// Stream-ordered; no allocation, no synchronization. Bounds that tests hold it to: at most one sector a request beyond those of
/// the data, no bank conflicts, no spills, half of a multiprocessor's threads (the merge: two thirds).
#ifndef WEFT_KERNELS_OPS_TOP_K_TOP_K_CUDA_H
#define WEFT_KERNELS_OPS_TOP_K_TOP_K_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "kernels/ops/top_k/top_k.h"

struct CUstream_st;

namespace weft {

inline constexpr int64_t kTopKSlice = 1024, kMostTopKCols = 1024 * kTopKSlice;

constexpr int64_t top_k_slices(int64_t cols) { return cols > 0 ? (cols + kTopKSlice - 1) / kTopKSlice : 1; }

/// Elements of the workspace; 0: there is nothing to merge.
constexpr int64_t top_k_workspace(int64_t rows, int64_t cols, int64_t k) {
  const int64_t kept = k < kTopKSlice ? k : kTopKSlice, slices = top_k_slices(cols);
  return slices == 1 && kept == k ? 0 : rows * slices * kept;
}

/// Everything is in the device's memory.
struct TopKCuda {
  const float* x = nullptr;    // [rows, cols], rows x_stride elements apart
  RankedValue* top = nullptr;  // [rows, k]; where a row has fewer numbers, NaN at place -1
  int64_t rows = 0, cols = 0, x_stride = 0, k = 1;
  RankedValue* workspace = nullptr;  // top_k_workspace() elements, aligned to 8 bytes
};

/// Errors: kInvalidShape (negative extents, more than kMostTopKCols, k below 1 or above 2^31 - 2, a stride below cols),
/// kInvalidArgument (a null pointer, a workspace that is not aligned).
Status top_k_cuda(const TopKCuda& t, CUstream_st* stream);

}  // namespace weft
#endif
