/// Reading and writing keys and values in their stored formats; for sources compiled per instruction set, private
/// to the op. The layout of a block is described in attention.h.
#ifndef WEFT_KERNELS_OPS_ATTENTION_KV_FORMATS_H
#define WEFT_KERNELS_OPS_ATTENTION_KV_FORMATS_H

#include "kernels/cpu/vector_f32.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kSlots = 32;       // tokens a page
constexpr int64_t kScaleGroup = 32;  // components that share a scale in q8_0

typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));
typedef int8_t I8 __attribute__((vector_size(kLanes)));

template <typename Vector>
WEFT_INLINE Vector load_as(const void* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

WEFT_INLINE F32 load_f16(const uint16_t* p) {
#if defined(WEFT_ISA_AVX512)
  return (F32)_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(WEFT_ISA_AVX2)
  return (F32)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  const I32 h = __builtin_convertvector(load_as<U16>(p), I32);
  const F32 magnitude = (F32)((h & 0x7fff) << 13) * broadcast(0x1p112f);
  const I32 special = ((h & 0x7c00) == 0x7c00) & 0x7f800000;  // infinity and NaN
  return (F32)((I32)magnitude | special | ((h & 0x8000) << 16));
#endif
}

WEFT_INLINE float f16_to_f32(uint16_t h) {
#if defined(WEFT_ISA_AVX512) || defined(WEFT_ISA_AVX2)
  return _cvtsh_ss(h);
#else
  uint32_t bits = static_cast<uint32_t>(h & 0x7fff) << 13;
  float magnitude;
  __builtin_memcpy(&magnitude, &bits, 4);
  magnitude *= 0x1p112f;
  __builtin_memcpy(&bits, &magnitude, 4);
  if ((h & 0x7c00) == 0x7c00) bits |= 0x7f800000u;
  bits |= static_cast<uint32_t>(h & 0x8000) << 16;
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
#endif
}

/// Round to nearest even, in integers.
WEFT_INLINE uint16_t f32_to_f16(float x) {
#if defined(WEFT_ISA_AVX512) || defined(WEFT_ISA_AVX2)
  return static_cast<uint16_t>(_mm_cvtsi128_si32(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT)));
#else
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  const uint32_t sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (bits >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);
  if (bits < 0x38800000) {  // subnormal: adding 0.5 leaves the rounded value in the low bits
    float shifted;
    __builtin_memcpy(&shifted, &bits, 4);
    shifted += 0.5f;
    __builtin_memcpy(&bits, &shifted, 4);
    return static_cast<uint16_t>(sign | (bits - 0x3f000000));
  }
  bits += 0xc8000fff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | bits >> 13);
#endif
}

WEFT_INLINE uint16_t f32_to_bf16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
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
