// Rows of elements: conversions, scales. Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/ops/gemm/dense_rows.h"

#include "kernels/cpu/half_lane.h"
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

WEFT_INLINE U16 narrow_lanes_to_f16(F32 x) {
#if defined(WEFT_ISA_AVX512)
  return (U16)_mm512_maskz_cvtps_ph(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(WEFT_ISA_AVX2)
  return (U16)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#else
  U16 half;
  for (int lane = 0; lane < kLanes; ++lane) half[lane] = f32_to_f16(x[lane]);
  return half;
#endif
}

/// Element types: kLanes of them to f32 and back.
struct F32Element {
  static constexpr int64_t kBytes = 4;
  static WEFT_INLINE F32 get(const uint8_t* p) {
    F32 x;
    __builtin_memcpy(&x, p, sizeof(x));
    return x;
  }
  static WEFT_INLINE void put(uint8_t* p, F32 x) { __builtin_memcpy(p, &x, sizeof(x)); }
};
struct BF16Element {
  static constexpr int64_t kBytes = 2;
  static WEFT_INLINE F32 get(const uint8_t* p) { return load_bf16(reinterpret_cast<const uint16_t*>(p)); }
  static WEFT_INLINE void put(uint8_t* p, F32 x) {
    const U16 half = narrow_lanes(x);
    __builtin_memcpy(p, &half, sizeof(half));
  }
};
struct F16Element {
  static constexpr int64_t kBytes = 2;
  static WEFT_INLINE F32 get(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }
  static WEFT_INLINE void put(uint8_t* p, F32 x) {
    const U16 half = narrow_lanes_to_f16(x);
    __builtin_memcpy(p, &half, sizeof(half));
  }
};

/// The first n lanes.
template <typename Element>
WEFT_INLINE F32 get_first(const uint8_t* p, int64_t n) {
  if (n == kLanes) return Element::get(p);
  uint8_t rest[kLanes * Element::kBytes] = {};
  __builtin_memcpy(rest, p, static_cast<size_t>(n * Element::kBytes));
  return Element::get(rest);
}
template <typename Element>
WEFT_INLINE void put_first(uint8_t* p, F32 x, int64_t n) {
  if (n == kLanes) return Element::put(p, x);
  uint8_t rest[kLanes * Element::kBytes];
  Element::put(rest, x);
  __builtin_memcpy(p, rest, static_cast<size_t>(n * Element::kBytes));
}

template <typename From, typename To>
void convert(const uint8_t* from, uint8_t* to, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    put_first<To>(to + i * To::kBytes, get_first<From>(from + i * From::kBytes, n), n);
  }
}
template <typename Element>
void widen(const uint16_t* from, float* to, int64_t count) {
  convert<Element, F32Element>(reinterpret_cast<const uint8_t*>(from), reinterpret_cast<uint8_t*>(to), count);
}
template <typename Element>
void narrow(const float* from, uint16_t* to, int64_t count) {
  convert<F32Element, Element>(reinterpret_cast<const uint8_t*>(from), reinterpret_cast<uint8_t*>(to), count);
}

struct Identity {
  static WEFT_INLINE F32 f(F32 x) { return x; }
};

template <typename Function, typename From, typename To>
void scale_shift_of(const uint8_t* from, const float* scale, const float* shift, uint8_t* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const F32 x = From::get(from + i * From::kBytes);
    To::put(to + i * To::kBytes, Function::f(multiply_add(x, load(scale + i), load(shift + i))));
  }
  if (i == count) return;
  const int64_t n = count - i;
  const F32 x = get_first<From>(from + i * From::kBytes, n);
  put_first<To>(to + i * To::kBytes,
                Function::f(multiply_add(x, load_first(scale + i, n), load_first(shift + i, n))), n);
}

template <typename Function, typename From>
void scale_shift_from(const uint8_t* from, const float* scale, const float* shift, uint8_t* to,
                      PanelElement to_type, int64_t count) {
  switch (to_type) {
    case PanelElement::kF32: return scale_shift_of<Function, From, F32Element>(from, scale, shift, to, count);
    case PanelElement::kBF16:
      return scale_shift_of<Function, From, BF16Element>(from, scale, shift, to, count);
    case PanelElement::kF16: return scale_shift_of<Function, From, F16Element>(from, scale, shift, to, count);
  }
}

template <typename Function>
void scale_shift_with(const void* from, PanelElement from_type, const float* scale, const float* shift,
                      void* to, PanelElement to_type, int64_t count) {
  const uint8_t* x = static_cast<const uint8_t*>(from);
  uint8_t* y = static_cast<uint8_t*>(to);
  switch (from_type) {
    case PanelElement::kF32:
      return scale_shift_from<Function, F32Element>(x, scale, shift, y, to_type, count);
    case PanelElement::kBF16:
      return scale_shift_from<Function, BF16Element>(x, scale, shift, y, to_type, count);
    case PanelElement::kF16:
      return scale_shift_from<Function, F16Element>(x, scale, shift, y, to_type, count);
  }
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
  const uint8_t* p = static_cast<const uint8_t*>(from);
  if (type == PanelElement::kF32) return get_first<F32Element>(p + at * 4, n);
  return type == PanelElement::kBF16 ? get_first<BF16Element>(p + at * 2, n)
                                     : get_first<F16Element>(p + at * 2, n);
}

WEFT_INLINE void store_elements(void* to, PanelElement type, int64_t at, F32 x, int64_t n) {
  uint8_t* p = static_cast<uint8_t*>(to);
  if (type == PanelElement::kF32) put_first<F32Element>(p + at * 4, x, n);
  else if (type == PanelElement::kBF16) put_first<BF16Element>(p + at * 2, x, n);
  else put_first<F16Element>(p + at * 2, x, n);
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
    widen<BF16Element>, widen<F16Element>,      narrow<BF16Element>,        narrow<F16Element>,
    scale_shift,        scale_shift_with<Silu>, scale_shift_with<Identity>, finish};

}  // namespace weft::WEFT_ISA_NAMESPACE
