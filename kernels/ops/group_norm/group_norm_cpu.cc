// Mean and variance of channels; compiled once per instruction set; see kernels/cpu/isa_bodies.h.
//
// Lanes are channels. Values less the channel's first one are summed in f32 over runs of 64 pixels, runs in double: a lane's
// bits depend on its channel alone, not on its neighbours.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/group_norm/group_norm_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kRun = 64;
constexpr int kMostVectors = 4;

struct LoadF32 {
  typedef float Element;
  static WEFT_INLINE F32 all(const float* p) { return load(p); }
  static WEFT_INLINE F32 first(const float* p, int64_t n) { return load_first(p, n); }
};
template <F32 (*kLoad)(const uint16_t*)>
struct LoadHalf {
  typedef uint16_t Element;
  static WEFT_INLINE F32 all(const uint16_t* p) { return kLoad(p); }
  static WEFT_INLINE F32 first(const uint16_t* p, int64_t n) {
    uint16_t rest[kLanes] = {};
    __builtin_memcpy(rest, p, static_cast<size_t>(n) * 2);
    return all(rest);
  }
};

/// Channels of V vectors, the last of which has `last` lanes, from channel `first` on.
template <typename Load, int V>
void moments_of_vectors(const MomentsTask& task, int64_t first, int64_t last) {
  const typename Load::Element* x = static_cast<const typename Load::Element*>(task.x) + first;
  const auto at = [last](const typename Load::Element* p, int v) {
    return v == V - 1 && last != kLanes ? Load::first(p + v * kLanes, last) : Load::all(p + v * kLanes);
  };
  F32 origin[V];
  WEFT_UNROLL
  for (int v = 0; v < V; ++v) origin[v] = at(x, v);
  double sum[V * kLanes] = {}, squares[V * kLanes] = {};
  int64_t row = 0, col = 0;
  const int64_t pixels = task.rows * task.cols;
  for (int64_t begin = 0; begin < pixels; begin += kRun) {
    F32 run_sum[V] = {}, run_squares[V] = {};
    const int64_t end = begin + kRun < pixels ? begin + kRun : pixels;
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      const typename Load::Element* p = x + row * task.row_stride + col * task.col_stride;
      WEFT_UNROLL
      for (int v = 0; v < V; ++v) {
        const F32 d = at(p, v) - origin[v];
        run_sum[v] += d;
        run_squares[v] = multiply_add(d, d, run_squares[v]);
      }
      if (++col == task.cols) {
        col = 0;
        ++row;
      }
    }
    for (int v = 0; v < V; ++v) {
      for (int lane = 0; lane < kLanes; ++lane) {
        sum[v * kLanes + lane] += static_cast<double>(run_sum[v][lane]);
        squares[v * kLanes + lane] += static_cast<double>(run_squares[v][lane]);
      }
    }
  }
  const int64_t channels = (V - 1) * kLanes + last;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = sum[c] / static_cast<double>(pixels);
    const double rest = squares[c] - mean * sum[c];
    task.mean[first + c] = static_cast<float>(static_cast<double>(origin[c / kLanes][c % kLanes]) + mean);
    task.squares[first + c] = static_cast<float>(rest < 0 ? 0 : rest);
  }
}

template <typename Load>
void moments_of(const MomentsTask& task) {
  int64_t c = 0;
  for (; c + kMostVectors * kLanes <= task.channels; c += kMostVectors * kLanes)
    moments_of_vectors<Load, kMostVectors>(task, c, kLanes);
  for (; c + kLanes <= task.channels; c += kLanes) moments_of_vectors<Load, 1>(task, c, kLanes);
  if (c < task.channels) moments_of_vectors<Load, 1>(task, c, task.channels - c);
}

void moments(const MomentsTask& task) {
  switch (task.type) {
    case PanelElement::kF32: return moments_of<LoadF32>(task);
    case PanelElement::kBF16: return moments_of<LoadHalf<load_bf16>>(task);
    case PanelElement::kF16: return moments_of<LoadHalf<load_f16>>(task);
  }
}

}  // namespace

extern const GroupNormBodies kGroupNormBodies;
const GroupNormBodies kGroupNormBodies = {WEFT_ISA_NAME, moments};

}  // namespace weft::WEFT_ISA_NAMESPACE
