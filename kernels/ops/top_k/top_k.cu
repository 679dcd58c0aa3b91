#include "kernels/ops/top_k/top_k_cuda.h"
#include "kernels/simt/target.h"

namespace weft {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kNone = 0x7fffffff;  // the place of nothing, after all others

struct Ranked {
  float value;
  int place;
};

/// ranks_before(), where -infinity at kNone stands for nothing.
__device__ __forceinline__ bool before(Ranked a, Ranked b) {
  return a.value != b.value ? a.value > b.value : a.place < b.place;
}

__device__ __forceinline__ Ranked warp_first(Ranked x) {
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) {
    Ranked other;
    other.value = __shfl_xor_sync(0xffffffffu, x.value, flip);
    other.place = __shfl_xor_sync(0xffffffffu, x.place, flip);
    if (before(other, x)) x = other;
  }
  return x;
}

__global__ void __launch_bounds__(kThreads)
    top_k_rows(const float* x, RankedValue* top, int64_t x_stride, int cols, int k) {
  WEFT_SHARED(float, values, kWarps);
  WEFT_SHARED(int, places, kWarps);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const float* row = x + blockIdx.x * x_stride;
  Ranked last = {INFINITY, -1};
  for (int rank = 0; rank < k; ++rank) {
    Ranked best = {-INFINITY, kNone};
    for (int i = thread; i < cols; i += kThreads) {
      const Ranked candidate = {row[i], i};
      if (candidate.value != candidate.value) continue;
      if (before(last, candidate) && before(candidate, best)) best = candidate;
    }
    best = warp_first(best);
    if (lane == 0) values[warp] = best.value, places[warp] = best.place;
    __syncthreads();
    best = warp_first({values[lane % kWarps], places[lane % kWarps]});
    __syncthreads();  // the next rank uses the same memory
    if (thread == 0) {
      RankedValue& out = top[blockIdx.x * static_cast<int64_t>(k) + rank];
      out.value = best.place == kNone ? NAN : best.value;
      out.place = best.place == kNone ? -1 : best.place;
    }
    last = best;
  }
}

}  // namespace

Status top_k_cuda(const TopKCuda& t, cudaStream_t stream) {
  constexpr int64_t kMost = kNone;
  if (t.rows < 0 || t.cols < 0 || t.cols >= kMost || t.k < 1 || t.k >= kMost ||
      (t.rows > 1 && t.x_stride < t.cols))
    return Status(StatusCode::kInvalidShape, "top-k on a device: an impossible shape")
        .expected("rows, cols >= 0, k >= 1, a stride of at least a row")
        .got("rows " + std::to_string(t.rows) + ", cols " + std::to_string(t.cols) + ", k " +
             std::to_string(t.k) + ", stride " + std::to_string(t.x_stride));
  if (t.rows == 0) return {};
  if (!t.top || (t.cols > 0 && !t.x))
    return Status(StatusCode::kInvalidArgument, "top-k on a device: a pointer is null");
  return device::launch(stream, "top_k_rows", dim3(static_cast<unsigned>(t.rows)), kThreads, 0, top_k_rows,
                        t.x, t.top, t.x_stride, static_cast<int>(t.cols), static_cast<int>(t.k));
}

}  // namespace weft
