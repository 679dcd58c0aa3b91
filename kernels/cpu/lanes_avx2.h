/// lanes.h for the avx2 body: two ymm registers. Not to be included directly.
#ifndef WEFT_KERNELS_CPU_LANES_AVX2_H
#define WEFT_KERNELS_CPU_LANES_AVX2_H

#include <immintrin.h>

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

struct F32x16 {
  __m256 lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct U8x64 {
  __m256i lo, hi;
};

WEFT_LANE_FN __m256i first_lanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

WEFT_LANE_FN F32x16 f32_set1(float v) { return {_mm256_set1_ps(v), _mm256_set1_ps(v)}; }
WEFT_LANE_FN F32x16 f32_zero() { return f32_set1(0); }
WEFT_LANE_FN F32x16 f32_load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
/// The first n of 16 lanes, the others zero; reads nothing beyond. n: 0 to 16.
WEFT_LANE_FN F32x16 f32_load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, first_lanes(n)), _mm256_maskload_ps(p + 8, first_lanes(n - 8))};
}
WEFT_LANE_FN void f32_store(float* p, F32x16 v) {
  _mm256_storeu_ps(p, v.lo);
  _mm256_storeu_ps(p + 8, v.hi);
}
WEFT_LANE_FN void f32_store_n(float* p, int n, F32x16 v) {
  _mm256_maskstore_ps(p, first_lanes(n), v.lo);
  _mm256_maskstore_ps(p + 8, first_lanes(n - 8), v.hi);
}
WEFT_LANE_FN F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
WEFT_LANE_FN F32x16 mul(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
WEFT_LANE_FN F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
/// a * b + c
WEFT_LANE_FN F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

WEFT_LANE_FN __m128i load_128(const void* p) { return _mm_loadu_si128((const __m128i*)p); }
WEFT_LANE_FN F32x16 f32_from_i32(I32x16 v) { return {_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi)}; }
WEFT_LANE_FN F32x16 f32_from_f16(const uint16_t* p) {
  return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))};
}
WEFT_LANE_FN __m256 f32_from_bf16_8(const uint16_t* p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_128(p)), 16));
}
WEFT_LANE_FN F32x16 f32_from_bf16(const uint16_t* p) { return {f32_from_bf16_8(p), f32_from_bf16_8(p + 8)}; }
WEFT_LANE_FN I32x16 i32_from_u8(const uint8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
WEFT_LANE_FN F32x16 f32_from_u8(const uint8_t* p) { return f32_from_i32(i32_from_u8(p)); }
WEFT_LANE_FN F32x16 f32_from_i8(const uint8_t* p) {
  const __m128i bytes = load_128(p);
  return f32_from_i32({_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))});
}

WEFT_LANE_FN I32x16 i32_load(const void* p) {
  const __m256i* halves = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
WEFT_LANE_FN I32x16 i32_set1(int32_t v) { return {_mm256_set1_epi32(v), _mm256_set1_epi32(v)}; }
WEFT_LANE_FN I32x16 i32_zero() { return i32_set1(0); }
WEFT_LANE_FN I32x16 i32_add(I32x16 a, I32x16 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
WEFT_LANE_FN I32x16 i32_or(I32x16 a, I32x16 b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
/// (v >> shift) & mask, of lanes that are not negative. shift: 0 to 31.
WEFT_LANE_FN I32x16 i32_bits(I32x16 v, int shift, int32_t mask) {
  const __m128i count = _mm_cvtsi32_si128(shift);
  const __m256i kept = _mm256_set1_epi32(mask);
  return {_mm256_and_si256(_mm256_srl_epi32(v.lo, count), kept),
          _mm256_and_si256(_mm256_srl_epi32(v.hi, count), kept)};
}
template <int kBits>
WEFT_LANE_FN I32x16 i32_shift_left(I32x16 v) {
  return {_mm256_slli_epi32(v.lo, kBits), _mm256_slli_epi32(v.hi, kBits)};
}
WEFT_LANE_FN __m256i where_8(int bits, int32_t value) {
  const __m256i bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(bits), bit_of_lane);
  return _mm256_and_si256(_mm256_cmpeq_epi32(set, bit_of_lane), _mm256_set1_epi32(value));
}
/// `value` in each lane whose bit is set, 0 in the others.
WEFT_LANE_FN I32x16 i32_where(uint16_t bits, int32_t value) {
  return {where_8(bits, value), where_8(bits >> 8, value)};
}
WEFT_LANE_FN __m256 lookup16_8(const float* table, __m256i v) {
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), v);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), v);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(v, 28)));  // by bit 3
}
/// table[v] of 16 values. v: 0 to 15.
WEFT_LANE_FN F32x16 f32_lookup16(const float* table, I32x16 v) {
  return {lookup16_8(table, v.lo), lookup16_8(table, v.hi)};
}
/// The f16 at p, which need not be aligned.
WEFT_LANE_FN float f32_from_one_f16(const uint8_t* p) {
  uint16_t bits;
  __builtin_memcpy(&bits, p, sizeof(bits));
  return _cvtsh_ss(bits);
}
/// Round to nearest even; lanes beyond the range of i32 become the smallest i32.
WEFT_LANE_FN I32x16 i32_round(F32x16 v) { return {_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi)}; }
/// The low bytes of 16 lanes. Precondition: the lanes are in [-128, 127].
WEFT_LANE_FN void i8_store(int8_t* p, I32x16 v) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.lo, v.hi), 0xd8);
  _mm_storeu_si128((__m128i*)p,
                   _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
/// (p[lane] >> kShift) & 15
template <int kShift>
WEFT_LANE_FN F32x16 f32_from_nibbles(const uint8_t* p) {
  const I32x16 v = i32_from_u8(p);
  const __m256i mask = _mm256_set1_epi32(15);
  return f32_from_i32({_mm256_and_si256(_mm256_srli_epi32(v.lo, kShift), mask),
                       _mm256_and_si256(_mm256_srli_epi32(v.hi, kShift), mask)});
}
WEFT_LANE_FN __m256 f32_from_exponents_8(__m256i e) {
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
  return _mm256_castsi256_ps(
      _mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
}
/// 2^(p[lane] - 128): half of what the exponent bytes of MXFP4 stand for; down to 2^-128, which is subnormal.
WEFT_LANE_FN F32x16 f32_from_exponents(const uint8_t* p) {
  const I32x16 e = i32_from_u8(p);
  return {f32_from_exponents_8(e.lo), f32_from_exponents_8(e.hi)};
}
/// Eight lanes of a and eight of b.
WEFT_LANE_FN F32x16 f32_halves(float a, float b) { return {_mm256_set1_ps(a), _mm256_set1_ps(b)}; }
WEFT_LANE_FN int32_t reduce_add_8(__m256i v) {
  const __m128i b = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i c = _mm_add_epi32(b, _mm_unpackhi_epi64(b, b));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 1)));
}
/// sums[0] = lane 0 + ... + lane 7, sums[1] = lane 8 + ... + lane 15.
WEFT_LANE_FN void add_halves(I32x16 v, int32_t* sums) {
  sums[0] = reduce_add_8(v.lo);
  sums[1] = reduce_add_8(v.hi);
}
WEFT_LANE_FN float largest_magnitude_8(__m256 v) {
  const __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
  const __m128i b = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
  const __m128i c = _mm_max_epi32(b, _mm_unpackhi_epi64(b, b));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(c, _mm_shuffle_epi32(c, 1))));
}
/// The largest |lane| of lanes 0 to 7, and of lanes 8 to 15, by bit pattern: a NaN if there is one.
WEFT_LANE_FN void largest_magnitude_of_halves(F32x16 v, float* largest) {
  largest[0] = largest_magnitude_8(v.lo);
  largest[1] = largest_magnitude_8(v.hi);
}

WEFT_LANE_FN U8x64 u8_load(const uint8_t* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 32))};
}
WEFT_LANE_FN void u8_store(uint8_t* p, U8x64 v) {
  _mm256_storeu_si256((__m256i*)p, v.lo);
  _mm256_storeu_si256((__m256i*)(p + 32), v.hi);
}
WEFT_LANE_FN U8x64 u8_set1(uint8_t v) {
  const __m256i bytes = _mm256_set1_epi8(static_cast<char>(v));
  return {bytes, bytes};
}
WEFT_LANE_FN U8x64 bit_and(U8x64 a, U8x64 b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
WEFT_LANE_FN U8x64 bit_xor(U8x64 a, U8x64 b) {
  return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}
WEFT_LANE_FN U8x64 bit_or(U8x64 a, U8x64 b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
/// Each byte shifted by kBits, with bits of its neighbour shifted in: mask afterwards. kBits < 0 shifts left.
template <int kBits>
WEFT_LANE_FN U8x64 shift_right(U8x64 v) {
  if constexpr (kBits >= 0) return {_mm256_srli_epi16(v.lo, kBits), _mm256_srli_epi16(v.hi, kBits)};
  else return {_mm256_slli_epi16(v.lo, -kBits), _mm256_slli_epi16(v.hi, -kBits)};
}
/// table[v] for bytes v < 16.
WEFT_LANE_FN U8x64 lookup16(const uint8_t* table, U8x64 v) {
  const __m256i both = _mm256_broadcastsi128_si256(load_128(table));
  return {_mm256_shuffle_epi8(both, v.lo), _mm256_shuffle_epi8(both, v.hi)};
}

/// Products of 8-bit weights would overflow the 16-bit sums of maddubs, so here they are signed bytes,
/// multiplied as |w| * (sign(w) a): at most 2 * 128 * 127, which fits.
inline constexpr bool kWideIsSigned = true;

template <bool kWide>
WEFT_LANE_FN __m256i dot4_half(__m256i acc, __m256i w, __m256i a) {
  const __m256i pairs =
      kWide ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w)) : _mm256_maddubs_epi16(w, a);
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
/// acc[lane] += sum of w[4 lane + j] * a[j], j = 0..3, exactly. w: unsigned bytes below 64, or kWide: signed
/// bytes. a: four signed bytes in [-127, 127].
template <bool kWide>
WEFT_LANE_FN I32x16 dot4(I32x16 acc, U8x64 w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  const __m256i bytes = _mm256_set1_epi32(four);
  return {dot4_half<kWide>(acc.lo, w.lo, bytes), dot4_half<kWide>(acc.hi, w.hi, bytes)};
}
/// The same of w[0] with a[0..3] and of w[1] with a[4..7], from zero. Four products of codes below 64 fit 16 bits:
/// 4 * 63 * 127 < 2^15.
template <bool kWide>
WEFT_LANE_FN I32x16 dot8(const U8x64 (&w)[2], const int8_t* a) {
  if constexpr (kWide) {
    return dot4<kWide>(dot4<kWide>(i32_zero(), w[0], a), w[1], a + 4);
  } else {
    int32_t four[2];
    __builtin_memcpy(four, a, 8);
    const __m256i first = _mm256_set1_epi32(four[0]), second = _mm256_set1_epi32(four[1]);
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i low =
        _mm256_add_epi16(_mm256_maddubs_epi16(w[0].lo, first), _mm256_maddubs_epi16(w[1].lo, second));
    const __m256i high =
        _mm256_add_epi16(_mm256_maddubs_epi16(w[0].hi, first), _mm256_maddubs_epi16(w[1].hi, second));
    return {_mm256_madd_epi16(low, ones), _mm256_madd_epi16(high, ones)};
  }
}

/// Asks for the line at p, which need not be a valid address, in the second-level cache.
WEFT_LANE_FN void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
