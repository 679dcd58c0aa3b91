/// Softmax of rows on a CUDA device, as softmax.h defines it.
///
/// One block a row, which is read three times: for the largest, for the sum, and to write. Stream-ordered; no allocation, no
/// synchronization. Bounds that tests hold it to: at most one sector a request beyond those of the data, no bank conflicts, no
/// spills, half of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_CUDA_H
#define WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

struct CUstream_st;

namespace weft {

/// Everything is in the device's memory; y may be x exactly.
struct SoftmaxCuda {
  float scale = 1;           // > 0
  const float* x = nullptr;  // [rows, cols], rows x_stride elements apart
  int64_t x_stride = 0;
  float* y = nullptr;  // as x, rows y_stride elements apart
  int64_t y_stride = 0;
  int64_t rows = 0, cols = 0;
};

/// Errors: kInvalidShape (cols below 1, rows below 0, a stride below cols), kInvalidArgument (a null pointer, a scale that is
/// not a positive number).
Status softmax_cuda(const SoftmaxCuda& s, CUstream_st* stream);

}  // namespace weft
#endif
