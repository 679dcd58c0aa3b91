// The parts of CUDA's language against what the host computes, in every order of threads.

#include "kernels/simt/tests/language.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/simt/device.h"
#include "kernels/simt/language.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/random.h"

namespace weft::simt {
namespace {

std::vector<int> small_integers(int n, int bound) {
  weft::testing::Random random(3);
  std::vector<int> x(static_cast<size_t>(n));
  for (int& v : x) v = static_cast<int>(random.below(static_cast<uint64_t>(bound)));
  return x;
}

TEST(Language, LanesExchangeValues) {
  const std::vector<int> x = small_integers(32, 60);
  for (const Target& target : targets("language")) {
    SCOPED_TRACE(target.name);
    Device device(target.options);
    Buffer<int> in(device, "x", x), out(device, "out", std::vector<int>(320));
    ASSERT_TRUE(warp_exchange(in.data(), out.data(), &device).ok()) << device.report().text();
    const std::vector<int> got = out.values();
    uint32_t odd = 0;
    int sum = 0;
    for (size_t l = 0; l < 32; ++l) odd |= static_cast<uint32_t>(x[l] % 2) << l, sum += x[l];
    for (size_t l = 0; l < 32; ++l) {
      EXPECT_EQ(got[l], x[5]);
      EXPECT_EQ(got[32 + l], x[l ^ 3]);
      EXPECT_EQ(got[64 + l], l % 8 < 6 ? x[l + 2] : x[l]);
      EXPECT_EQ(got[96 + l], l > 0 ? x[l - 1] : x[l]);
      EXPECT_EQ(static_cast<uint32_t>(got[128 + l]), odd);
      EXPECT_EQ(got[160 + l], 1);
      int dot = 1000;
      for (int i = 0; i < 4; ++i) dot += static_cast<int8_t>((x[l] * 0x01ff0201) >> 8 * i) * (i + 1);
      EXPECT_EQ(got[192 + l], dot);
      EXPECT_EQ(got[224 + l], x[l ^ 15]);
      EXPECT_EQ(got[256 + l], sum);
      EXPECT_EQ(got[288 + l], x[(l & ~3u) | ((l + 1) & 3)]);
    }
  }
}

TEST(Language, AtomicsAddUpAcrossBlocksAndWorkers) {
  const std::vector<int> x = small_integers(1000, 64);
  std::vector<int> bins(8);
  float sum = 0;
  for (const int v : x) ++bins[static_cast<size_t>(v % 8)], sum += static_cast<float>(v);
  int workers = 1;
  for (const Target& target : targets("language")) {
    SCOPED_TRACE(target.name);
    DeviceOptions options = target.options;
    options.workers = workers = workers % 3 + 1;
    Device device(options);
    Buffer<int> in(device, "x", x), counts(device, "bins", std::vector<int>(8)),
        largest(device, "largest", {-1});
    Buffer<float> total(device, "sum", {0.0f});
    ASSERT_TRUE(atomics(in.data(), 1000, counts.data(), total.data(), largest.data(), &device).ok())
        << device.report().text();
    EXPECT_EQ(counts.values(), bins);
    EXPECT_EQ(total.values()[0], sum);
    EXPECT_EQ(largest.values()[0], *std::max_element(x.begin(), x.end()));
  }
}

TEST(Language, BarriersVote) {
  for (const int zeros : {0, 1, 64}) {
    std::vector<int> x(64, 3);
    std::fill(x.begin(), x.begin() + zeros, 0);
    for (const Target& target : targets("language")) {
      SCOPED_TRACE(target.name);
      Device device(target.options);
      Buffer<int> in(device, "x", x), out(device, "out", std::vector<int>(4));
      ASSERT_TRUE(block_votes(in.data(), out.data(), &device).ok()) << device.report().text();
      EXPECT_EQ(out.values(), (std::vector<int>{zeros < 64, zeros == 0, 64 - zeros, 1}));
    }
  }
}

template <typename Element, typename ToNumber>
void expect_product(MmaKind kind, int depth, const std::vector<Element>& a, const std::vector<Element>& b,
                    ToNumber number) {
  for (const Target& target : targets("language")) {
    SCOPED_TRACE(target.name);
    Device device(target.options);
    Buffer<Element> in_a(device, "a", a), in_b(device, "b", b);
    Buffer<float> sums(device, "d", std::vector<float>(128));
    Buffer<int32_t> counts(device, "d", std::vector<int32_t>(128));
    void* d = kind == MmaKind::kS8 ? static_cast<void*>(counts.data()) : static_cast<void*>(sums.data());
    ASSERT_TRUE(tile_product(kind, in_a.data(), in_b.data(), d, &device).ok()) << device.report().text();
    for (int row = 0; row < 16; ++row) {
      for (int col = 0; col < 8; ++col) {
        double want = 0;
        for (int k = 0; k < depth; ++k) {
          const size_t at = static_cast<size_t>(kind == MmaKind::kS8 ? col * depth + k : k * 8 + col);
          want += double{number(a[static_cast<size_t>(row * depth + k)])} * number(b[at]);
        }
        const size_t at = static_cast<size_t>(row * 8 + col);
        if (kind == MmaKind::kS8) EXPECT_EQ(counts.values()[at], want);
        else EXPECT_NEAR(sums.values()[at], want, 1e-5);
      }
    }
  }
}

TEST(Language, TensorCoresMultiplyBF16AndF16AndBytes) {
  const std::vector<float> values = weft::testing::random_normal(16 * 16 + 16 * 8, 1);
  std::vector<__nv_bfloat16> bf16;
  std::vector<__half> f16;
  std::vector<int8_t> bytes;
  for (const float v : values) bf16.push_back(__float2bfloat16_rn(v)), f16.push_back(__float2half_rn(v));
  for (const int v : small_integers(16 * 32 + 8 * 32, 256)) bytes.push_back(static_cast<int8_t>(v));
  expect_product(MmaKind::kBF16, 16, std::vector(bf16.begin(), bf16.begin() + 256),
                 std::vector(bf16.begin() + 256, bf16.end()), __bfloat162float);
  expect_product(MmaKind::kF16, 16, std::vector(f16.begin(), f16.begin() + 256),
                 std::vector(f16.begin() + 256, f16.end()), __half2float);
  expect_product(MmaKind::kS8, 32, std::vector(bytes.begin(), bytes.begin() + 512),
                 std::vector(bytes.begin() + 512, bytes.end()),
                 [](int8_t v) { return static_cast<double>(v); });
}

TEST(Language, NumbersOf16BitsRoundToTheNearestEven) {
  EXPECT_EQ(__float2bfloat16_rn(1.00390625f).bits, 0x3f80);  // half-way, down to even
  EXPECT_EQ(__float2bfloat16_rn(1.01171875f).bits, 0x3f82);  // half-way, up to even
  EXPECT_TRUE(std::isnan(__bfloat162float(__float2bfloat16_rn(NAN))));
  EXPECT_EQ(__float2half_rn(65520.0f).bits, 0x7c00);  // infinity
  EXPECT_EQ(__float2half_rn(0x1p-24f).bits, 1);       // the smallest subnormal
  EXPECT_EQ(__half2float({0x0001}), 0x1p-24f);
}

}  // namespace
}  // namespace weft::simt
