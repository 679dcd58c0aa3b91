#include "kernels/ops/softmax/softmax_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 256;

/// The largest of a block's values, in every thread; what is not a number is left out. partial: shared, kThreads / 32 floats.
__device__ __forceinline__ float block_max(float x, float* partial) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, flip));
  if (lane == 0) partial[warp] = x;
  __syncthreads();
  x = partial[lane % (kThreads / 32)];
#pragma unroll
  for (int flip = kThreads / 64; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, flip));
  return x;
}

__global__ void __launch_bounds__(kThreads)
    softmax_row(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t cols) {
  WEFT_SHARED(float, partial_max, kThreads / 32);
  WEFT_SHARED(float, partial_sum, kThreads / 32);
  const float* from = x + blockIdx.x * x_stride;
  float* to = y + blockIdx.x * y_stride;
  float largest = -INFINITY, sum = 0;
  for (int64_t i = threadIdx.x; i < cols; i += kThreads) largest = fmaxf(largest, from[i]);
  largest = block_max(largest, partial_max);
  for (int64_t i = threadIdx.x; i < cols; i += kThreads) sum += expf(scale * (from[i] - largest));
  const float factor = 1.0f / device::block_sum<kThreads>(sum, partial_sum);
  for (int64_t i = threadIdx.x; i < cols; i += kThreads) to[i] = expf(scale * (from[i] - largest)) * factor;
}

}  // namespace

Status softmax_cuda(const SoftmaxCuda& s, cudaStream_t stream) {
  if (s.rows < 0 || s.cols < 1)
    return Status(StatusCode::kInvalidShape, "softmax on a device: an impossible shape")
        .expected("rows >= 0, cols >= 1")
        .got(std::to_string(s.rows) + " and " + std::to_string(s.cols));
  if (s.rows > 1 && (s.x_stride < s.cols || s.y_stride < s.cols))
    return Status(StatusCode::kInvalidShape, "softmax on a device: a row stride is shorter than a row")
        .expected("at least " + std::to_string(s.cols));
  if (!(s.scale > 0) || (s.rows > 0 && (!s.x || !s.y)))
    return Status(StatusCode::kInvalidArgument,
                  "softmax on a device: a null pointer, or a scale that is not positive");
  if (s.rows == 0) return {};
  return device::launch(stream, "softmax_row", dim3(static_cast<unsigned>(s.rows)), kThreads, 0, softmax_row,
                        s.scale, s.x, s.x_stride, s.y, s.y_stride, s.cols);
}

}  // namespace weft
