// A warp ranks a slice of a row in registers; then a block merges the slices' lists, a thread each.

#include <algorithm>

#include "kernels/ops/top_k/order_device.h"
#include "kernels/ops/top_k/top_k_cuda.h"

namespace weft {
namespace {

using device::order_of;
using device::value_of;

constexpr int kSlice = static_cast<int>(kTopKSlice), kOfLane = kSlice / 32;
constexpr int kThreads = 128, kWarps = kThreads / 32;
constexpr int kNone = 0x7fffffff;  // the place of nothing, after all others

/// order: 0 for nothing; else it grows with the value.
struct Ranked {
  uint32_t order;
  int place;
};

/// ranks_before().
__device__ __forceinline__ bool before(Ranked a, Ranked b) {
  return a.order != b.order ? a.order > b.order : a.place < b.place;
}

__device__ __forceinline__ Ranked warp_first(Ranked x) {
#pragma unroll
  for (int flip = 16; flip > 0; flip /= 2) {
    Ranked other;
    other.order = __shfl_xor_sync(0xffffffffu, x.order, flip);
    other.place = __shfl_xor_sync(0xffffffffu, x.place, flip);
    if (before(other, x)) x = other;
  }
  return x;
}

__device__ __forceinline__ void store(RankedValue* to, Ranked x) {
  to->value = x.order == 0 ? NAN : value_of(x.order);
  to->place = x.order == 0 ? -1 : x.place;
}

/// The first `kept` of each slice, best first: out[row][rank][slice].
template <bool kVector>
__global__ void __launch_bounds__(kThreads)
    rank_slices(const float* x, RankedValue* out, int64_t x_stride, int cols, int slices, int kept) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int slice = static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (slice >= slices) return;
  const float* row = x + blockIdx.x * x_stride;
  // Of element i of a lane; places ascend with i.
  const auto place_of = [&](int i) {
    return slice * kSlice + (kVector ? i / 4 * 128 + lane * 4 + i % 4 : i * 32 + lane);
  };
  uint32_t order[kOfLane];
#pragma unroll
  for (int i = 0; i < kOfLane; i += 4) {
    device::Quad quad = {{NAN, NAN, NAN, NAN}};
    if constexpr (kVector) {
      if (place_of(i) < cols) quad = device::load_quad(row + place_of(i));
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        if (place_of(i + j) < cols) quad.v[j] = row[place_of(i + j)];
      }
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) order[i + j] = order_of(quad.v[j]);
  }
  for (int rank = 0; rank < kept; ++rank) {
    uint32_t largest = 0;
    int at = 0;
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      if (order[i] > largest) largest = order[i], at = i;
    }
    const Ranked mine = {largest, largest == 0 ? kNone : place_of(at)}, best = warp_first(mine);
    if (lane == 0) store(out + (blockIdx.x * static_cast<int64_t>(kept) + rank) * slices + slice, best);
#pragma unroll
    for (int i = 0; i < kOfLane; ++i) {
      if (best.place == mine.place && i == at) order[i] = 0;
    }
  }
}

/// lists: what rank_slices() left.
template <int kMergeThreads>
__global__ void __launch_bounds__(kMergeThreads)
    merge_slices(const RankedValue* lists, RankedValue* top, int slices, int kept, int k) {
  constexpr int kMergeWarps = kMergeThreads / 32;
  WEFT_SHARED(uint32_t, orders, 2 * kMergeWarps);
  WEFT_SHARED(int, places, 2 * kMergeWarps);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const RankedValue* list = lists + blockIdx.x * static_cast<int64_t>(kept) * slices + thread;
  const auto load = [&](int rank) -> Ranked {
    if (thread >= slices || rank >= kept) return {0, kNone};
    const device::Words2 w = device::load8(list + static_cast<int64_t>(rank) * slices);
    const uint32_t order = order_of(__uint_as_float(w.w[0]));
    return {order, order == 0 ? kNone : static_cast<int>(w.w[1])};
  };
  Ranked first = load(0), second = load(1);
  int loaded = 2;
  for (int rank = 0; rank < k; ++rank) {
    const int half = rank % 2 * kMergeWarps;  // that is not read any more since the last barrier
    Ranked best = warp_first(first);
    if (lane == 0) orders[half + warp] = best.order, places[half + warp] = best.place;
    __syncthreads();
    best = warp_first({orders[half + lane % kMergeWarps], places[half + lane % kMergeWarps]});
    if (thread == 0) store(top + blockIdx.x * static_cast<int64_t>(k) + rank, best);
    if (best.order != 0 && best.place == first.place) first = second, second = load(loaded++);
  }
}

}  // namespace

Status top_k_cuda(const TopKCuda& t, cudaStream_t stream) {
  constexpr int64_t kMost = kNone;
  if (t.rows < 0 || t.cols < 0 || t.cols > kMostTopKCols || t.k < 1 || t.k >= kMost ||
      (t.rows > 1 && t.x_stride < t.cols))
    return Status(StatusCode::kInvalidShape, "top-k on a device: an impossible shape")
        .expected("rows >= 0, cols in [0, " + std::to_string(kMostTopKCols) +
                  "], k >= 1, a stride of at least a row")
        .got("rows " + std::to_string(t.rows) + ", cols " + std::to_string(t.cols) + ", k " +
             std::to_string(t.k) + ", stride " + std::to_string(t.x_stride));
  if (t.rows == 0) return {};
  const bool merged = top_k_workspace(1, t.cols, t.k) > 0;
  if (!t.top || (t.cols > 0 && !t.x) || (merged && !t.workspace))
    return Status(StatusCode::kInvalidArgument, "top-k on a device: a pointer is null");
  if (!device::aligned_to(t.workspace, 8))
    return Status(StatusCode::kInvalidArgument, "top-k on a device: the workspace is not aligned to 8 bytes");
  const int slices = static_cast<int>(top_k_slices(t.cols)), k = static_cast<int>(t.k),
            kept = std::min(k, kSlice);
  RankedValue* lists = merged ? t.workspace : t.top;
  const bool vector = t.cols % 4 == 0 && t.x_stride % 4 == 0 && device::aligned_to(t.x, 16);
  const Status ranked = device::launch(
      stream, "rank_slices",
      dim3(static_cast<unsigned>(t.rows), static_cast<unsigned>((slices + kWarps - 1) / kWarps)), kThreads, 0,
      vector ? rank_slices<true> : rank_slices<false>, t.x, lists, t.x_stride, static_cast<int>(t.cols),
      slices, kept);
  if (!ranked.ok() || !merged) return ranked;
  const auto merge = [&](unsigned threads, auto kernel) {
    return device::launch(stream, "merge_slices", dim3(static_cast<unsigned>(t.rows)), threads, 0, kernel,
                          static_cast<const RankedValue*>(lists), t.top, slices, kept, k);
  };
  return slices <= 256 ? merge(256, merge_slices<256>) : merge(1024, merge_slices<1024>);
}

}  // namespace weft
