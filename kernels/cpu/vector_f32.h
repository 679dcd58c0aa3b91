/// Vectors of f32 for sources that weft_isa_sources() compiles per body: 16 lanes with AVX-512, 8 with AVX2, 4
/// without either. Arithmetic and comparisons are the compiler's vector operators; here is what operators lack.
///
/// Everything is in an unnamed namespace, as isa_bodies.h demands. multiply_add() rounds once where the body
/// has FMA and twice in the scalar body: results agree within a level, not across levels.
#ifndef WEFT_KERNELS_CPU_VECTOR_F32_H
#define WEFT_KERNELS_CPU_VECTOR_F32_H

#include <immintrin.h>
#include <stdint.h>

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

#if defined(WEFT_ISA_AVX512)
constexpr int kLanes = 16;
#elif defined(WEFT_ISA_AVX2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float F32 __attribute__((vector_size(kLanes * 4)));
typedef int32_t I32 __attribute__((vector_size(kLanes * 4)));

#define WEFT_INLINE inline __attribute__((always_inline, unused))
/// Before a loop over a few registers, so that they stay registers.
#if defined(__clang__)
#define WEFT_UNROLL _Pragma("unroll")
#else
#define WEFT_UNROLL _Pragma("GCC unroll 8")
#endif

WEFT_INLINE F32 load(const float* p) {
  F32 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
WEFT_INLINE void store(float* p, F32 v) { __builtin_memcpy(p, &v, sizeof v); }
/// All bits of the first n lanes, none of the others. 0 <= n <= kLanes.
WEFT_INLINE I32 mask_of_first(int64_t n) {
#if defined(WEFT_ISA_AVX512)
  const I32 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(WEFT_ISA_AVX2)
  const I32 lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const I32 lane = {0, 1, 2, 3};
#endif
  return lane < static_cast<int32_t>(n);
}
/// The first n lanes from p, the others 0; reads nothing beyond. 0 <= n <= kLanes.
WEFT_INLINE F32 load_first(const float* p, int64_t n) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_maskload_ps(p, (__m256i)mask_of_first(n));
#else
  F32 v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
WEFT_INLINE void store_first(float* p, F32 v, int64_t n) {
#if defined(WEFT_ISA_AVX512)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#elif defined(WEFT_ISA_AVX2)
  _mm256_maskstore_ps(p, (__m256i)mask_of_first(n), (__m256)v);
#else
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}
WEFT_INLINE F32 broadcast(float x) { return x - F32{}; }  // x - 0 keeps every bit pattern's value, -0 too

/// kLanes of bf16 from p. In intrinsics: GCC 12 widens __builtin_convertvector's halves one after the other.
WEFT_INLINE F32 load_bf16(const uint16_t* p) {
#if defined(WEFT_ISA_AVX512)
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (F32)_mm512_slli_epi32(_mm512_maskz_cvtepu16_epi32(0xffff, half), 16);
#elif defined(WEFT_ISA_AVX2)
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (F32)_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
#else
  uint16_t half __attribute__((vector_size(kLanes * 2)));
  __builtin_memcpy(&half, p, sizeof half);
  return (F32)(__builtin_convertvector(half, I32) << 16);
#endif
}

/// The same of f16.
WEFT_INLINE F32 load_f16(const uint16_t* p) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  uint16_t half __attribute__((vector_size(kLanes * 2)));
  __builtin_memcpy(&half, p, sizeof half);
  const I32 h = __builtin_convertvector(half, I32);
  const F32 magnitude = (F32)((h & 0x7fff) << 13) * broadcast(0x1p112f);
  const I32 special = ((h & 0x7c00) == 0x7c00) & 0x7f800000;  // infinity and NaN
  return (F32)((I32)magnitude | special | ((h & 0x8000) << 16));
#endif
}

WEFT_INLINE F32 multiply_add(F32 a, F32 b, F32 c) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}
// The masked forms with a full mask: GCC 12 warns about the plain ones (an operand that is never read).

/// The larger; b where either is not a number.
WEFT_INLINE F32 maximum(F32 a, F32 b) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return (F32)_mm_max_ps((__m128)a, (__m128)b);
#endif
}
WEFT_INLINE F32 minimum(F32 a, F32 b) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return (F32)_mm_min_ps((__m128)a, (__m128)b);
#endif
}
WEFT_INLINE F32 absolute(F32 x) { return (F32)((I32)x & 0x7fffffff); }
/// x where `mask` (the result of a comparison) is true, 0 elsewhere.
WEFT_INLINE F32 keep_where(I32 mask, F32 x) { return (F32)(mask & (I32)x); }
WEFT_INLINE F32 choose(I32 mask, F32 yes, F32 no) { return (F32)((mask & (I32)yes) | (~mask & (I32)no)); }

/// Lane i gets lane i + half; the lanes from `half` on are not used.
template <int kHalf>
WEFT_INLINE F32 upper_half(F32 v) {
#if defined(WEFT_ISA_AVX512)
  return __builtin_shufflevector(v, v, kHalf, kHalf + 1, kHalf + 2, kHalf + 3, kHalf + 4, kHalf + 5,
                                 kHalf + 6, kHalf + 7, 0, 0, 0, 0, 0, 0, 0, 0);
#elif defined(WEFT_ISA_AVX2)
  return __builtin_shufflevector(v, v, kHalf, kHalf + 1, kHalf + 2, kHalf + 3, 0, 0, 0, 0);
#else
  return __builtin_shufflevector(v, v, kHalf, kHalf + 1, 0, 0);
#endif
}

/// The sum of all lanes, halves first.
WEFT_INLINE float sum_lanes(F32 v) {
#if defined(WEFT_ISA_AVX512)
  v += upper_half<8>(v);
#endif
#if defined(WEFT_ISA_AVX512) || defined(WEFT_ISA_AVX2)
  v += upper_half<4>(v);
#endif
  v += upper_half<2>(v);
  v += upper_half<1>(v);
  return v[0];
}
WEFT_INLINE float max_lanes(F32 v) {
#if defined(WEFT_ISA_AVX512)
  v = maximum(v, upper_half<8>(v));
#endif
#if defined(WEFT_ISA_AVX512) || defined(WEFT_ISA_AVX2)
  v = maximum(v, upper_half<4>(v));
#endif
  v = maximum(v, upper_half<2>(v));
  v = maximum(v, upper_half<1>(v));
  return v[0];
}

/// e^x to about 1 ulp; 0 below -87.3, infinity above 88.7, NaN for NaN. Source: the polynomial of Cephes' expf.
WEFT_INLINE F32 exponential(F32 x) {
  const F32 clamped = minimum(broadcast(89.0f), maximum(broadcast(-87.3f), x));
  const F32 shifter = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const F32 shifted = multiply_add(clamped, broadcast(1.44269504088896341f), shifter);
  const F32 n = shifted - shifter;
  F32 r = multiply_add(n, broadcast(-0.693359375f), clamped);
  r = multiply_add(n, broadcast(2.12194440e-4f), r);
  F32 p = broadcast(1.9875691500e-4f);
  p = multiply_add(p, r, broadcast(1.3981999507e-3f));
  p = multiply_add(p, r, broadcast(8.3334519073e-3f));
  p = multiply_add(p, r, broadcast(4.1665795894e-2f));
  p = multiply_add(p, r, broadcast(1.6666665459e-1f));
  p = multiply_add(p, r, broadcast(5.0000001201e-1f));
  p = multiply_add(p, r * r, r + broadcast(1.0f));
#if defined(WEFT_ISA_AVX512)
  const __mmask16 not_zero = _mm512_cmp_ps_mask((__m512)x, (__m512)broadcast(-87.3f), _CMP_NLT_UQ);
  return (F32)_mm512_maskz_scalef_ps(not_zero, (__m512)p, (__m512)n);
#else
  // 2^n in two factors, so that n = 128 does not overflow the exponent of one.
  const I32 exponent = (I32)shifted - (I32)shifter;
  const I32 half = exponent >> 1;
  const F32 low = (F32)((half + 127) << 23);
  const F32 high = (F32)((exponent - half + 127) << 23);
  const F32 result = p * low * high;
  const F32 infinity = broadcast(__builtin_inff());
  const F32 bounded = choose(x > broadcast(88.72f), infinity, result);
  return choose(x < broadcast(-87.3f), F32{}, choose(x != x, x, bounded));
#endif
}

/// 2^x to 2e-7 of its value for x up to 127, 0 below -126: later operations would take many times as long for denormal numbers.
/// Sources of the polynomials: Remez, for 0 <= r <= 1 and |r| <= 1/2.
WEFT_INLINE F32 power_of_two(F32 x) {
#if defined(WEFT_ISA_AVX512)
  // Both instructions split x where it is rounded down.
  const F32 r = (F32)_mm512_maskz_reduce_ps(0xffff, (__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  const F32 r2 = r * r;
  const F32 p01 = multiply_add(broadcast(0.693153083f), r, broadcast(0.99999994f));
  const F32 p23 = multiply_add(broadcast(0.0558263175f), r, broadcast(0.240153611f));
  const F32 p45 = multiply_add(broadcast(0.00187757669f), r, broadcast(0.00898933969f));
  const F32 p = multiply_add(multiply_add(p45, r2, p23), r2, p01);
  const __mmask16 not_small = _mm512_cmp_ps_mask((__m512)x, (__m512)broadcast(-126.0f), _CMP_NLT_UQ);
  return (F32)_mm512_maskz_scalef_ps(not_small, (__m512)p, (__m512)x);
#else
  const F32 shifter = broadcast(
      12582912.0f + 127.0f);  // 1.5 * 2^23 rounds to an integer; 127: so that it is an exponent's bits
  const F32 bounded = maximum(broadcast(-127.0f), x);
  const F32 shifted = bounded + shifter;
  const F32 r = bounded - (shifted - shifter);
  const F32 r2 = r * r;
  const F32 p01 = multiply_add(broadcast(0.693147225f), r, broadcast(1.00000008f));
  const F32 p23 = multiply_add(broadcast(0.0555029730f), r, broadcast(0.240221074f));
  const F32 p45 = multiply_add(broadcast(0.00134100053f), r, broadcast(0.00967603636f));
  return multiply_add(multiply_add(p45, r2, p23), r2, p01) * (F32)((I32)shifted << 23);
#endif
}

/// The same bits as exponential() for x <= 0 and NaN, in two thirds of its instructions.
WEFT_INLINE F32 exponential_of_negative(F32 x) {
  const F32 clamped = maximum(broadcast(-87.3f), x);  // NaN stays
  const F32 shifter = broadcast(12582912.0f);
  const F32 shifted = multiply_add(clamped, broadcast(1.44269504088896341f), shifter);
  const F32 n = shifted - shifter;
  F32 r = multiply_add(n, broadcast(-0.693359375f), clamped);
  r = multiply_add(n, broadcast(2.12194440e-4f), r);
  F32 p = broadcast(1.9875691500e-4f);
  p = multiply_add(p, r, broadcast(1.3981999507e-3f));
  p = multiply_add(p, r, broadcast(8.3334519073e-3f));
  p = multiply_add(p, r, broadcast(4.1665795894e-2f));
  p = multiply_add(p, r, broadcast(1.6666665459e-1f));
  p = multiply_add(p, r, broadcast(5.0000001201e-1f));
  p = multiply_add(p, r * r, r + broadcast(1.0f));
  const I32 exponent = (I32)shifted - (I32)shifter;  // -126 to 0
  return choose(x < broadcast(-87.3f), F32{}, p * (F32)((exponent + 127) << 23));
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
