// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/sampling/sampling_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

float largest(const float* x, int64_t n) {
  const F32 nothing = broadcast(-__builtin_inff());
  F32 most[4] = {nothing, nothing, nothing,
                 nothing};  // maximum() keeps its second operand where one is not a number
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int j = 0; j < 4; ++j) most[j] = maximum(load(x + i + j * kLanes), most[j]);
  }
  float result = max_lanes(maximum(maximum(most[0], most[1]), maximum(most[2], most[3])));
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

void copy_numbers(const float* x, int64_t n, float* y) {
  const F32 nothing = broadcast(-__builtin_inff());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const F32 v = load(x + i);
    store(y + i, choose(v == v, v, nothing));
  }
  for (; i < n; ++i) y[i] = x[i] == x[i] ? x[i] : -__builtin_inff();
}

double sum_weights(const float* x, int64_t n, float most, float inverse_temperature, float threshold) {
  constexpr int64_t kBlock = 4096;
  const F32 shift = broadcast(most), scale = broadcast(inverse_temperature), least = broadcast(threshold);
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = begin + kBlock < n ? begin + kBlock : n;
    F32 sum = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const F32 v = load(x + i);
      sum += keep_where(v >= least, exponential((v - shift) * scale));
    }
    if (i < end) {
      const F32 v = load_first(x + i, end - i);
      F32 weight = keep_where(v >= least, exponential((v - shift) * scale));
      for (int64_t lane = end - i; lane < kLanes; ++lane) weight[lane] = 0;
      sum += weight;
    }
    total += static_cast<double>(sum_lanes(sum));
  }
  return total;
}

int64_t find_at_least(const float* x, int64_t n, float threshold, int64_t most, int32_t* places) {
  const F32 nothing = broadcast(-__builtin_inff());
  int64_t count = 0, i = 0;
  const auto look = [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      if (x[j] >= threshold && count < most) places[count++] = static_cast<int32_t>(j);
    }
  };
  // Most blocks hold nothing of interest.
  for (; i + 4 * kLanes <= n && count < most; i += 4 * kLanes) {
    F32 block = nothing;
    for (int j = 0; j < 4; ++j) block = maximum(load(x + i + j * kLanes), block);
    if (max_lanes(block) >= threshold) look(i, i + 4 * kLanes);
  }
  look(i, n);
  return count;
}

}  // namespace

extern const SamplingBodies kSamplingBodies;
const SamplingBodies kSamplingBodies = {largest, copy_numbers, sum_weights, find_at_least};

}  // namespace weft::WEFT_ISA_NAMESPACE
