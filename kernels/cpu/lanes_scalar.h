/// lanes.h for the scalar body: the compiler's generic vectors, for any x86-64. Not to be included directly.
#ifndef WEFT_KERNELS_CPU_LANES_SCALAR_H
#define WEFT_KERNELS_CPU_LANES_SCALAR_H

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

typedef float F32x16 __attribute__((vector_size(64)));
typedef int32_t I32x16 __attribute__((vector_size(64)));
typedef uint32_t U32x16 __attribute__((vector_size(64)));
typedef uint8_t U8x64 __attribute__((vector_size(64)));
typedef uint16_t U16x16 __attribute__((vector_size(32)));
typedef uint8_t U8x16 __attribute__((vector_size(16)));
typedef int8_t I8x16 __attribute__((vector_size(16)));

template <typename Vector>
WEFT_LANE_FN Vector load_vector(const void* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

WEFT_LANE_FN F32x16 f32_zero() { return F32x16{}; }
WEFT_LANE_FN F32x16 f32_set1(float v) { return v - F32x16{}; }  // less 0, which keeps -0
WEFT_LANE_FN F32x16 f32_load(const float* p) { return load_vector<F32x16>(p); }
/// The first n of 16 lanes, the others zero; reads nothing beyond. n: 0 to 16.
WEFT_LANE_FN F32x16 f32_load_n(const float* p, int n) {
  F32x16 v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
WEFT_LANE_FN void f32_store(float* p, F32x16 v) { __builtin_memcpy(p, &v, sizeof(v)); }
WEFT_LANE_FN void f32_store_n(float* p, int n, F32x16 v) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
WEFT_LANE_FN F32x16 add(F32x16 a, F32x16 b) { return a + b; }
WEFT_LANE_FN F32x16 mul(F32x16 a, F32x16 b) { return a * b; }
WEFT_LANE_FN F32x16 max(F32x16 a, F32x16 b) { return a > b ? a : b; }
/// a * b + c
WEFT_LANE_FN F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return a * b + c; }

WEFT_LANE_FN F32x16 f32_from_i32(I32x16 v) { return __builtin_convertvector(v, F32x16); }
WEFT_LANE_FN F32x16 f32_from_bits(U32x16 bits) {
  F32x16 v;
  __builtin_memcpy(&v, &bits, sizeof(v));
  return v;
}
WEFT_LANE_FN U32x16 bits_of(F32x16 v) {
  U32x16 bits;
  __builtin_memcpy(&bits, &v, sizeof(v));
  return bits;
}
WEFT_LANE_FN F32x16 f32_from_f16(const uint16_t* p) {
  const U32x16 half = __builtin_convertvector(load_vector<U16x16>(p), U32x16);
  const U32x16 magnitude = (half & 0x7fff) << 13;
  // Rebias the exponent by a product, which also normalizes subnormals; infinities and NaNs keep a full
  // exponent.
  const U32x16 finite = bits_of(f32_from_bits(magnitude) * 0x1p112f);
  const U32x16 special = magnitude | 0x7f800000u;
  const U32x16 is_special = (U32x16)(magnitude >= 0x0f800000u);
  return f32_from_bits((is_special & special) | (~is_special & finite) | (half & 0x8000) << 16);
}
WEFT_LANE_FN F32x16 f32_from_bf16(const uint16_t* p) {
  return f32_from_bits(__builtin_convertvector(load_vector<U16x16>(p), U32x16) << 16);
}
WEFT_LANE_FN I32x16 i32_from_u8(const uint8_t* p) {
  return __builtin_convertvector(load_vector<U8x16>(p), I32x16);
}
WEFT_LANE_FN F32x16 f32_from_u8(const uint8_t* p) { return f32_from_i32(i32_from_u8(p)); }
WEFT_LANE_FN F32x16 f32_from_i8(const uint8_t* p) {
  return f32_from_i32(__builtin_convertvector(load_vector<I8x16>(p), I32x16));
}

WEFT_LANE_FN I32x16 i32_zero() { return I32x16{}; }
WEFT_LANE_FN I32x16 i32_load(const void* p) { return load_vector<I32x16>(p); }
WEFT_LANE_FN I32x16 i32_set1(int32_t v) { return I32x16{} + v; }
WEFT_LANE_FN I32x16 i32_add(I32x16 a, I32x16 b) { return a + b; }
WEFT_LANE_FN I32x16 i32_or(I32x16 a, I32x16 b) { return a | b; }
/// (v >> shift) & mask, of lanes that are not negative. shift: 0 to 31.
WEFT_LANE_FN I32x16 i32_bits(I32x16 v, int shift, int32_t mask) { return v >> shift & mask; }
template <int kBits>
WEFT_LANE_FN I32x16 i32_shift_left(I32x16 v) {
  return v << kBits;
}
/// `value` in each lane whose bit is set, 0 in the others.
WEFT_LANE_FN I32x16 i32_where(uint16_t bits, int32_t value) {
  I32x16 v;
  for (int i = 0; i < 16; ++i) v[i] = bits >> i & 1 ? value : 0;
  return v;
}
/// table[v] of 16 values. v: 0 to 15.
WEFT_LANE_FN F32x16 f32_lookup16(const float* table, I32x16 v) {
  F32x16 result;
  for (int i = 0; i < 16; ++i) result[i] = table[v[i]];
  return result;
}
/// The f16 at p, which need not be aligned.
WEFT_LANE_FN float f32_from_one_f16(const uint8_t* p) {
  uint16_t bits[16] = {};
  __builtin_memcpy(bits, p, sizeof(*bits));
  return f32_from_f16(bits)[0];
}
/// Round to nearest even; lanes beyond the range of i32 become the smallest i32.
WEFT_LANE_FN I32x16 i32_round(F32x16 v) {
  I32x16 result;
  for (int i = 0; i < 16; ++i) {
    const float lane = v[i];
    result[i] = lane >= -0x1p31f && lane < 0x1p31f ? static_cast<int32_t>(__builtin_rintf(lane)) : INT32_MIN;
  }
  return result;
}
/// The low bytes of 16 lanes.
WEFT_LANE_FN void i8_store(int8_t* p, I32x16 v) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(v[i]);
}
/// (p[lane] >> kShift) & 15
template <int kShift>
WEFT_LANE_FN F32x16 f32_from_nibbles(const uint8_t* p) {
  return f32_from_i32((i32_from_u8(p) >> kShift) & 15);
}
/// 2^(p[lane] - 128): half of what the exponent bytes of MXFP4 stand for; down to 2^-128, which is subnormal.
WEFT_LANE_FN F32x16 f32_from_exponents(const uint8_t* p) {
  U32x16 bits;
  for (int i = 0; i < 16; ++i) bits[i] = p[i] < 2 ? 0x00200000u << p[i] : (p[i] - 1u) << 23;
  return f32_from_bits(bits);
}
/// Eight lanes of a and eight of b.
WEFT_LANE_FN F32x16 f32_halves(float a, float b) {
  return F32x16{a, a, a, a, a, a, a, a, b, b, b, b, b, b, b, b};
}
/// sums[0] = lane 0 + ... + lane 7, sums[1] = lane 8 + ... + lane 15.
WEFT_LANE_FN void add_halves(I32x16 v, int32_t* sums) {
  sums[0] = sums[1] = 0;
  for (int i = 0; i < 16; ++i) sums[i / 8] += v[i];
}
/// The largest |lane| of lanes 0 to 7, and of lanes 8 to 15, by bit pattern: a NaN if there is one.
WEFT_LANE_FN void largest_magnitude_of_halves(F32x16 v, float* largest) {
  const U32x16 bits = bits_of(v) & 0x7fffffff;
  uint32_t most[2] = {};
  for (int i = 0; i < 16; ++i) most[i / 8] = bits[i] > most[i / 8] ? bits[i] : most[i / 8];
  __builtin_memcpy(largest, most, sizeof(most));
}

WEFT_LANE_FN U8x64 u8_load(const uint8_t* p) { return load_vector<U8x64>(p); }
WEFT_LANE_FN void u8_store(uint8_t* p, U8x64 v) { __builtin_memcpy(p, &v, sizeof(v)); }
WEFT_LANE_FN U8x64 u8_set1(uint8_t v) { return U8x64{} + v; }
WEFT_LANE_FN U8x64 bit_and(U8x64 a, U8x64 b) { return a & b; }
WEFT_LANE_FN U8x64 bit_xor(U8x64 a, U8x64 b) { return a ^ b; }
WEFT_LANE_FN U8x64 bit_or(U8x64 a, U8x64 b) { return a | b; }
/// Each byte shifted by kBits; mask afterwards. kBits < 0 shifts left.
template <int kBits>
WEFT_LANE_FN U8x64 shift_right(U8x64 v) {
  if constexpr (kBits >= 0) return v >> kBits;
  else return v << -kBits;
}
/// table[v] for bytes v < 16.
WEFT_LANE_FN U8x64 lookup16(const uint8_t* table, U8x64 v) {
  U8x64 result;
  for (int i = 0; i < 64; ++i) result[i] = table[v[i]];
  return result;
}

/// Weights of 8 bits are bytes with an offset of 128 in this body; dot4 takes them as they are.
inline constexpr bool kWideIsSigned = false;

/// acc[lane] += sum of w[4 lane + j] * a[j], j = 0..3, exactly. w: unsigned bytes. a: four signed bytes in
/// [-127, 127].
template <bool kWide>
WEFT_LANE_FN I32x16 dot4(I32x16 acc, U8x64 w, const int8_t* a) {
  U32x16 words;
  __builtin_memcpy(&words, &w, sizeof(w));
  // A 32-bit product is not an SSE2 instruction; f32 products of bytes are exact and are one.
  const I32x16 byte0 = (I32x16)(words & 0xff), byte1 = (I32x16)(words >> 8 & 0xff);
  const I32x16 byte2 = (I32x16)(words >> 16 & 0xff), byte3 = (I32x16)(words >> 24);
  const F32x16 sum =
      f32_from_i32(byte0) * static_cast<float>(a[0]) + f32_from_i32(byte1) * static_cast<float>(a[1]) +
      f32_from_i32(byte2) * static_cast<float>(a[2]) + f32_from_i32(byte3) * static_cast<float>(a[3]);
  return acc + __builtin_convertvector(sum, I32x16);
}

/// The same of w[0] with a[0..3] and of w[1] with a[4..7], from zero.
template <bool kWide>
WEFT_LANE_FN I32x16 dot8(const U8x64 (&w)[2], const int8_t* a) {
  return dot4<kWide>(dot4<kWide>(i32_zero(), w[0], a), w[1], a + 4);
}

/// Asks for the line at p, which need not be a valid address, in the second-level cache.
WEFT_LANE_FN void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
