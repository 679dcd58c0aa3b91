/// Norms of rows on a CUDA device, with the addition before them.
///
///   sum = x + residual;  y = norm(sum)      as norm.h defines kRms and kLayer
///
/// Stream-ordered; no allocation, no synchronization. One block a row, which is read once and stays in registers.
/// Bounds that tests hold it to: no 32-byte sectors beyond those of the data where rows are aligned to four elements (where they are
/// read by eight, weights take two accesses, each with every second 16 bytes of a sector), no bank conflicts, no spills, half of a
/// multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_NORM_NORM_CUDA_H
#define WEFT_KERNELS_OPS_NORM_NORM_CUDA_H

#include <weft/sdk/status.h>

#include "kernels/ops/norm/norm.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

inline constexpr int64_t kMaxNormCudaCols = 32768;

/// Everything is in the device's memory. y may be x exactly, and so may sum.
struct NormCuda {
  Norm norm;                       // weight and bias: [cols] f32
  DType dtype = DType::kF32;       // of x, residual, sum and y: f32, f16 or bf16
  const void* x = nullptr;         // [rows, cols], rows x_stride elements apart
  const void* residual = nullptr;  // as x, or null: nothing is added
  void* sum = nullptr;             // as x, written; or null: not kept
  void* y = nullptr;               // [rows, cols], rows y_stride elements apart
  int64_t rows = 0, cols = 0, x_stride = 0, y_stride = 0;
};

/// Computes in f32 and rounds once. Errors: kInvalidShape (cols below 1 or above kMaxNormCudaCols, a stride below cols),
/// kUnsupported (dtype), kInvalidArgument (a null pointer, an epsilon that is not positive, a bias with kRms).
Status norm_cuda(const NormCuda& n, CUstream_st* stream);

}  // namespace weft
#endif
