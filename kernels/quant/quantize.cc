#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"

namespace weft {
namespace {

constexpr int kBlock = 32;

void store_f16(float value, uint8_t* p) {
  const uint16_t bits = f16_bits(value);
  std::memcpy(p, &bits, 2);
}

/// The value of largest magnitude, with its sign.
float extreme(const float* x) {
  return *std::max_element(x, x + kBlock, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

/// Codes 0 to levels - 1 for (x - min) / d.
void codes(const float* x, float d, float min, int levels, uint8_t* code) {
  const float inverse = d == 0 ? 0 : 1 / d;
  for (int i = 0; i < kBlock; ++i) {
    const float scaled = (x[i] - min) * inverse;
    code[i] = static_cast<uint8_t>(std::clamp(std::lrint(scaled), 0L, static_cast<long>(levels - 1)));
  }
}

void pack_nibbles(const uint8_t* code, uint8_t* qs) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((code[i] & 15) | (code[i + 16] & 15) << 4);
}

void pack_fifth_bits(const uint8_t* code, uint8_t* qh) {
  uint32_t high = 0;
  for (int i = 0; i < kBlock; ++i) high |= static_cast<uint32_t>(code[i] >> 4 & 1) << i;
  std::memcpy(qh, &high, 4);
}

/// Symmetric formats: the extreme value gets the code 0, zero the middle one.
void symmetric(const float* x, int levels, uint8_t* b, uint8_t* code) {
  const float d = extreme(x) / static_cast<float>(-levels / 2);
  store_f16(d, b);
  codes(x, d, -d * static_cast<float>(levels / 2), levels, code);
}

void affine(const float* x, int levels, uint8_t* b, uint8_t* code) {
  const auto [low, high] = std::minmax_element(x, x + kBlock);
  const float d = (*high - *low) / static_cast<float>(levels - 1);
  store_f16(d, b);
  store_f16(*low, b + 2);
  codes(x, d, *low, levels, code);
}

void quantize_block(WeightFormat format, const float* x, uint8_t* b) {
  uint8_t code[kBlock];
  switch (format) {
    case WeightFormat::kQ4_0: symmetric(x, 16, b, code); return pack_nibbles(code, b + 2);
    case WeightFormat::kQ4_1: affine(x, 16, b, code); return pack_nibbles(code, b + 4);
    case WeightFormat::kQ5_0:
      symmetric(x, 32, b, code);
      pack_fifth_bits(code, b + 2);
      return pack_nibbles(code, b + 6);
    case WeightFormat::kQ5_1:
      affine(x, 32, b, code);
      pack_fifth_bits(code, b + 4);
      return pack_nibbles(code, b + 8);
    default: {  // Q8_0
      const float d = std::fabs(extreme(x)) / 127;
      const float inverse = d == 0 ? 0 : 1 / d;
      store_f16(d, b);
      for (int i = 0; i < kBlock; ++i)
        b[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::lrint(x[i] * inverse)));
    }
  }
}

}  // namespace

bool quantize(WeightFormat format, const float* src, int64_t count, void* dst) {
  uint8_t* bytes = static_cast<uint8_t*>(dst);
  switch (format) {
    case WeightFormat::kF32: std::memcpy(dst, src, static_cast<size_t>(count) * 4); return true;
    case WeightFormat::kF16:
      for (int64_t i = 0; i < count; ++i) store_f16(src[i], bytes + 2 * i);
      return true;
    case WeightFormat::kBF16:
      for (int64_t i = 0; i < count; ++i) {
        const uint16_t bits = bf16_bits(src[i]);
        std::memcpy(bytes + 2 * i, &bits, 2);
      }
      return true;
    case WeightFormat::kQ4_0:
    case WeightFormat::kQ4_1:
    case WeightFormat::kQ5_0:
    case WeightFormat::kQ5_1:
    case WeightFormat::kQ8_0:
      for (int64_t i = 0; i < count / kBlock; ++i)
        quantize_block(format, src + i * kBlock, bytes + i * block_layout(format).bytes);
      return true;
    default: return false;
  }
}

}  // namespace weft
