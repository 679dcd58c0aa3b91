// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/sampling/sampling_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int kSums = kWeightLimits + 1;
constexpr int kSummed = 128;  // vectors whose weights f32 adds without rounding

// 2^33 e^x for x <= 0, to about 1 ulp; below 1/2 for x < -24 and for what is not a number. Every product and sum is rounded:
// FMA would give other bits than a machine without. Source: the polynomial of Cephes' expf.
WEFT_INLINE F32 unrounded_weight(F32 x) {
  const F32 clamped = maximum(x, broadcast(-24.0f));
  const F32 shifter = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F32 shifted = clamped * broadcast(1.44269504088896341f) + shifter;
  const F32 n = shifted - shifter;
  F32 r = clamped - n * broadcast(0.693359375f);
  r = r + n * broadcast(2.12194440e-4f);
  F32 p = broadcast(1.9875691500e-4f);
  p = p * r + broadcast(1.3981999507e-3f);
  p = p * r + broadcast(8.3334519073e-3f);
  p = p * r + broadcast(4.1665795894e-2f);
  p = p * r + broadcast(1.6666665459e-1f);
  p = p * r + broadcast(5.0000001201e-1f);
  p = p * (r * r) + (r + broadcast(1.0f));
  const I32 exponent = (I32)shifted - (I32)shifter;  // -35 to 0
  return p * (F32)((exponent + (127 + 33)) << 23);
}

// A weight in two parts that f32 adds exactly, kSummed of them: multiples of 2^16, and what is left, at most 2^15.
struct Parts {
  F32 high, low;
};
WEFT_INLINE Parts parts_of(F32 unrounded) {
  const F32 to_high = broadcast(0x1.8p39f), to_integer = broadcast(0x1.8p23f);
  const F32 high = (unrounded + to_high) - to_high;
  return {high, ((unrounded - high) + to_integer) - to_integer};
}

WEFT_INLINE void add_where(I32 mask, const Parts& weight, Parts& sum) {
  sum.high += keep_where(mask, weight.high);
  sum.low += keep_where(mask, weight.low);
}

uint64_t sum_lanes_exactly(const Parts& sum) {
  int64_t total = 0;
  for (int i = 0; i < kLanes; ++i)
    total += static_cast<int64_t>(sum.high[i]) + static_cast<int64_t>(sum.low[i]);
  return static_cast<uint64_t>(total);
}

void weigh(const float* x, int64_t n, float scale, float largest, uint64_t* weights) {
  const F32 shift = broadcast(largest), factor = broadcast(scale);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = n - i < kLanes ? n - i : kLanes;
    const F32 v = count == kLanes ? load(x + i) : load_first(x + i, count);
    const Parts weight = parts_of(unrounded_weight((v - shift) * factor));
    for (int64_t j = 0; j < count; ++j)
      weights[i + j] =
          static_cast<uint64_t>(static_cast<int64_t>(weight.high[j]) + static_cast<int64_t>(weight.low[j]));
  }
}

void sum_weights(const float* x, int64_t n, float scale, float largest, const float* limits, uint64_t* sums) {
  const F32 shift = broadcast(largest), factor = broadcast(scale);
  F32 least[kWeightLimits];
  for (int k = 0; k < kWeightLimits; ++k) least[k] = broadcast(limits[k]);
  for (int k = 0; k < kSums; ++k) sums[k] = 0;
  for (int64_t begin = 0; begin < n; begin += kSummed * kLanes) {
    const int64_t end = begin + kSummed * kLanes < n ? begin + kSummed * kLanes : n;
    Parts block[kSums] = {};
    for (int64_t i = begin; i < end; i += kLanes) {
      const int64_t count = end - i < kLanes ? end - i : kLanes;
      const F32 v = count == kLanes ? load(x + i) : load_first(x + i, count);
      const I32 there = mask_of_first(count);
      const Parts weight = parts_of(unrounded_weight((v - shift) * factor));
      WEFT_UNROLL
      for (int k = 0; k < kWeightLimits; ++k) add_where((v >= least[k]) & there, weight, block[k]);
      add_where(there, weight, block[kWeightLimits]);
    }
    for (int k = 0; k < kSums; ++k) sums[k] += sum_lanes_exactly(block[k]);
  }
}

}  // namespace

extern const SamplingBodies kSamplingBodies;
const SamplingBodies kSamplingBodies = {WEFT_ISA_NAME, weigh, sum_weights};

}  // namespace weft::WEFT_ISA_NAMESPACE
