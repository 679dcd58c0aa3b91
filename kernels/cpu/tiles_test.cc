#include "kernels/cpu/tiles.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/tiles_test_bodies.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

// The plain tiles are compiled into three bodies and must agree in all; the registers, where the machine has them.
std::vector<const TileTestBodies*> bodies() {
  std::vector<const TileTestBodies*> result = {&isa_scalar::kTileTestBodies};
  if (isa_available(IsaLevel::kAvx2)) result.push_back(&isa_avx2::kTileTestBodies);
  if (isa_available(IsaLevel::kAvx512Vnni)) result.push_back(&isa_avx512::kTileTestBodies);
  if (isa_available(IsaLevel::kAmx)) result.push_back(&isa_amx::kTileTestBodies);
  return result;
}

struct Shape {
  int m, n, depth;
};
constexpr Shape kShapes[] = {{16, 16, 16}, {1, 1, 1}, {3, 16, 8}, {16, 5, 2}, {7, 11, 13}, {1, 16, 16}};

constexpr int64_t kStride = 80;  // bytes: rows of every operand lie apart
using Matrix = std::vector<uint8_t>;

Matrix random_bytes(testing::Random& random) {
  Matrix bytes(kMostTileRows * kStride);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
  return bytes;
}

template <typename T>
T element(const Matrix& matrix, int row, int i) {
  T value;
  std::memcpy(&value, matrix.data() + row * kStride + i * static_cast<int>(sizeof(T)), sizeof(T));
  return value;
}

TileProduct product(const Shape& s, Matrix& c, const Matrix& a, const Matrix& b) {
  return {s.m, s.n, s.depth, c.data(), kStride, a.data(), kStride, b.data(), kStride};
}

template <typename A, typename B>
void expect_exact_integers(void (*TileTestBodies::*multiply)(const TileProduct&)) {
  testing::Random random(1);
  for (const Shape& s : kShapes) {
    const Matrix a = random_bytes(random), b = random_bytes(random), before = random_bytes(random);
    for (const TileTestBodies* body : bodies()) {
      Matrix c = before;
      (body->*multiply)(product(s, c, a, b));
      for (int m = 0; m < kMostTileRows; ++m) {
        for (int n = 0; n < kStride / 4; ++n) {
          uint32_t want = element<uint32_t>(before, m, n);
          for (int k = 0; m < s.m && n < s.n && k < 4 * s.depth; ++k)
            want +=
                static_cast<uint32_t>(int{element<A>(a, m, k)} * int{element<B>(b, k / 4, 4 * n + k % 4)});
          ASSERT_EQ(element<uint32_t>(c, m, n), want)
              << body->name << " " << s.m << " " << s.n << " " << s.depth << " at " << m << ", " << n;
        }
      }
    }
  }
}

TEST(Tiles, MultiplyBytesExactlyAndWriteNothingElse) {
  expect_exact_integers<int8_t, uint8_t>(&TileTestBodies::s8_u8);
  expect_exact_integers<uint8_t, int8_t>(&TileTestBodies::u8_s8);
  expect_exact_integers<int8_t, int8_t>(&TileTestBodies::s8_s8);
}

uint16_t to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>(bits >> 16);
}

/// bf16 numbers of some size, in every element.
Matrix random_bf16(uint64_t seed, float scale) {
  const int64_t count = kMostTileRows * kStride / 2;
  const std::vector<float> values = testing::random_normal(count, seed);
  Matrix bytes(kMostTileRows * kStride);
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t half = to_bf16(values[static_cast<size_t>(i)] * scale);
    std::memcpy(bytes.data() + 2 * i, &half, 2);
  }
  return bytes;
}

float bf16(const Matrix& matrix, int row, int i) {
  const uint32_t bits = static_cast<uint32_t>(element<uint16_t>(matrix, row, i)) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

Matrix random_sums(uint64_t seed) {
  const std::vector<float> values = testing::random_normal(kMostTileRows * kStride / 4, seed);
  Matrix bytes(kMostTileRows * kStride);
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(Tiles, MultiplyBf16InTheOrderThatIsSaid) {
  for (const Shape& s : kShapes) {
    const Matrix a = random_bf16(1, 1), b = random_bf16(2, 3), before = random_sums(3);
    for (const TileTestBodies* body : bodies()) {
      Matrix c = before;
      body->bf16(product(s, c, a, b));
      for (int m = 0; m < kMostTileRows; ++m) {
        for (int n = 0; n < kStride / 4; ++n) {
          float want = element<float>(before, m, n);
          if (m < s.m && n < s.n) {
            float even = 0, odd = 0;
            for (int k = 0; k < s.depth; ++k) {
              even += bf16(a, m, 2 * k) * bf16(b, k, 2 * n);
              odd += bf16(a, m, 2 * k + 1) * bf16(b, k, 2 * n + 1);
            }
            want += even + odd;
          }
          ASSERT_EQ(element<float>(c, m, n), want) << body->name << " at " << m << ", " << n;
        }
      }
    }
  }
}

TEST(Tiles, TakeDenormalNumbersForZeroAndLetNothingElseVanish) {
  const Shape one = {1, 1, 1};
  const auto result = [&](const TileTestBodies& body, uint16_t a0, uint16_t b0, float c0) {
    Matrix a(kMostTileRows * kStride), b = a, c = a;
    std::memcpy(a.data(), &a0, 2);
    std::memcpy(b.data(), &b0, 2);
    std::memcpy(c.data(), &c0, 4);
    body.bf16(product(one, c, a, b));
    return element<float>(c, 0, 0);
  };
  constexpr uint16_t kOne = 0x3f80, kDenormal = 0x0040, kInfinity = 0x7f80, kNan = 0x7fc0, kTiny = 0x1f80;
  for (const TileTestBodies* body : bodies()) {
    SCOPED_TRACE(body->name);
    EXPECT_EQ(result(*body, kDenormal, kOne, 0), 0);
    EXPECT_EQ(result(*body, kTiny, kTiny, 0), 0);  // 2^-64 squared is denormal
    EXPECT_EQ(result(*body, 0, kOne, 0x1p-130f), 0);
    EXPECT_EQ(result(*body, kOne, kOne, 1), 2);
    EXPECT_EQ(result(*body, kInfinity, kOne, 1), std::numeric_limits<float>::infinity());
    EXPECT_TRUE(std::isnan(result(*body, kNan, kOne, 1)));
    EXPECT_TRUE(std::isnan(result(*body, kInfinity, 0, 1)));
  }
}

TEST(Tiles, ZeroForgetsWhatWasLoaded) {
  testing::Random random(5);
  const Matrix bytes = random_bytes(random);
  for (const TileTestBodies* body : bodies()) {
    std::vector<uint8_t> out(kMostTileRows * kMostTileRowBytes, 1);
    body->zeroed(bytes.data(), out.data());
    EXPECT_EQ(out, std::vector<uint8_t>(out.size())) << body->name;
  }
}

}  // namespace
}  // namespace weft
