/// Softmax of rows on a CUDA device, as softmax.h defines it.
///
/// One block a row, which is read three times: for the largest, for the sum, and to write. Stream-ordered; no allocation, no
/// synchronization. Bounds that tests hold it to: at most one sector a request beyond those of the data, no bank conflicts, no
/// spills, three quarters of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_CUDA_H
#define WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_CUDA_H

#include <weft/sdk/status.h>

#include <cstdint>

struct CUstream_st;

namespace weft {

/// x, y: [rows, cols] f32 in the device's memory, rows x_stride and y_stride elements apart; may alias exactly. scale: > 0.
/// Errors: kInvalidShape (cols below 1, rows below 0, a stride below cols), kInvalidArgument (a null pointer, a scale that is
/// not a positive number).
Status softmax_cuda(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t rows,
                    int64_t cols, CUstream_st* stream);

}  // namespace weft
#endif
