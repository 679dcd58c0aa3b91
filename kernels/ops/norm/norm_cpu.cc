// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/norm/norm_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

// Two accumulators hide the latency of the addition; their number is part of the result's bits.
template <typename Term>
WEFT_INLINE float sum_over_row(const float* x, int64_t cols, Term term) {
  F32 even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= cols; i += 2 * kLanes) {
    even = term(load(x + i), even, kLanes);
    odd = term(load(x + i + kLanes), odd, kLanes);
  }
  for (; i < cols; i += kLanes) {
    const int64_t n = cols - i < kLanes ? cols - i : kLanes;
    even = term(n == kLanes ? load(x + i) : load_first(x + i, n), even, n);
  }
  return sum_lanes(even + odd);
}

void rms(const float* weight, float epsilon, const float* x, float* y, int64_t cols) {
  const float squares =
      sum_over_row(x, cols, [](F32 v, F32 sum, int64_t) { return multiply_add(v, v, sum); });
  const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + epsilon);
  int64_t i = 0;
  for (; i + kLanes <= cols; i += kLanes) store(y + i, load(x + i) * broadcast(scale) * load(weight + i));
  for (; i < cols; ++i) y[i] = x[i] * scale * weight[i];
}

void layer(const float* weight, const float* bias, float epsilon, const float* x, float* y, int64_t cols) {
  const float mean =
      sum_over_row(x, cols, [](F32 v, F32 sum, int64_t) { return sum + v; }) / static_cast<float>(cols);
  const float squares = sum_over_row(x, cols, [mean](F32 v, F32 sum, int64_t n) {
    F32 d = v - broadcast(mean);
    for (int64_t lane = n; lane < kLanes; ++lane) d[lane] = 0;
    return multiply_add(d, d, sum);
  });
  const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + epsilon);
  for (int64_t i = 0; i < cols; ++i) {
    const float normal = (x[i] - mean) * scale * weight[i];
    y[i] = bias ? normal + bias[i] : normal;
  }
}

}  // namespace

extern const NormBodies kNormBodies;
const NormBodies kNormBodies = {WEFT_ISA_NAME, rms, layer};

}  // namespace weft::WEFT_ISA_NAMESPACE
