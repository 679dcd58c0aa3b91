#include "kernels/ops/softmax/softmax_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kLoads = 8;  // of a thread, on their way together
constexpr int64_t kLongRow = 4096;

/// Calls f(column, value) for each element that is the thread's.
template <int kThreads, typename F>
__device__ __forceinline__ void for_each(const float* from, int64_t cols, F f) {
  for (int64_t first = threadIdx.x; first < cols; first += kThreads * kLoads) {
    float x[kLoads];
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      if (first + i * kThreads < cols) x[i] = from[first + i * kThreads];
    }
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      if (first + i * kThreads < cols) f(first + i * kThreads, x[i]);
    }
  }
}

/// The largest of a block's values, in every thread; what is not a number is left out. partial: shared, kThreads / 32 floats.
template <int kThreads>
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

template <int kThreads>
__global__ void __launch_bounds__(kThreads)
    softmax_row(float scale, const float* x, int64_t x_stride, float* y, int64_t y_stride, int64_t cols) {
  WEFT_SHARED(float, partial_max, kThreads / 32);
  WEFT_SHARED(float, partial_sum, kThreads / 32);
  const float* from = x + blockIdx.x * x_stride;
  float* to = y + blockIdx.x * y_stride;
  float largest = -INFINITY, sum = 0;
  for_each<kThreads>(from, cols, [&](int64_t, float value) { largest = fmaxf(largest, value); });
  largest = block_max<kThreads>(largest, partial_max);
  for_each<kThreads>(from, cols, [&](int64_t, float value) { sum += expf(scale * (value - largest)); });
  const float factor = 1.0f / device::block_sum<kThreads>(sum, partial_sum);
  for_each<kThreads>(from, cols,
                     [&](int64_t at, float value) { to[at] = expf(scale * (value - largest)) * factor; });
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
  const auto run = [&](unsigned threads, auto kernel) {
    return device::launch(stream, "softmax_row", dim3(static_cast<unsigned>(s.rows)), threads, 0, kernel,
                          s.scale, s.x, s.x_stride, s.y, s.y_stride, s.cols);
  };
  return s.cols > kLongRow ? run(1024, softmax_row<1024>) : run(256, softmax_row<256>);
}

}  // namespace weft
