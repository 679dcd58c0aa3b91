/// Pointwise non-linearities on a CUDA device, plain and gated (SwiGLU, GeGLU), as activation.h defines them.
///
///   y = f(gate) * up     or, without up,     y = f(gate)
///
/// Stream-ordered; no allocation, no synchronization. Computes in f32 and rounds once.
/// Bounds that tests hold it to: no 32-byte sectors beyond those of the data where rows begin at a sector, no
/// spills, all of a multiprocessor's threads.
#ifndef WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_CUDA_H
#define WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_CUDA_H

#include <weft/sdk/status.h>

#include "kernels/ops/activation/activation.h"
#include "kernels/tensor.h"

struct CUstream_st;

namespace weft {

/// Rows of `cols` adjacent elements, strides in elements: a product that gave gate and up side by side is read where it is.
struct ActivationCuda {
  Activation f = Activation::kSilu;
  DType dtype = DType::kF32;  // f32, f16 or bf16
  const void* gate = nullptr;
  const void* up = nullptr;  // or null
  void* y = nullptr;         // may be gate or up exactly
  int64_t rows = 0, cols = 0, gate_stride = 0, up_stride = 0, y_stride = 0;
};

/// Errors: kInvalidShape (negative extents, a stride below cols), kUnsupported (dtype), kInvalidArgument (a null pointer).
Status activate_cuda(const ActivationCuda& a, CUstream_st* stream);

/// x[i] += y[i]
struct AddCuda {
  void* x = nullptr;         // [count]
  const float* y = nullptr;  // [count]
  int64_t count = 0;
  DType dtype = DType::kF32;  // of x: f32, f16 or bf16
};
/// Errors: kInvalidShape (a negative count), kUnsupported (dtype), kInvalidArgument (a null pointer).
Status add_cuda(const AddCuda& a, CUstream_st* stream);

/// x[i] = scale * x[i] + shift
struct AffineCuda {
  float scale = 1, shift = 0;
  float* x = nullptr;  // [count]
  int64_t count = 0;
};
/// Errors: kInvalidShape (a negative count), kInvalidArgument (a null pointer).
Status affine_cuda(const AffineCuda& a, CUstream_st* stream);

/// x[i] = cap * tanh(x[i] / cap)
struct SoftCapCuda {
  float cap = 0;       // > 0
  float* x = nullptr;  // [count]
  int64_t count = 0;
};
/// Errors: kInvalidShape (a negative count), kInvalidArgument (a null pointer, a cap that is not positive).
Status soft_cap_cuda(const SoftCapCuda& s, CUstream_st* stream);

}  // namespace weft
#endif
