#include "kernels/quant/dequantize.h"

#include <cstring>

#include "kernels/quant/half.h"

namespace weft {
namespace {

constexpr int kSuperblock = 256;

template <typename T>
T load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

float load_f16(const uint8_t* p) { return f32_from_f16_bits(load<uint16_t>(p)); }

// The 16 values that a 4-bit code stands for.
constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int8_t kFp4DoubledValues[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// 2^(e - 128): E8M0's scale, halved because kFp4DoubledValues are doubled.
float halved_e8m0(uint8_t e) {
  const uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1u) << 23;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/// Nibbles: the low ones are elements 0 to 15, the high ones 16 to 31.
int nibble(const uint8_t* qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }

void q4_0(const uint8_t* b, float* y) {
  const float d = load_f16(b);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(nibble(b + 2, i) - 8);
}

void q4_1(const uint8_t* b, float* y) {
  const float d = load_f16(b), m = load_f16(b + 2);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(nibble(b + 4, i)) + m;
}

void q5_0(const uint8_t* b, float* y) {
  const float d = load_f16(b);
  const uint32_t high = load<uint32_t>(b + 2);
  for (int i = 0; i < 32; ++i) {
    const int code = nibble(b + 6, i) | static_cast<int>(high >> i & 1) << 4;
    y[i] = d * static_cast<float>(code - 16);
  }
}

void q5_1(const uint8_t* b, float* y) {
  const float d = load_f16(b), m = load_f16(b + 2);
  const uint32_t high = load<uint32_t>(b + 4);
  for (int i = 0; i < 32; ++i) {
    const int code = nibble(b + 8, i) | static_cast<int>(high >> i & 1) << 4;
    y[i] = d * static_cast<float>(code) + m;
  }
}

void q8_0(const uint8_t* b, float* y) {
  const float d = load_f16(b);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(static_cast<int8_t>(b[2 + i]));
}

void iq4_nl(const uint8_t* b, float* y) {
  const float d = load_f16(b);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(kIq4Values[nibble(b + 2, i)]);
}

void mxfp4(const uint8_t* b, float* y) {
  const float d = halved_e8m0(b[0]);
  for (int i = 0; i < 32; ++i) y[i] = d * static_cast<float>(kFp4DoubledValues[nibble(b + 1, i)]);
}

/// {u8 scale | min << 4 [16], 2-bit codes [64], f16 d, f16 dmin}
void q2_k(const uint8_t* b, float* y) {
  const float d = load_f16(b + 80), dmin = load_f16(b + 82);
  for (int i = 0; i < kSuperblock; ++i) {
    const uint8_t scale = b[i / 16];
    const int code = b[16 + i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3;
    y[i] =
        d * static_cast<float>(scale & 15) * static_cast<float>(code) - dmin * static_cast<float>(scale >> 4);
  }
}

/// {high bits [32], 2-bit codes [64], 6-bit scales [12], f16 d}
void q3_k(const uint8_t* b, float* y) {
  const float d = load_f16(b + 108);
  const uint8_t* scales = b + 96;
  for (int i = 0; i < kSuperblock; ++i) {
    const int j = i / 16;
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int scale = (low | (scales[8 + j % 4] >> (2 * (j / 4)) & 3) << 4) - 32;
    const int code = b[32 + i / 128 * 32 + i % 32] >> (2 * (i / 32 % 4)) & 3;
    const int high = b[i % 32] >> (i / 32) & 1;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(code + 4 * high - 4);
  }
}

/// The j-th of 8 six-bit scales and minima in the 12 bytes of Q4_K and Q5_K.
void scale_and_min(const uint8_t* q, int j, int* scale, int* min) {
  if (j < 4) {
    *scale = q[j] & 63;
    *min = q[j + 4] & 63;
  } else {
    *scale = (q[j + 4] & 15) | q[j - 4] >> 6 << 4;
    *min = q[j + 4] >> 4 | q[j] >> 6 << 4;
  }
}

/// {f16 d, f16 dmin, scales [12], nibbles [128]}
void q4_k(const uint8_t* b, float* y) {
  const float d = load_f16(b), dmin = load_f16(b + 2);
  for (int i = 0; i < kSuperblock; ++i) {
    int scale, min;
    scale_and_min(b + 4, i / 32, &scale, &min);
    const int code = b[16 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(min);
  }
}

/// {f16 d, f16 dmin, scales [12], high bits [32], nibbles [128]}
void q5_k(const uint8_t* b, float* y) {
  const float d = load_f16(b), dmin = load_f16(b + 2);
  for (int i = 0; i < kSuperblock; ++i) {
    int scale, min;
    scale_and_min(b + 4, i / 32, &scale, &min);
    const int code =
        (b[48 + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15) | (b[16 + i % 32] >> (i / 32) & 1) << 4;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(code) - dmin * static_cast<float>(min);
  }
}

/// {low nibbles [128], high pairs [64], i8 scales [16], f16 d}
void q6_k(const uint8_t* b, float* y) {
  const float d = load_f16(b + 208);
  for (int i = 0; i < kSuperblock; ++i) {
    const int half = i / 128, quarter = i / 32 % 4;
    const int low = b[64 * half + 32 * (quarter & 1) + i % 32] >> (4 * (quarter >> 1)) & 15;
    const int high = b[128 + 32 * half + i % 32] >> (2 * quarter) & 3;
    const int8_t scale = static_cast<int8_t>(b[192 + i / 16]);
    y[i] = d * static_cast<float>(scale) * static_cast<float>((low | high << 4) - 32);
  }
}

/// {f16 d, u16 high scale bits, low scale nibbles [4], nibbles [128]}
void iq4_xs(const uint8_t* b, float* y) {
  const float d = load_f16(b);
  const uint16_t scales_high = load<uint16_t>(b + 2);
  for (int i = 0; i < kSuperblock; ++i) {
    const int j = i / 32;
    const int scale = ((b[4 + j / 2] >> (4 * (j % 2)) & 15) | (scales_high >> (2 * j) & 3) << 4) - 32;
    y[i] = d * static_cast<float>(scale) * static_cast<float>(kIq4Values[nibble(b + 8 + 16 * j, i % 32)]);
  }
}

template <typename T>
void plain(const uint8_t* src, int64_t count, float* dst) {
  for (int64_t i = 0; i < count; ++i)
    dst[i] = static_cast<float>(load<T>(src + i * static_cast<int64_t>(sizeof(T))));
}

void blocks(WeightFormat format, const uint8_t* src, int64_t count, float* dst,
            void (*block)(const uint8_t*, float*)) {
  const BlockLayout layout = block_layout(format);
  for (int64_t i = 0; i < count / layout.elements; ++i)
    block(src + i * layout.bytes, dst + i * layout.elements);
}

}  // namespace

void dequantize(WeightFormat format, const void* src, int64_t count, float* dst) {
  const uint8_t* bytes = static_cast<const uint8_t*>(src);
  switch (format) {
    case WeightFormat::kF32: std::memcpy(dst, src, static_cast<size_t>(count) * 4); return;
    case WeightFormat::kF16:
      for (int64_t i = 0; i < count; ++i) dst[i] = load_f16(bytes + 2 * i);
      return;
    case WeightFormat::kBF16:
      for (int64_t i = 0; i < count; ++i) dst[i] = f32_from_bf16_bits(load<uint16_t>(bytes + 2 * i));
      return;
    case WeightFormat::kF64: return plain<double>(bytes, count, dst);
    case WeightFormat::kI8: return plain<int8_t>(bytes, count, dst);
    case WeightFormat::kI16: return plain<int16_t>(bytes, count, dst);
    case WeightFormat::kI32: return plain<int32_t>(bytes, count, dst);
    case WeightFormat::kI64: return plain<int64_t>(bytes, count, dst);
    case WeightFormat::kQ4_0: return blocks(format, bytes, count, dst, q4_0);
    case WeightFormat::kQ4_1: return blocks(format, bytes, count, dst, q4_1);
    case WeightFormat::kQ5_0: return blocks(format, bytes, count, dst, q5_0);
    case WeightFormat::kQ5_1: return blocks(format, bytes, count, dst, q5_1);
    case WeightFormat::kQ8_0: return blocks(format, bytes, count, dst, q8_0);
    case WeightFormat::kQ2_K: return blocks(format, bytes, count, dst, q2_k);
    case WeightFormat::kQ3_K: return blocks(format, bytes, count, dst, q3_k);
    case WeightFormat::kQ4_K: return blocks(format, bytes, count, dst, q4_k);
    case WeightFormat::kQ5_K: return blocks(format, bytes, count, dst, q5_k);
    case WeightFormat::kQ6_K: return blocks(format, bytes, count, dst, q6_k);
    case WeightFormat::kIQ4_XS: return blocks(format, bytes, count, dst, iq4_xs);
    case WeightFormat::kIQ4_NL: return blocks(format, bytes, count, dst, iq4_nl);
    case WeightFormat::kMXFP4: return blocks(format, bytes, count, dst, mxfp4);
  }
}

}  // namespace weft
