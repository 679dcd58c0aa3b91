// Rows of elements: conversions, scales. Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/ops/gemm/dense_rows.h"

#include "kernels/ops/activation/activation_functions.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

typedef uint32_t U32 __attribute__((vector_size(kLanes * 4)));
typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));

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
    store(to + i, load_bf16(from + i));
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

struct Identity {
  static WEFT_INLINE F32 f(F32 x) { return x; }
};

template <typename Function, PanelElement kFrom, PanelElement kTo>
void scale_shift_of(const uint8_t* from, const float* scale, const float* shift, uint8_t* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    F32 x;
    if constexpr (kFrom == PanelElement::kF32) {
      __builtin_memcpy(&x, from + 4 * i, sizeof(x));
    } else {
      x = load_bf16(reinterpret_cast<const uint16_t*>(from + 2 * i));
    }
    const F32 y = Function::f(multiply_add(x, load(scale + i), load(shift + i)));
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
  store(rest, Function::f(multiply_add(load(rest), load_first(scale + i, n), load_first(shift + i, n))));
  if constexpr (kTo == PanelElement::kF32) __builtin_memcpy(to + 4 * i, rest, static_cast<size_t>(n) * 4);
  else narrow(rest, reinterpret_cast<uint16_t*>(to) + i, n);
}

template <typename Function>
void scale_shift_with(const void* from, PanelElement from_type, const float* scale, const float* shift,
                      void* to, PanelElement to_type, int64_t count) {
  using enum PanelElement;
  const uint8_t* x = static_cast<const uint8_t*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  if (from_type == kF32 && to_type == kF32) scale_shift_of<Function, kF32, kF32>(x, scale, shift, y, count);
  else if (from_type == kF32) scale_shift_of<Function, kF32, kBF16>(x, scale, shift, y, count);
  else if (to_type == kF32) scale_shift_of<Function, kBF16, kF32>(x, scale, shift, y, count);
  else scale_shift_of<Function, kBF16, kBF16>(x, scale, shift, y, count);
}

void scale_shift(float* x, const float* scale, const float* shift, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    if (n == kLanes) store(x + i, multiply_add(load(x + i), load(scale + i), load(shift + i)));
    else
      store_first(x + i,
                  multiply_add(load_first(x + i, n), load_first(scale + i, n), load_first(shift + i, n)), n);
  }
}

WEFT_INLINE F32 load_up_to(const float* p, int64_t n) { return n == kLanes ? load(p) : load_first(p, n); }

WEFT_INLINE F32 load_elements(const void* from, PanelElement type, int64_t at, int64_t n) {
  if (type == PanelElement::kF32) return load_up_to(static_cast<const float*>(from) + at, n);
  const uint16_t* p = static_cast<const uint16_t*>(from) + at;
  if (n == kLanes) return load_bf16(p);
  uint16_t rest[kLanes] = {};
  __builtin_memcpy(rest, p, static_cast<size_t>(n) * 2);
  return load_bf16(rest);
}

WEFT_INLINE void store_elements(void* to, PanelElement type, int64_t at, F32 x, int64_t n) {
  if (type == PanelElement::kF32) {
    float* p = static_cast<float*>(to) + at;
    if (n == kLanes) store(p, x);
    else store_first(p, x, n);
  } else {
    const U16 half = narrow_lanes(x);
    uint16_t* p = static_cast<uint16_t*>(to) + at;
    if (n == kLanes) __builtin_memcpy(p, &half, sizeof(half));
    else __builtin_memcpy(p, &half, static_cast<size_t>(n) * 2);
  }
}

template <typename Function, bool kGated>
void finish_with(const RowsOutput& rows) {
  for (int64_t r = 0; r < rows.n_rows; ++r) {
    const int64_t sums_at = r * rows.sums_stride, residual_at = r * rows.residual_stride,
                  out_at = r * rows.out_stride;
    for (int64_t i = 0; i < rows.count; i += kLanes) {
      const int64_t n = rows.count - i < kLanes ? rows.count - i : kLanes;
      F32 x = load_up_to(rows.sums + sums_at + i, n);
      if (rows.bias != nullptr) x += load_up_to(rows.bias + i, n);
      if (rows.more_bias != nullptr) x += load_up_to(rows.more_bias + i, n);
      if constexpr (kGated) {
        F32 gate = load_up_to(rows.gates + sums_at + i, n);
        if (rows.gate_bias != nullptr) gate += load_up_to(rows.gate_bias + i, n);
        x *= Function::f(gate);
      } else {
        x = Function::f(x);
      }
      if (rows.residual != nullptr) x += load_elements(rows.residual, rows.residual_type, residual_at + i, n);
      store_elements(rows.out, rows.out_type, out_at + i, x, n);
    }
  }
}

template <bool kGated>
void finish_any(const RowsOutput& rows) {
  switch (rows.activation) {
    case 0: return finish_with<Silu, kGated>(rows);
    case 1: return finish_with<Gelu, kGated>(rows);
    case 2: return finish_with<GeluTanh, kGated>(rows);
    case 3: return finish_with<Relu, kGated>(rows);
    case 4: return finish_with<ReluSquared, kGated>(rows);
    case 5: return finish_with<QuickGelu, kGated>(rows);
    default: return finish_with<Identity, kGated>(rows);
  }
}

void finish(const RowsOutput& rows) {
  if (rows.gates != nullptr) finish_any<true>(rows);
  else finish_any<false>(rows);
}

}  // namespace

extern const DenseRowBodies kDenseRowBodies;
const DenseRowBodies kDenseRowBodies = {
    widen, narrow, scale_shift, scale_shift_with<Silu>, scale_shift_with<Identity>, finish};

}  // namespace weft::WEFT_ISA_NAMESPACE
