#include "kernels/testing/random.h"

#include <algorithm>
#include <cstring>

namespace weft::testing {
namespace {

/// An f16 in [2^-8, 2^-6) with a random sign: a plausible scale.
uint16_t small_f16(Random& random) {
  const uint64_t bits = random.next();
  return static_cast<uint16_t>((bits & 0x8000) | (7 + (bits >> 20 & 1)) << 10 | (bits & 0x3ff));
}

/// Where the f16 scales and minima of a block stand.
int f16_offsets(WeightFormat format, int offsets[2]) {
  switch (format) {
    case WeightFormat::kQ4_0:
    case WeightFormat::kQ5_0:
    case WeightFormat::kQ8_0:
    case WeightFormat::kIQ4_NL:
    case WeightFormat::kIQ4_XS: offsets[0] = 0; return 1;
    case WeightFormat::kQ4_1:
    case WeightFormat::kQ5_1:
    case WeightFormat::kQ4_K:
    case WeightFormat::kQ5_K:
      offsets[0] = 0;
      offsets[1] = 2;
      return 2;
    case WeightFormat::kQ2_K:
      offsets[0] = 80;
      offsets[1] = 82;
      return 2;
    case WeightFormat::kQ3_K: offsets[0] = 108; return 1;
    case WeightFormat::kQ6_K: offsets[0] = 208; return 1;
    default: return 0;
  }
}

void fill_plain(WeightFormat format, Random& random, uint8_t* dst) {
  const float value = random.normal();
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if (format == WeightFormat::kF32) {
    std::memcpy(dst, &bits, 4);
  } else if (format == WeightFormat::kBF16) {
    const uint16_t high = static_cast<uint16_t>(bits >> 16);
    std::memcpy(dst, &high, 2);
  } else if (format == WeightFormat::kF16) {
    const uint16_t half = static_cast<uint16_t>((random.next() & 0x83ff) | (10 + random.below(6)) << 10);
    std::memcpy(dst, &half, 2);
  } else if (format == WeightFormat::kF64) {
    const double wide = value;
    std::memcpy(dst, &wide, 8);
  } else {
    for (int i = 0; i < block_layout(format).bytes; ++i) dst[i] = static_cast<uint8_t>(random.next());
  }
}

}  // namespace

uint64_t Random::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float Random::uniform(float low, float high) {
  return low + (high - low) * static_cast<float>(next() >> 40) * 0x1p-24f;
}

float Random::normal() {
  float sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform(0, 1);
  return sum;
}

std::vector<float> random_normal(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = random.normal();
  return values;
}

std::vector<uint8_t> random_weights(WeightFormat format, int64_t count, uint64_t seed) {
  const BlockLayout layout = block_layout(format);
  Random random(seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(count / layout.elements * layout.bytes));
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(layout.bytes)) {
    uint8_t* block = bytes.data() + at;
    if (layout.elements == 1) {
      fill_plain(format, random, block);
      continue;
    }
    for (int i = 0; i < layout.bytes; ++i) block[i] = static_cast<uint8_t>(random.next() >> 32);
    int offsets[2];
    const int n_offsets = f16_offsets(format, offsets);
    for (int i = 0; i < n_offsets; ++i) {
      const uint16_t half = small_f16(random);
      std::memcpy(block + offsets[i], &half, 2);
    }
    if (format == WeightFormat::kMXFP4)
      block[0] = static_cast<uint8_t>(120 + random.below(6));  // 2^-7 to 2^-2
  }
  return bytes;
}

std::vector<uint8_t> repeated_weights(WeightFormat format, int64_t count, uint64_t seed) {
  const BlockLayout layout = block_layout(format);
  const int64_t most = int64_t{1} << 14;  // a multiple of every format's elements
  const std::vector<uint8_t> some = random_weights(format, std::min(count, most), seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(count / layout.elements * layout.bytes));
  for (size_t at = 0; at < bytes.size(); at += some.size())
    std::memcpy(bytes.data() + at, some.data(), std::min(some.size(), bytes.size() - at));
  return bytes;
}

}  // namespace weft::testing
