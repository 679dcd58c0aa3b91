// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/top_k/top_k_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int kAtOnce = 4;  // vectors looked at together: most hold nothing of interest

// The larger lanes of kAtOnce vectors from x; maximum() keeps its second operand where one is not a number.
WEFT_INLINE F32 maximum_at(const float* x, F32 most) {
  WEFT_UNROLL
  for (int j = 0; j < kAtOnce; ++j) most = maximum(load(x + j * kLanes), most);
  return most;
}

// Bit i: whether lane i of v is at least lane i of least.
WEFT_INLINE uint32_t lanes_at_least(F32 v, F32 least) {
#if defined(WEFT_ISA_AVX512)
  return _mm512_cmp_ps_mask((__m512)v, (__m512)least, _CMP_GE_OQ);
#elif defined(WEFT_ISA_AVX2)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)v, (__m256)least, _CMP_GE_OQ)));
#else
  return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpge_ps((__m128)v, (__m128)least)));
#endif
}

float largest(const float* x, int64_t n) {
  const F32 nothing = broadcast(-__builtin_inff());
  F32 even = nothing, odd = nothing;
  int64_t i = 0;
  for (; i + 2 * kAtOnce * kLanes <= n; i += 2 * kAtOnce * kLanes) {
    even = maximum_at(x + i, even);
    odd = maximum_at(x + i + kAtOnce * kLanes, odd);
  }
  for (; i + kLanes <= n; i += kLanes) even = maximum(load(x + i), even);
  float result = max_lanes(maximum(even, odd));
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

void block_maxima(const float* x, int64_t n, int64_t block, float* maxima) {
  for (int64_t begin = 0; begin < n; begin += block)
    *maxima++ = largest(x + begin, n - begin < block ? n - begin : block);
}

int64_t find_at_least(const float* x, int64_t n, float threshold, int64_t most, int32_t* places) {
  const F32 least = broadcast(threshold);
  int64_t count = 0, i = 0;
  for (; i + kAtOnce * kLanes <= n && count < most; i += kAtOnce * kLanes) {
    uint64_t found = 0;
    WEFT_UNROLL
    for (int j = 0; j < kAtOnce; ++j)
      found |= uint64_t{lanes_at_least(load(x + i + j * kLanes), least)} << (j * kLanes);
    for (; found != 0 && count < most; found &= found - 1)
      places[count++] = static_cast<int32_t>(i + __builtin_ctzll(found));
  }
  for (; i < n && count < most; ++i)
    if (x[i] >= threshold) places[count++] = static_cast<int32_t>(i);
  return count;
}

}  // namespace

extern const TopKBodies kTopKBodies;
const TopKBodies kTopKBodies = {WEFT_ISA_NAME, block_maxima, find_at_least};

}  // namespace weft::WEFT_ISA_NAMESPACE
