// Rows of elements: conversions, scales. Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/ops/gemm/dense_rows.h"

#include "kernels/ops/activation/activation_functions.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

typedef uint32_t U32 __attribute__((vector_size(kLanes * 4)));
typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));

WEFT_INLINE F32 widen_lanes(U16 half) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_slli_epi32(_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)half), 16);
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)half), 16);
#else
  return (F32)(__builtin_convertvector(half, U32) << 16);
#endif
}

WEFT_INLINE U16 narrow_lanes(F32 x) {
#if defined(WEFT_ISA_AVX512BF16)
  return (U16)_mm512_cvtneps_pbh((__m512)x);  // denormal numbers become 0, as in the products
#else
  const U32 bits = (U32)x;
  const U32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const U32 quiet = bits >> 16 | 0x40;  // a NaN stays one
  const U32 is_nan = (U32)(x != x);
  const U32 half = (is_nan & quiet) | (~is_nan & rounded);
#if defined(WEFT_ISA_AVX512)
  return (U16)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)half);
#elif defined(WEFT_ISA_AVX2)
  return (U16)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)half),
                               _mm256_extracti128_si256((__m256i)half, 1));
#else
  return __builtin_convertvector(half, U16);
#endif
#endif
}

void widen(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    U16 half;
    __builtin_memcpy(&half, from + i, sizeof(half));
    store(to + i, widen_lanes(half));
  }
  for (; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    __builtin_memcpy(to + i, &bits, sizeof(bits));
  }
}

void narrow(const float* from, uint16_t* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const U16 half = narrow_lanes(load(from + i));
    __builtin_memcpy(to + i, &half, sizeof(half));
  }
  if (i == count) return;
  const U16 half = narrow_lanes(load_first(from + i, count - i));
  for (int64_t lane = 0; lane < count - i; ++lane) to[i + lane] = half[lane];
}

template <PanelElement kFrom, PanelElement kTo>
void scale_shift_silu_of(const uint8_t* from, const float* scale, const float* shift, uint8_t* to,
                         int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    F32 x;
    if constexpr (kFrom == PanelElement::kF32) {
      __builtin_memcpy(&x, from + 4 * i, sizeof(x));
    } else {
      U16 half;
      __builtin_memcpy(&half, from + 2 * i, sizeof(half));
      x = widen_lanes(half);
    }
    const F32 y = Silu::f(multiply_add(x, load(scale + i), load(shift + i)));
    if constexpr (kTo == PanelElement::kF32) {
      __builtin_memcpy(to + 4 * i, &y, sizeof(y));
    } else {
      const U16 half = narrow_lanes(y);
      __builtin_memcpy(to + 2 * i, &half, sizeof(half));
    }
  }
  if (i == count) return;
  const int64_t n = count - i;
  float rest[kLanes] = {};
  if constexpr (kFrom == PanelElement::kF32) __builtin_memcpy(rest, from + 4 * i, static_cast<size_t>(n) * 4);
  else widen(reinterpret_cast<const uint16_t*>(from) + i, rest, n);
  store(rest, Silu::f(multiply_add(load(rest), load_first(scale + i, n), load_first(shift + i, n))));
  if constexpr (kTo == PanelElement::kF32) __builtin_memcpy(to + 4 * i, rest, static_cast<size_t>(n) * 4);
  else narrow(rest, reinterpret_cast<uint16_t*>(to) + i, n);
}

void scale_shift_silu(const void* from, PanelElement from_type, const float* scale, const float* shift,
                      void* to, PanelElement to_type, int64_t count) {
  using enum PanelElement;
  const uint8_t* x = static_cast<const uint8_t*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  if (from_type == kF32 && to_type == kF32) scale_shift_silu_of<kF32, kF32>(x, scale, shift, y, count);
  else if (from_type == kF32) scale_shift_silu_of<kF32, kBF16>(x, scale, shift, y, count);
  else if (to_type == kF32) scale_shift_silu_of<kBF16, kF32>(x, scale, shift, y, count);
  else scale_shift_silu_of<kBF16, kBF16>(x, scale, shift, y, count);
}

template <typename Operation>
WEFT_INLINE void change(float* x, int64_t count, const Operation& operation) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store(x + i, operation(load(x + i), [i](const float* p) { return load(p + i); }));
  if (i == count) return;
  const int64_t n = count - i;
  store_first(x + i, operation(load_first(x + i, n), [i, n](const float* p) { return load_first(p + i, n); }),
              n);
}

void scale_shift(float* x, const float* scale, const float* shift, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return multiply_add(v, at(scale), at(shift)); });
}

void add(float* x, const float* y, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return v + at(y); });
}

void multiply(float* x, const float* y, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return v * at(y); });
}

}  // namespace

extern const DenseRowBodies kDenseRowBodies;
const DenseRowBodies kDenseRowBodies = {widen, narrow, scale_shift, scale_shift_silu, add, multiply};

}  // namespace weft::WEFT_ISA_NAMESPACE
