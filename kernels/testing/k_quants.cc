#include "kernels/testing/k_quants.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"

namespace weft::testing {
namespace {

constexpr int kBlock = 256;

// A superblock before its bits are packed: value = scale * step[i] * code - minimum * low[i] for sub-block i.
struct Superblock {
  std::array<uint8_t, kBlock> codes{};
  std::array<int, 16> step{}, low{};
  uint16_t scale = 0, minimum = 0;  // f16
};

int rounded(float value, int lowest, int highest) {
  return static_cast<int>(
      std::clamp(std::lrint(value), static_cast<long>(lowest), static_cast<long>(highest)));
}
float over(float value, float divisor) { return divisor == 0 ? 0 : value / divisor; }

// With a minimum a sub-block: codes 0 to levels - 1, steps and minima up to `most`.
Superblock with_minima(const float* x, int size, int levels, int most) {
  Superblock s;
  std::array<float, 16> span{}, depth{};
  const int n = kBlock / size;
  for (int i = 0; i < n; ++i) {
    const auto [low, high] = std::minmax_element(x + i * size, x + (i + 1) * size);
    depth[static_cast<size_t>(i)] = std::max(0.0f, -*low);
    span[static_cast<size_t>(i)] =
        (std::max(*high, 0.0f) + depth[static_cast<size_t>(i)]) / static_cast<float>(levels - 1);
  }
  const auto largest = [&](const std::array<float, 16>& of) {
    return *std::max_element(of.begin(), of.end());
  };
  s.scale = f16_bits(largest(span) / static_cast<float>(most));
  s.minimum = f16_bits(largest(depth) / static_cast<float>(most));
  const float scale = f32_from_f16_bits(s.scale), minimum = f32_from_f16_bits(s.minimum);
  for (int e = 0; e < kBlock; ++e) {
    const auto i = static_cast<size_t>(e / size);
    s.step[i] = rounded(over(span[i], scale), 0, most);
    s.low[i] = rounded(over(depth[i], minimum), 0, most);
    const float value = x[e] + minimum * static_cast<float>(s.low[i]);
    s.codes[static_cast<size_t>(e)] =
        static_cast<uint8_t>(rounded(over(value, scale * static_cast<float>(s.step[i])), 0, levels - 1));
  }
  return s;
}

// Around zero: sub-blocks of 16, codes -levels / 2 to levels / 2 - 1 with levels / 2 added, steps up to `most`.
Superblock around_zero(const float* x, int levels, int most) {
  constexpr int kSize = 16;
  Superblock s;
  std::array<float, 16> span{};
  for (int e = 0; e < kBlock; ++e) {
    float& of = span[static_cast<size_t>(e / kSize)];
    of = std::max(of, std::fabs(x[e]) / static_cast<float>(levels / 2));
  }
  s.scale = f16_bits(*std::max_element(span.begin(), span.end()) / static_cast<float>(most));
  const float scale = f32_from_f16_bits(s.scale);
  for (int e = 0; e < kBlock; ++e) {
    const auto i = static_cast<size_t>(e / kSize);
    s.step[i] = rounded(over(span[i], scale), 0, most);
    const int code = rounded(over(x[e], scale * static_cast<float>(s.step[i])), -levels / 2, levels / 2 - 1);
    s.codes[static_cast<size_t>(e)] = static_cast<uint8_t>(code + levels / 2);
  }
  return s;
}

void put_f16(uint16_t bits, uint8_t* p) { std::memcpy(p, &bits, 2); }

// Where element e of a superblock lies among codes that are stored in four layers of 32, twice: byte, layer.
struct Place {
  int byte, layer;
};
Place place_of(int e) { return {32 * (e / 128) + e % 32, e % 128 / 32}; }

// Eight steps and eight minima of 6 bits, as Q4_K and Q5_K hold them.
void put_steps(const Superblock& s, uint8_t* p) {
  for (size_t i = 0; i < 4; ++i) {
    p[i] = static_cast<uint8_t>(s.step[i] | (s.step[i + 4] >> 4) << 6);
    p[i + 4] = static_cast<uint8_t>(s.low[i] | (s.low[i + 4] >> 4) << 6);
    p[i + 8] = static_cast<uint8_t>((s.step[i + 4] & 15) | (s.low[i + 4] & 15) << 4);
  }
}

void pack_q2(const float* x, uint8_t* p) {
  const Superblock s = with_minima(x, 16, 4, 15);
  for (size_t i = 0; i < 16; ++i) p[i] = static_cast<uint8_t>(s.step[i] | s.low[i] << 4);
  for (int e = 0; e < kBlock; ++e) {
    const auto [byte, layer] = place_of(e);
    p[16 + byte] = static_cast<uint8_t>(p[16 + byte] | s.codes[static_cast<size_t>(e)] << 2 * layer);
  }
  put_f16(s.scale, p + 80);
  put_f16(s.minimum, p + 82);
}

void pack_q3(const float* x, uint8_t* p) {
  const Superblock s = around_zero(x, 8, 31);
  for (int e = 0; e < kBlock; ++e) {
    const auto [byte, layer] = place_of(e);
    const int code = s.codes[static_cast<size_t>(e)];
    p[32 + byte] = static_cast<uint8_t>(p[32 + byte] | (code & 3) << 2 * layer);
    p[e % 32] = static_cast<uint8_t>(p[e % 32] | (code >> 2) << (e / 32));
  }
  for (int i = 0; i < 16; ++i) {  // steps with 32 added: four low bits, then two high ones
    const int step = s.step[static_cast<size_t>(i)] + 32;
    uint8_t &low = p[96 + i % 8], &high = p[104 + i % 4];
    low = static_cast<uint8_t>(low | (step & 15) << (i < 8 ? 0 : 4));
    high = static_cast<uint8_t>(high | (step >> 4) << 2 * (i / 4));
  }
  put_f16(s.scale, p + 108);
}

// Q4_K, and Q5_K whose fifth bits lie in 32 bytes between.
void pack_q4_or_q5(const float* x, bool fifth, uint8_t* p) {
  const Superblock s = with_minima(x, 32, fifth ? 32 : 16, 63);
  put_f16(s.scale, p);
  put_f16(s.minimum, p + 2);
  put_steps(s, p + 4);
  uint8_t* low = p + (fifth ? 48 : 16);
  for (int e = 0; e < kBlock; ++e) {
    const int code = s.codes[static_cast<size_t>(e)], byte = 32 * (e / 64) + e % 32;
    low[byte] = static_cast<uint8_t>(low[byte] | (code & 15) << (e % 64 < 32 ? 0 : 4));
    if (fifth) p[16 + e % 32] = static_cast<uint8_t>(p[16 + e % 32] | (code >> 4) << (e / 32));
  }
}

void pack_q6(const float* x, uint8_t* p) {
  const Superblock s = around_zero(x, 64, 127);
  for (int e = 0; e < kBlock; ++e) {
    const auto [byte, layer] = place_of(e);
    const int code = s.codes[static_cast<size_t>(e)];
    uint8_t& low = p[64 * (e / 128) + e % 32 + 32 * (layer % 2)];
    low = static_cast<uint8_t>(low | (code & 15) << (layer < 2 ? 0 : 4));
    p[128 + byte] = static_cast<uint8_t>(p[128 + byte] | (code >> 4) << 2 * layer);
  }
  for (size_t i = 0; i < 16; ++i) p[192 + i] = static_cast<uint8_t>(s.step[i]);
  put_f16(s.scale, p + 208);
}

}  // namespace

bool quantize_k(WeightFormat format, const float* src, int64_t count, void* dst) {
  const bool is_k = format >= WeightFormat::kQ2_K && format <= WeightFormat::kQ6_K;
  if (!is_k || count % kBlock != 0) return false;
  auto* to = static_cast<uint8_t*>(dst);
  std::memset(to, 0, static_cast<size_t>(weights_bytes(format, count)));
  for (int64_t i = 0; i < count; i += kBlock, src += kBlock, to += block_layout(format).bytes) {
    switch (format) {
      case WeightFormat::kQ2_K: pack_q2(src, to); break;
      case WeightFormat::kQ3_K: pack_q3(src, to); break;
      case WeightFormat::kQ4_K: pack_q4_or_q5(src, false, to); break;
      case WeightFormat::kQ5_K: pack_q4_or_q5(src, true, to); break;
      default: pack_q6(src, to); break;
    }
  }
  return true;
}

}  // namespace weft::testing
