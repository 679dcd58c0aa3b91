// Compiled once per instruction set; see kernels/cpu/isa_bodies.h. quant/dequantize.cc has the structures of the blocks.
//
// A block is treated 16 weights at a time, which share their scale in every format. Scales times codes are exact in f32, so a
// fused product and sum gives the bits of a product and a sum.
#include <stddef.h>

#include "kernels/cpu/lanes.h"
#include "kernels/ops/embedding/embedding_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

alignas(64) constexpr float kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                              1,    13,   25,  38,  53,  69,  89,  113};
alignas(64) constexpr float kFp4DoubledValues[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 16 fields of bytes: (p[lane] >> shift) & mask.
WEFT_LANE_FN I32x16 fields(const uint8_t* p, int shift, int32_t mask) {
  return i32_bits(i32_from_u8(p), shift, mask);
}
WEFT_LANE_FN void put(float* y, F32x16 values, float d, F32x16 times) {
  f32_store(y, mul(mul(values, f32_set1(d)), times));
}
WEFT_LANE_FN void put(float* y, I32x16 codes, float d, F32x16 times) {
  put(y, f32_from_i32(codes), d, times);
}
WEFT_LANE_FN void put(float* y, I32x16 codes, float d, float offset, F32x16 times) {
  f32_store(y, mul(fma(f32_from_i32(codes), f32_set1(d), f32_set1(offset)), times));
}

/// Blocks of 32: nibbles, the low ones first, and where `high` is set a fifth bit of each weight there.
WEFT_LANE_FN I32x16 half_of_32(const uint8_t* nibbles, const uint8_t* high, int half) {
  const I32x16 low = fields(nibbles, 4 * half, 15);
  if (!high) return low;
  uint16_t bits;
  __builtin_memcpy(&bits, high + 2 * half, sizeof(bits));
  return i32_or(low, i32_where(bits, 16));
}

void q4_0(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, i32_add(half_of_32(b + 2, nullptr, h), i32_set1(-8)), d, times);
}
void q4_1(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b), m = f32_from_one_f16(b + 2);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, half_of_32(b + 4, nullptr, h), d, m, times);
}
void q5_0(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, i32_add(half_of_32(b + 6, b + 2, h), i32_set1(-16)), d, times);
}
void q5_1(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b), m = f32_from_one_f16(b + 2);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, half_of_32(b + 8, b + 4, h), d, m, times);
}
void q8_0(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, f32_from_i8(b + 2 + 16 * h), d, times);
}
void iq4_nl(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b);
  for (int h = 0; h < 2; ++h) put(y + 16 * h, f32_lookup16(kIq4Values, fields(b + 2, 4 * h, 15)), d, times);
}
void mxfp4(const uint8_t* b, F32x16 times, float* y) {
  const uint32_t bits = b[0] < 2 ? 0x00200000u << b[0] : (b[0] - 1u) << 23;  // 2^(b[0] - 128)
  float d;
  __builtin_memcpy(&d, &bits, sizeof(d));
  for (int h = 0; h < 2; ++h)
    put(y + 16 * h, f32_lookup16(kFp4DoubledValues, fields(b + 1, 4 * h, 15)), d, times);
}

/// The two bits of group g of 16 weights, of 16 groups.
WEFT_LANE_FN I32x16 pair_group(const uint8_t* pairs, int g) {
  return fields(pairs + 32 * (g / 8) + 16 * (g % 2), 2 * (g / 2 % 4), 3);
}
/// The four bits of group g in Q4_K and Q5_K.
WEFT_LANE_FN I32x16 nibble_group(const uint8_t* nibbles, int g) {
  return fields(nibbles + 32 * (g / 4) + 16 * (g % 2), 4 * (g / 2 % 2), 15);
}
/// Bit g / 2 of bytes that hold one bit of each of 8 times 32 weights.
WEFT_LANE_FN I32x16 bit_group(const uint8_t* bits, int g) { return fields(bits + 16 * (g % 2), g / 2, 1); }

void q2_k(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b + 80), dmin = f32_from_one_f16(b + 82);
  for (int g = 0; g < 16; ++g)
    put(y + 16 * g, pair_group(b + 16, g), d * static_cast<float>(b[g] & 15),
        -(dmin * static_cast<float>(b[g] >> 4)), times);
}
void q3_k(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b + 108);
  const uint8_t* scales = b + 96;
  for (int g = 0; g < 16; ++g) {
    const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
    const int scale = (low | (scales[8 + g % 4] >> (2 * (g / 4)) & 3) << 4) - 32;
    const I32x16 code = i32_or(pair_group(b + 32, g), i32_shift_left<2>(bit_group(b, g)));
    put(y + 16 * g, i32_add(code, i32_set1(-4)), d * static_cast<float>(scale), times);
  }
}

/// The scale and the minimum of 32 weights, of eight, in the 12 bytes of Q4_K and Q5_K.
struct KScale {
  float d, offset;
};
WEFT_LANE_FN KScale k_scale(const uint8_t* b, int j) {
  const uint8_t* q = b + 4;
  const int scale = j < 4 ? q[j] & 63 : (q[j + 4] & 15) | q[j - 4] >> 6 << 4;
  const int min = j < 4 ? q[j + 4] & 63 : q[j + 4] >> 4 | q[j] >> 6 << 4;
  return {f32_from_one_f16(b) * static_cast<float>(scale),
          -(f32_from_one_f16(b + 2) * static_cast<float>(min))};
}
void q4_k(const uint8_t* b, F32x16 times, float* y) {
  for (int g = 0; g < 16; ++g) {
    const KScale s = k_scale(b, g / 2);
    put(y + 16 * g, nibble_group(b + 16, g), s.d, s.offset, times);
  }
}
void q5_k(const uint8_t* b, F32x16 times, float* y) {
  for (int g = 0; g < 16; ++g) {
    const KScale s = k_scale(b, g / 2);
    const I32x16 code = i32_or(nibble_group(b + 48, g), i32_shift_left<4>(bit_group(b + 16, g)));
    put(y + 16 * g, code, s.d, s.offset, times);
  }
}
void q6_k(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b + 208);
  for (int g = 0; g < 16; ++g) {
    const int half = g / 8, quarter = g / 2 % 4, side = 16 * (g % 2);
    const I32x16 low = fields(b + 64 * half + 32 * (quarter & 1) + side, 4 * (quarter >> 1), 15);
    const I32x16 high = fields(b + 128 + 32 * half + side, 2 * quarter, 3);
    const float scale = d * static_cast<float>(static_cast<int8_t>(b[192 + g]));
    put(y + 16 * g, i32_add(i32_or(low, i32_shift_left<4>(high)), i32_set1(-32)), scale, times);
  }
}
void iq4_xs(const uint8_t* b, F32x16 times, float* y) {
  const float d = f32_from_one_f16(b);
  uint16_t high;
  __builtin_memcpy(&high, b + 2, sizeof(high));
  for (int g = 0; g < 16; ++g) {
    const int j = g / 2;
    const int scale = ((b[4 + j / 2] >> (4 * (j % 2)) & 15) | (high >> (2 * j) & 3) << 4) - 32;
    put(y + 16 * g, f32_lookup16(kIq4Values, fields(b + 8 + 16 * j, 4 * (g % 2), 15)),
        d * static_cast<float>(scale), times);
  }
}

template <WeightFormat kFormat, void (*kBlock)(const uint8_t*, F32x16, float*)>
void blocks(const uint8_t* row, int64_t width, float scale, float* y) {
  constexpr BlockLayout layout = block_layout(kFormat);
  const F32x16 times = f32_set1(scale);
  for (int64_t i = 0; i < width; i += layout.elements, row += layout.bytes) kBlock(row, times, y + i);
}

F32x16 load_f32(const uint8_t* p) { return f32_load((const float*)p); }
F32x16 load_f16(const uint8_t* p) { return f32_from_f16((const uint16_t*)p); }
F32x16 load_bf16(const uint8_t* p) { return f32_from_bf16((const uint16_t*)p); }

template <F32x16 (*kLoad)(const uint8_t*), int kBytes>
void floats(const uint8_t* row, int64_t width, float scale, float* y) {
  const F32x16 times = f32_set1(scale);
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) f32_store(y + i, mul(kLoad(row + kBytes * i), times));
  if (i == width) return;
  uint8_t last[kLanes * kBytes] = {};
  __builtin_memcpy(last, row + kBytes * i, static_cast<size_t>(kBytes * (width - i)));
  f32_store_n(y + i, static_cast<int>(width - i), mul(kLoad(last), times));
}

template <typename T>
void numbers(const uint8_t* row, int64_t width, float scale, float* y) {
  for (int64_t i = 0; i < width; ++i) {
    T value;
    __builtin_memcpy(&value, row + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    y[i] = static_cast<float>(value) * scale;
  }
}

void embedding_row(WeightFormat format, const uint8_t* row, int64_t width, float scale, float* y) {
  switch (format) {
    case WeightFormat::kF32: return floats<load_f32, 4>(row, width, scale, y);
    case WeightFormat::kF16: return floats<load_f16, 2>(row, width, scale, y);
    case WeightFormat::kBF16: return floats<load_bf16, 2>(row, width, scale, y);
    case WeightFormat::kF64: return numbers<double>(row, width, scale, y);
    case WeightFormat::kI8: return numbers<int8_t>(row, width, scale, y);
    case WeightFormat::kI16: return numbers<int16_t>(row, width, scale, y);
    case WeightFormat::kI32: return numbers<int32_t>(row, width, scale, y);
    case WeightFormat::kI64: return numbers<int64_t>(row, width, scale, y);
    case WeightFormat::kQ4_0: return blocks<WeightFormat::kQ4_0, q4_0>(row, width, scale, y);
    case WeightFormat::kQ4_1: return blocks<WeightFormat::kQ4_1, q4_1>(row, width, scale, y);
    case WeightFormat::kQ5_0: return blocks<WeightFormat::kQ5_0, q5_0>(row, width, scale, y);
    case WeightFormat::kQ5_1: return blocks<WeightFormat::kQ5_1, q5_1>(row, width, scale, y);
    case WeightFormat::kQ8_0: return blocks<WeightFormat::kQ8_0, q8_0>(row, width, scale, y);
    case WeightFormat::kQ2_K: return blocks<WeightFormat::kQ2_K, q2_k>(row, width, scale, y);
    case WeightFormat::kQ3_K: return blocks<WeightFormat::kQ3_K, q3_k>(row, width, scale, y);
    case WeightFormat::kQ4_K: return blocks<WeightFormat::kQ4_K, q4_k>(row, width, scale, y);
    case WeightFormat::kQ5_K: return blocks<WeightFormat::kQ5_K, q5_k>(row, width, scale, y);
    case WeightFormat::kQ6_K: return blocks<WeightFormat::kQ6_K, q6_k>(row, width, scale, y);
    case WeightFormat::kIQ4_XS: return blocks<WeightFormat::kIQ4_XS, iq4_xs>(row, width, scale, y);
    case WeightFormat::kIQ4_NL: return blocks<WeightFormat::kIQ4_NL, iq4_nl>(row, width, scale, y);
    case WeightFormat::kMXFP4: return blocks<WeightFormat::kMXFP4, mxfp4>(row, width, scale, y);
  }
}

}  // namespace

extern const EmbeddingBodies kEmbeddingBodies;
const EmbeddingBodies kEmbeddingBodies = {WEFT_ISA_NAME, embedding_row};

}  // namespace weft::WEFT_ISA_NAMESPACE
