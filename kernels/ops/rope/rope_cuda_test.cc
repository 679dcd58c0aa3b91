// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition and the CPU's pages.

#include "kernels/ops/rope/rope_cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <memory>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

struct Case {
  RopeLayout layout;
  KvFormat format;
  DType element;  // of the format
  int64_t n_heads, n_kv_heads, head_dim, n_rotated;
};
const Case kCases[] = {
    {RopeLayout::kInterleaved, KvFormat::kF16, DType::kF16, 4, 2, 64, 64},
    {RopeLayout::kHalves, KvFormat::kBF16, DType::kBF16, 3, 1, 128, 128},
    {RopeLayout::kHalves, KvFormat::kF32, DType::kF32, 2, 2, 40, 24},
    {RopeLayout::kNone, KvFormat::kF16, DType::kF16, 2, 1, 18, 0},
};
constexpr int64_t kPositions[] = {0, 31, 45};
constexpr int64_t kTokens = 3, kLayerOffset = 256;

/// What the CPU makes of the same tokens: rotated queries, and one page a token.
struct Expected {
  std::vector<float> q, cos_sin;
  std::vector<std::vector<uint8_t>> pages;
};
Expected expected(const Case& c, const AttentionShape& shape, std::vector<float> q, std::vector<float> k,
                  const std::vector<float>& v, size_t page_bytes) {
  RopeConfig config;
  config.layout = c.layout;
  config.n_rotated = c.n_rotated;
  std::vector<double> frequencies(static_cast<size_t>(c.n_rotated / 2));
  if (c.n_rotated > 0) rope_frequencies(config, nullptr, frequencies.data());
  Expected result;
  result.cos_sin.resize(static_cast<size_t>(kTokens * c.n_rotated));
  for (int64_t t = 0; t < kTokens; ++t) {
    if (c.n_rotated > 0)
      rope_cos_sin(frequencies.data(), c.n_rotated, 1, kPositions[t],
                   result.cos_sin.data() + t * c.n_rotated);
    rope_reference(c.layout, c.n_rotated, frequencies.data(), 1, kPositions[t],
                   q.data() + t * c.n_heads * c.head_dim, c.n_heads, c.head_dim);
    float* keys = k.data() + t * c.n_kv_heads * c.head_dim;
    rope_reference(c.layout, c.n_rotated, frequencies.data(), 1, kPositions[t], keys, c.n_kv_heads,
                   c.head_dim);
    std::vector<uint8_t>& page = result.pages.emplace_back(page_bytes);
    std::byte* const pages[] = {reinterpret_cast<std::byte*>(page.data())};
    store_kv(shape, keys, v.data() + t * c.n_kv_heads * c.head_dim, pages, kPositions[t] % kPageTokens);
  }
  result.q = q;
  return result;
}

class RopeCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(RopeCudaCases, RotatesAndWritesPagesAsTheCpuDoes) {
  const Case& c = GetParam();
  const AttentionShape shape{.n_heads = c.n_heads,
                             .n_kv_heads = c.n_kv_heads,
                             .head_dim = c.head_dim,
                             .format = c.format,
                             .layer_offset = kLayerOffset};
  const size_t page_bytes =
      static_cast<size_t>(kLayerOffset + 2 * c.n_kv_heads * kv_block_bytes(c.format, c.head_dim));
  const std::vector<float> q = testing::random_normal(kTokens * c.n_heads * c.head_dim, 1),
                           k = testing::random_normal(kTokens * c.n_kv_heads * c.head_dim, 2),
                           v = testing::random_normal(kTokens * c.n_kv_heads * c.head_dim, 3);
  const Expected want = expected(c, shape, q, k, v, page_bytes);
  for (const simt::Target& target : simt::targets("rope")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<float> queries(device, "q", q), keys(device, "k", k), values(device, "v", v),
        cos_sin(device, "cos_sin", want.cos_sin);
    std::vector<std::unique_ptr<simt::Buffer<uint8_t>>> pages;
    std::vector<std::byte*> page_of;
    std::vector<int32_t> slots;
    for (int64_t t = 0; t < kTokens; ++t) {
      pages.push_back(
          std::make_unique<simt::Buffer<uint8_t>>(device, "page", std::vector<uint8_t>(page_bytes)));
      page_of.push_back(reinterpret_cast<std::byte*>(pages.back()->data()));
      slots.push_back(static_cast<int32_t>(kPositions[t] % kPageTokens));
    }
    simt::Buffer<std::byte*> page_table(device, "pages", page_of);
    simt::Buffer<int32_t> slot_table(device, "slots", slots);
    const RopeStoreCuda r{shape,       c.layout,      c.n_rotated,       cos_sin.data(),    queries.data(),
                          keys.data(), values.data(), page_table.data(), slot_table.data(), kTokens};
    ASSERT_TRUE(rope_store_cuda(r, &device).ok()) << device.report().text();
    EXPECT_LT(testing::relative_error(queries.values().data(), want.q.data(), static_cast<int64_t>(q.size())),
              testing::tolerance(DType::kF32));
    for (size_t t = 0; t < pages.size(); ++t) {
      const std::vector<float> got = testing::decoded(c.element, pages[t]->values()),
                               reference = testing::decoded(c.element, want.pages[t]);
      EXPECT_LT(testing::relative_error(got.data(), reference.data(), static_cast<int64_t>(got.size())),
                testing::tolerance(c.element));
    }
    // 32 keys of one token are 32 sectors, where two (of 16 bits) would hold them.
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 30}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(RopeCuda, RopeCudaCases, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return "HeadDim" + std::to_string(test.param.head_dim); });

struct RoundedCase {
  RopeLayout layout;
  int64_t n_kv_heads, head_dim, n_rotated;
};
class RopeCudaRounded : public ::testing::TestWithParam<RoundedCase> {};

// Queries and keys are the same numbers, so that rotated queries tell the bits of the keys that were rounded.
TEST_P(RopeCudaRounded, PagesAreThoseOfTheCpuBitForBit) {
  const RoundedCase& c = GetParam();
  const AttentionShape shape{.n_heads = c.n_kv_heads,
                             .n_kv_heads = c.n_kv_heads,
                             .head_dim = c.head_dim,
                             .format = KvFormat::kQ8_0,
                             .layer_offset = kLayerOffset};
  const size_t page_bytes =
      static_cast<size_t>(kLayerOffset + 2 * c.n_kv_heads * kv_block_bytes(shape.format, c.head_dim));
  const int64_t width = c.n_kv_heads * c.head_dim;
  const std::vector<float> k = testing::random_normal(kTokens * width, 1);
  std::vector<float> v = testing::random_normal(kTokens * width, 2), cos_sin;
  // A run of zeros, numbers around the least scale of 16 bits, beyond the largest, ties, and what is no number.
  const float ends[] = {0, 7e-6f, 3e-38f, 2e8f, INFINITY, NAN};
  for (size_t run = 0; run < std::size(ends) && (run + 1) * 32 <= v.size(); ++run)
    for (size_t i = 0; i < 32; ++i) {
      float& x = v[run * 32 + i];
      x = std::isfinite(ends[run]) ? x * ends[run] : i == 7 ? ends[run] : x;
    }
  for (size_t i = 0; i < 32; ++i) v[v.size() - 32 + i] = i == 0 ? 127.0f : static_cast<float>(i) - 16.5f;
  std::vector<double> frequencies(static_cast<size_t>(c.n_rotated / 2), 0.7);
  cos_sin.resize(static_cast<size_t>(kTokens * c.n_rotated));
  for (int64_t t = 0; c.n_rotated > 0 && t < kTokens; ++t)
    rope_cos_sin(frequencies.data(), c.n_rotated, 1, kPositions[t], cos_sin.data() + t * c.n_rotated);
  for (const simt::Target& target : simt::targets("rope")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<float> queries(device, "q", k), keys(device, "k", k), values(device, "v", v),
        turns(device, "cos_sin", cos_sin);
    simt::Buffer<uint8_t> page(device, "page", std::vector<uint8_t>(page_bytes));
    simt::Buffer<std::byte*> page_table(
        device, "pages",
        std::vector<std::byte*>(static_cast<size_t>(kTokens), reinterpret_cast<std::byte*>(page.data())));
    simt::Buffer<int32_t> slots(device, "slots", {0, 31, 45 % kPageTokens});
    const RopeStoreCuda r{shape,       c.layout,      c.n_rotated,       turns.data(), queries.data(),
                          keys.data(), values.data(), page_table.data(), slots.data(), kTokens};
    ASSERT_TRUE(rope_store_cuda(r, &device).ok()) << device.report().text();
    const std::vector<float> rotated = queries.values();
    std::vector<uint8_t> want(page_bytes);
    std::byte* const pages[] = {reinterpret_cast<std::byte*>(want.data())};
    for (int64_t t = 0; t < kTokens; ++t)
      store_kv(shape, rotated.data() + t * width, v.data() + t * width, pages, kPositions[t] % kPageTokens);
    EXPECT_EQ(page.values(), want);
    // 32 codes of one key are 32 sectors, where one would hold them.
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 31}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(RopeCuda, RopeCudaRounded,
                         ::testing::Values(RoundedCase{RopeLayout::kNone, 3, 32, 0},
                                           RoundedCase{RopeLayout::kInterleaved, 2, 64, 64},
                                           RoundedCase{RopeLayout::kHalves, 1, 96, 48},
                                           RoundedCase{RopeLayout::kHalves, 1, 256, 256}),
                         [](const auto& test) { return "HeadDim" + std::to_string(test.param.head_dim); });

TEST(RopeCuda, RefusesWhatItCannotDo) {
  RopeStoreCuda r;
  r.shape = {.n_heads = 1, .n_kv_heads = 1, .head_dim = 32};
  EXPECT_TRUE(rope_store_cuda(r, nullptr).ok());  // no tokens
  r.tokens = 1;
  EXPECT_EQ(rope_store_cuda(r, nullptr).code(), StatusCode::kInvalidArgument);
  r.n_rotated = 34;
  EXPECT_EQ(rope_store_cuda(r, nullptr).code(), StatusCode::kInvalidShape);
  r.n_rotated = 0;
  r.shape = {.n_heads = 1, .n_kv_heads = 1, .head_dim = 48, .format = KvFormat::kQ8_0};
  EXPECT_EQ(rope_store_cuda(r, nullptr).code(), StatusCode::kInvalidShape);
}

TEST(RopeCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("rope")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "rope_store", .registers = 48, .occupancy = 0.62}};
  EXPECT_EQ(simt::beyond_static_bounds("rope", bounds), "");
}

}  // namespace
}  // namespace weft
