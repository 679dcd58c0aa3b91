/// lanes.h for the avx512 body. Not to be included directly.
#ifndef WEFT_KERNELS_CPU_LANES_AVX512_H
#define WEFT_KERNELS_CPU_LANES_AVX512_H

#include <immintrin.h>

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

using F32x16 = __m512;
using I32x16 = __m512i;
using U8x64 = __m512i;

WEFT_LANE_FN __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }

WEFT_LANE_FN F32x16 f32_zero() { return _mm512_setzero_ps(); }
WEFT_LANE_FN F32x16 f32_set1(float v) { return _mm512_set1_ps(v); }
WEFT_LANE_FN F32x16 f32_load(const float* p) { return _mm512_loadu_ps(p); }
/// The first n of 16 lanes, the others zero; reads nothing beyond. n: 0 to 16.
WEFT_LANE_FN F32x16 f32_load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
WEFT_LANE_FN void f32_store(float* p, F32x16 v) { _mm512_storeu_ps(p, v); }
WEFT_LANE_FN void f32_store_n(float* p, int n, F32x16 v) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
WEFT_LANE_FN F32x16 add(F32x16 a, F32x16 b) { return _mm512_add_ps(a, b); }
WEFT_LANE_FN F32x16 mul(F32x16 a, F32x16 b) { return _mm512_mul_ps(a, b); }
WEFT_LANE_FN F32x16 max(F32x16 a, F32x16 b) { return _mm512_max_ps(a, b); }
/// a * b + c
WEFT_LANE_FN F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return _mm512_fmadd_ps(a, b, c); }

WEFT_LANE_FN F32x16 f32_from_i32(I32x16 v) { return _mm512_cvtepi32_ps(v); }
WEFT_LANE_FN F32x16 f32_from_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p));
}
WEFT_LANE_FN F32x16 f32_from_bf16(const uint16_t* p) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
WEFT_LANE_FN F32x16 f32_from_u8(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p)));
}
WEFT_LANE_FN F32x16 f32_from_i8(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
}

WEFT_LANE_FN I32x16 i32_zero() { return _mm512_setzero_si512(); }
WEFT_LANE_FN I32x16 i32_load(const void* p) { return _mm512_loadu_si512(p); }
WEFT_LANE_FN I32x16 i32_set1(int32_t v) { return _mm512_set1_epi32(v); }
WEFT_LANE_FN I32x16 i32_from_u8(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
}
WEFT_LANE_FN I32x16 i32_add(I32x16 a, I32x16 b) { return _mm512_add_epi32(a, b); }
WEFT_LANE_FN I32x16 i32_or(I32x16 a, I32x16 b) { return _mm512_or_si512(a, b); }
/// (v >> shift) & mask, of lanes that are not negative. shift: 0 to 31.
WEFT_LANE_FN I32x16 i32_bits(I32x16 v, int shift, int32_t mask) {
  return _mm512_and_si512(_mm512_srl_epi32(v, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask));
}
template <int kBits>
WEFT_LANE_FN I32x16 i32_shift_left(I32x16 v) {
  // A byte is moved by the pipe that does no arithmetic of floats.
  if constexpr (kBits == 8) {
    return _mm512_shuffle_epi8(
        v, _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 4, 5, 6, -1, 8, 9, 10, -1, 12, 13, 14)));
  } else {
    return _mm512_slli_epi32(v, kBits);
  }
}
/// `value` in each lane whose bit is set, 0 in the others.
WEFT_LANE_FN I32x16 i32_where(uint16_t bits, int32_t value) { return _mm512_maskz_set1_epi32(bits, value); }
/// table[v] of 16 values. v: 0 to 15.
WEFT_LANE_FN F32x16 f32_lookup16(const float* table, I32x16 v) {
  return _mm512_permutexvar_ps(v, _mm512_loadu_ps(table));
}
/// The f16 at p, which need not be aligned.
WEFT_LANE_FN float f32_from_one_f16(const uint8_t* p) {
  uint16_t bits;
  __builtin_memcpy(&bits, p, sizeof(bits));
  return _cvtsh_ss(bits);
}
/// Round to nearest even; lanes beyond the range of i32 become the smallest i32.
WEFT_LANE_FN I32x16 i32_round(F32x16 v) { return _mm512_cvtps_epi32(v); }
/// The low bytes of 16 lanes.
WEFT_LANE_FN void i8_store(int8_t* p, I32x16 v) { _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(v)); }
/// (p[lane] >> kShift) & 15
template <int kShift>
WEFT_LANE_FN F32x16 f32_from_nibbles(const uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_and_si512(_mm512_srli_epi32(i32_from_u8(p), kShift), _mm512_set1_epi32(15)));
}
/// 2^(p[lane] - 128): half of what the exponent bytes of MXFP4 stand for; down to 2^-128, which is subnormal.
WEFT_LANE_FN F32x16 f32_from_exponents(const uint8_t* p) {
  const I32x16 e = i32_from_u8(p);
  const I32x16 normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
  const I32x16 subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
  return _mm512_castsi512_ps(
      _mm512_mask_mov_epi32(normal, _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2)), subnormal));
}
/// Eight lanes of a and eight of b.
WEFT_LANE_FN F32x16 f32_halves(float a, float b) {
  return _mm512_insertf32x8(_mm512_set1_ps(a), _mm256_set1_ps(b), 1);
}
WEFT_LANE_FN int32_t reduce_add_8(__m256i v) {
  const __m128i b = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i c = _mm_add_epi32(b, _mm_unpackhi_epi64(b, b));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 1)));
}
/// sums[0] = lane 0 + ... + lane 7, sums[1] = lane 8 + ... + lane 15.
WEFT_LANE_FN void add_halves(I32x16 v, int32_t* sums) {
  sums[0] = reduce_add_8(_mm512_castsi512_si256(v));
  sums[1] = reduce_add_8(_mm512_extracti32x8_epi32(v, 1));
}
WEFT_LANE_FN float largest_magnitude_8(__m256 v) {
  const __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
  const __m128i b = _mm_max_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
  const __m128i c = _mm_max_epi32(b, _mm_unpackhi_epi64(b, b));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(c, _mm_shuffle_epi32(c, 1))));
}
/// The largest |lane| of lanes 0 to 7, and of lanes 8 to 15, by bit pattern: a NaN if there is one.
WEFT_LANE_FN void largest_magnitude_of_halves(F32x16 v, float* largest) {
  largest[0] = largest_magnitude_8(_mm512_castps512_ps256(v));
  largest[1] = largest_magnitude_8(_mm512_extractf32x8_ps(v, 1));
}

WEFT_LANE_FN U8x64 u8_load(const uint8_t* p) { return _mm512_loadu_si512(p); }
WEFT_LANE_FN void u8_store(uint8_t* p, U8x64 v) { _mm512_storeu_si512(p, v); }
WEFT_LANE_FN U8x64 u8_set1(uint8_t v) { return _mm512_set1_epi8(static_cast<char>(v)); }
WEFT_LANE_FN U8x64 bit_and(U8x64 a, U8x64 b) { return _mm512_and_si512(a, b); }
WEFT_LANE_FN U8x64 bit_xor(U8x64 a, U8x64 b) { return _mm512_xor_si512(a, b); }
WEFT_LANE_FN U8x64 bit_or(U8x64 a, U8x64 b) { return _mm512_or_si512(a, b); }
/// Each byte shifted by kBits, with bits of its neighbour shifted in: mask afterwards. kBits < 0 shifts left.
template <int kBits>
WEFT_LANE_FN U8x64 shift_right(U8x64 v) {
  if constexpr (kBits >= 0) return _mm512_srli_epi16(v, kBits);
  else return _mm512_slli_epi16(v, -kBits);
}
/// table[v] for bytes v < 16.
WEFT_LANE_FN U8x64 lookup16(const uint8_t* table, U8x64 v) {
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i*)table)), v);
}

/// acc[lane] += sum of w[4 lane + j] * a[j], j = 0..3, exactly. w: unsigned bytes. a: four signed bytes in
/// [-127, 127].
template <bool kWide>
WEFT_LANE_FN I32x16 dot4(I32x16 acc, U8x64 w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  return _mm512_dpbusd_epi32(acc, w, _mm512_set1_epi32(four));
}
/// The same of w[0] with a[0..3] and of w[1] with a[4..7], from zero.
template <bool kWide>
WEFT_LANE_FN I32x16 dot8(const U8x64 (&w)[2], const int8_t* a) {
  return dot4<kWide>(dot4<kWide>(i32_zero(), w[0], a), w[1], a + 4);
}
/// Weights of 8 bits are bytes with an offset of 128 in this body; dot4 takes them as they are.
inline constexpr bool kWideIsSigned = false;

/// Asks for the line at p, which need not be a valid address, in the second-level cache.
WEFT_LANE_FN void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
