/// Reading and writing keys and values in their stored formats; for sources compiled per instruction set, private
/// to the op. The layout of a block is described in attention.h.
#ifndef WEFT_KERNELS_OPS_ATTENTION_KV_FORMATS_H
#define WEFT_KERNELS_OPS_ATTENTION_KV_FORMATS_H

#include "kernels/cpu/half_lane.h"
#include "kernels/cpu/vector_f32.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kSlots = 32;       // tokens a page
constexpr int64_t kScaleGroup = 32;  // components that share a scale in q8_0

typedef int8_t I8 __attribute__((vector_size(kLanes)));

template <typename Vector>
WEFT_INLINE Vector load_as(const void* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// Each format: key(block, d, slot) is component d of kLanes tokens from `slot`; value(block, slot, d, padded) is
// kLanes components from d of one token; encode() stores one token. Where kScaled, they are yet to be multiplied:
// keys by key_scales() of their group and slots, values by value_scale() of their slot and group.

template <typename Element>
struct PlainFormat {
  static constexpr bool kScaled = false;
  static WEFT_INLINE F32 key(const char* block, int64_t d, int64_t slot) {
    return Element::load(block + (d * kSlots + slot) * Element::kBytes);
  }
  static WEFT_INLINE F32 value(const char* block, int64_t slot, int64_t d, int64_t padded) {
    return Element::load(block + (slot * padded + d) * Element::kBytes);
  }
  static void encode(const float* k, const float* v, char* keys, char* values, int64_t slot, int64_t head_dim,
                     int64_t padded) {
    for (int64_t d = 0; d < head_dim; ++d) Element::put(keys + (d * kSlots + slot) * Element::kBytes, k[d]);
    char* row = values + slot * padded * Element::kBytes;
    for (int64_t d = 0; d < head_dim; ++d) Element::put(row + d * Element::kBytes, v[d]);
    for (int64_t d = head_dim; d < padded; ++d) Element::put(row + d * Element::kBytes, 0);
  }
};

struct F32Element {
  static constexpr int64_t kBytes = 4;
  static WEFT_INLINE F32 load(const char* p) { return load_as<F32>(p); }
  static WEFT_INLINE void put(char* p, float x) { __builtin_memcpy(p, &x, 4); }
};
struct F16Element {
  static constexpr int64_t kBytes = 2;
  static WEFT_INLINE F32 load(const char* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }
  static WEFT_INLINE void put(char* p, float x) {
    const uint16_t h = f32_to_f16(x);
    __builtin_memcpy(p, &h, 2);
  }
};
struct BF16Element {
  static constexpr int64_t kBytes = 2;
  static WEFT_INLINE F32 load(const char* p) { return load_bf16(reinterpret_cast<const uint16_t*>(p)); }
  static WEFT_INLINE void put(char* p, float x) {
    const uint16_t h = f32_to_bf16(x);
    __builtin_memcpy(p, &h, 2);
  }
};

// int8 first, then the f16 scales: of keys [head_dim / 32][kSlots], of values [kSlots][head_dim / 32].
struct Q8Format {
  static constexpr bool kScaled = true;
  // GCC 12 widens int8 lane by lane without the intrinsics.
  static WEFT_INLINE F32 numbers(const char* p) {
#if defined(WEFT_ISA_AVX512)
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return (F32)_mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepi8_epi32(0xffff, q));
#elif defined(WEFT_ISA_AVX2)
    const __m128i q = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return (F32)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
#else
    return __builtin_convertvector(__builtin_convertvector(load_as<I8>(p), I32), F32);
#endif
  }
  static WEFT_INLINE F32 key(const char* block, int64_t d, int64_t slot) {
    return numbers(block + d * kSlots + slot);
  }
  static WEFT_INLINE F32 value(const char* block, int64_t slot, int64_t d, int64_t padded) {
    return numbers(block + slot * padded + d);
  }
  static WEFT_INLINE F32 key_scales(const char* block, int64_t group, int64_t slot, int64_t head_dim) {
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(block + head_dim * kSlots);
    return load_f16(scales + group * kSlots + slot);
  }
  static WEFT_INLINE float value_scale(const char* block, int64_t slot, int64_t group, int64_t padded) {
    const uint16_t* scales = reinterpret_cast<const uint16_t*>(block + padded * kSlots);
    return f16_to_f32(scales[slot * (padded / kScaleGroup) + group]);
  }
  static uint16_t round_group(const float* x, int8_t* q) {
    float largest = 0;
    bool finite = true;
    for (int64_t i = 0; i < kScaleGroup; ++i) {
      const float a = __builtin_fabsf(x[i]);
      finite = finite && a <= __FLT_MAX__;
      if (a > largest) largest = a;
    }
    // A value that is not finite makes the whole group not a number: it does not vanish.
    const uint16_t scale = finite ? f32_to_f16(largest / 127.0f) : uint16_t{0x7e00};
    const float inverse = finite && (scale & 0x7fff) != 0 ? 1.0f / f16_to_f32(scale) : 0.0f;
    for (int64_t i = 0; i < kScaleGroup; ++i) {
      float r = finite ? x[i] * inverse : 0.0f;
      r = r > 127.0f ? 127.0f : r < -127.0f ? -127.0f : r;
      q[i] = static_cast<int8_t>(r < 0 ? r - 0.5f : r + 0.5f);
    }
    return scale;
  }
  static void encode(const float* k, const float* v, char* keys, char* values, int64_t slot, int64_t head_dim,
                     int64_t padded) {
    int8_t q[kScaleGroup];
    for (int64_t d = 0; d < head_dim; d += kScaleGroup) {
      const uint16_t key_scale = round_group(k + d, q);
      for (int64_t i = 0; i < kScaleGroup; ++i) keys[(d + i) * kSlots + slot] = static_cast<char>(q[i]);
      char* at = keys + head_dim * kSlots + (d / kScaleGroup * kSlots + slot) * 2;
      __builtin_memcpy(at, &key_scale, 2);
      const uint16_t value_scale = round_group(v + d, q);
      __builtin_memcpy(values + slot * padded + d, q, kScaleGroup);
      at = values + padded * kSlots + (slot * (padded / kScaleGroup) + d / kScaleGroup) * 2;
      __builtin_memcpy(at, &value_scale, 2);
    }
  }
};

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
