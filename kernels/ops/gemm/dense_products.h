/// What one step of k does to a tile of sums, for each type of product. Part of dense_panel_cpu.cc.
///
/// A product type has kStep (values of k a step), kElementBytes (of an activation), kWeightBytes (of a group, a step) and
/// add_step(), which adds a step of R rows times G groups.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_PRODUCTS_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_PRODUCTS_H

#include "kernels/cpu/half_lane.h"
#include "kernels/cpu/lanes.h"
#include "kernels/ops/gemm/dense_panel.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

WEFT_LANE_FN float load_float(const uint8_t* p) {
  float value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

struct WeightsF32 {
  static constexpr int kBytes = 4;
  WEFT_LANE_FN F32x16 load(const uint8_t* w) { return f32_load(reinterpret_cast<const float*>(w)); }
};
struct WeightsF16 {
  static constexpr int kBytes = 2;
  WEFT_LANE_FN F32x16 load(const uint8_t* w) { return f32_from_f16(reinterpret_cast<const uint16_t*>(w)); }
};

/// f32 times what weights are as f32: one fused multiply-add a value (a product and a sum in the scalar body).
template <typename Weights>
struct ProductInF32 {
  static constexpr int kStep = 1, kElementBytes = 4, kWeightBytes = Weights::kBytes * kLanes;

  template <int R, int G>
  WEFT_LANE_FN void add_step(const uint8_t* a, int64_t row_stride, const uint8_t* w, int64_t group_bytes,
                             F32x16 (&sum)[R][G]) {
    F32x16 weights[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) weights[g] = Weights::load(w + g * group_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 x = f32_set1(load_float(a + r * row_stride));
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sum[r][g] = fma(weights[g], x, sum[r][g]);
    }
  }
};

/// The even and the odd elements of 16 pairs of bf16.
WEFT_LANE_FN void split_pairs(const uint8_t* p, F32x16* even, F32x16* odd) {
#if defined(WEFT_ISA_AVX512)
  const __m512i pairs = _mm512_loadu_si512(p);
  *even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  *odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
#elif defined(WEFT_ISA_AVX2)
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
  const __m256i mask = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  *even = {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
  *odd = {_mm256_castsi256_ps(_mm256_and_si256(low, mask)),
          _mm256_castsi256_ps(_mm256_and_si256(high, mask))};
#else
  const U32x16 pairs = load_vector<U32x16>(p);
  *even = f32_from_bits(pairs << 16);
  *odd = f32_from_bits(pairs & 0xffff0000u);
#endif
}

/// bf16 times bf16 where there is no such instruction: both as f32, in which their product is exact; even k, then odd.
struct ProductSplitBF16 {
  static constexpr int kStep = 2, kElementBytes = 4, kWeightBytes = 4 * kLanes;

  template <int R, int G>
  WEFT_LANE_FN void add_step(const uint8_t* a, int64_t row_stride, const uint8_t* w, int64_t group_bytes,
                             F32x16 (&sum)[R][G]) {
    F32x16 even[G], odd[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) split_pairs(w + g * group_bytes, &even[g], &odd[g]);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const F32x16 x0 = f32_set1(load_float(a + r * row_stride)),
                   x1 = f32_set1(load_float(a + r * row_stride + 4));
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sum[r][g] = fma(odd[g], x1, fma(even[g], x0, sum[r][g]));
    }
  }
};

#if defined(WEFT_ISA_AVX512BF16)
/// bf16 times bf16, a pair at a time, in one instruction.
struct ProductBF16 {
  static constexpr int kStep = 2, kElementBytes = 2, kWeightBytes = 4 * kLanes;

  template <int R, int G>
  WEFT_LANE_FN void add_step(const uint8_t* a, int64_t row_stride, const uint8_t* w, int64_t group_bytes,
                             F32x16 (&sum)[R][G]) {
    __m512bh weights[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) weights[g] = (__m512bh)_mm512_loadu_si512(w + g * group_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh x = (__m512bh)f32_set1(load_float(a + r * row_stride));
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) sum[r][g] = _mm512_dpbf16_ps(sum[r][g], weights[g], x);
    }
  }
};
#endif

typedef uint16_t Half16 __attribute__((vector_size(32)));

/// 16 lanes rounded to bf16.
WEFT_LANE_FN Half16 bf16_from_f32(F32x16 v) {
#if defined(WEFT_ISA_AVX512BF16)
  return (Half16)_mm512_cvtneps_pbh(v);
#else
  typedef uint32_t Bits16 __attribute__((vector_size(64)));
  Bits16 bits;
  __builtin_memcpy(&bits, &v, sizeof(bits));
  const Bits16 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const Bits16 is_nan = (Bits16)((bits & 0x7fffffff) > 0x7f800000);  // stays one
  return __builtin_convertvector((is_nan & (bits >> 16 | 0x40)) | (~is_nan & rounded), Half16);
#endif
}

/// 16 lanes rounded to f16.
WEFT_LANE_FN Half16 f16_from_f32(F32x16 v) {
#if defined(WEFT_ISA_AVX512)
  return (Half16)_mm512_maskz_cvtps_ph(0xffff, v, _MM_FROUND_TO_NEAREST_INT);
#else
  Half16 half;
#if defined(WEFT_ISA_AVX2)
  const __m128i halves[2] = {_mm256_cvtps_ph(v.lo, _MM_FROUND_TO_NEAREST_INT),
                             _mm256_cvtps_ph(v.hi, _MM_FROUND_TO_NEAREST_INT)};
  __builtin_memcpy(&half, halves, sizeof(half));
#else
  for (int lane = 0; lane < kLanes; ++lane) half[lane] = f32_to_f16(v[lane]);
#endif
  return half;
#endif
}

WEFT_LANE_FN void store_elements(void* to, PanelElement type, int64_t at, F32x16 v, int n) {
  if (type == PanelElement::kF32) {
    float* out = static_cast<float*>(to) + at;
    if (n == kLanes) f32_store(out, v);
    else f32_store_n(out, n, v);
  } else {
    const Half16 half = type == PanelElement::kF16 ? f16_from_f32(v) : bf16_from_f32(v);
    uint16_t* out = static_cast<uint16_t*>(to) + at;
    if (n == kLanes) __builtin_memcpy(out, &half, sizeof(half));
    else __builtin_memcpy(out, &half, static_cast<unsigned>(n) * 2);
  }
}

WEFT_LANE_FN F32x16 load_elements(const void* from, PanelElement type, int64_t at, int n) {
  if (type == PanelElement::kF32) {
    const float* in = static_cast<const float*>(from) + at;
    return n == kLanes ? f32_load(in) : f32_load_n(in, n);
  }
  uint16_t lanes[kLanes] = {};
  const uint16_t* in = static_cast<const uint16_t*>(from) + at;
  if (n != kLanes) {
    __builtin_memcpy(lanes, in, static_cast<unsigned>(n) * 2);
    in = lanes;
  }
  return type == PanelElement::kF16 ? f32_from_f16(in) : f32_from_bf16(in);
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
