/// One 16-bit float to f32 and back, for sources that are compiled once per instruction set. (Where nothing is hot:
/// kernels/quant/half.h.) Rounding is to nearest, ties to even; a NaN stays one.
#ifndef WEFT_KERNELS_CPU_HALF_LANE_H
#define WEFT_KERNELS_CPU_HALF_LANE_H

#include <immintrin.h>
#include <stdint.h>

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

#define WEFT_HALF_FN inline __attribute__((always_inline, unused))

WEFT_HALF_FN float f16_to_f32(uint16_t h) {
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

WEFT_HALF_FN uint16_t f32_to_f16(float x) {
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

WEFT_HALF_FN uint16_t f32_to_bf16(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#undef WEFT_HALF_FN

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
