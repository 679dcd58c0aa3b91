// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/attention/attention_cuda.h"

#include <gtest/gtest.h>

#include <memory>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

struct Case {
  const char* name;
  KvFormat format;
  int64_t n_heads, n_kv_heads, head_dim, splits, window;
  float softcap;
  std::vector<int32_t> positions;   // one a row
  std::vector<int32_t> ahead = {};  // likewise, or none

  int32_t last_seen(size_t row) const { return positions[row] + (ahead.empty() ? 0 : ahead[row]); }
};
const Case kCases[] = {
    {"OneToken", KvFormat::kF32, 1, 1, 64, 1, 0, 0, {0}},
    {"Grouped", KvFormat::kF16, 6, 2, 64, 2, 0, 0, {70, 31}},
    {"MoreHeadsThanABlockServes", KvFormat::kBF16, 6, 1, 32, 1, 0, 0, {200}},
    {"MoreSplitsThanPages", KvFormat::kF16, 2, 1, 48, 8, 0, 0, {33}},
    {"Window", KvFormat::kF32, 2, 2, 40, 2, 50, 0, {140}},
    {"SoftcapAndLargeHeads", KvFormat::kF16, 2, 1, 256, 2, 0, 20, {40}},
    {"LargeHeadsInF32", KvFormat::kF32, 3, 1, 200, 1, 0, 0, {45}},
    {"SeveralPagesAWarp", KvFormat::kBF16, 4, 1, 128, 2, 0, 0, {700, 5}},
    {"WindowOfLastPages", KvFormat::kF16, 5, 1, 96, 3, 300, 0, {500, 299, 330}},
    {"CodesOfSmallHeads", KvFormat::kQ8_0, 3, 1, 32, 1, 0, 0, {0, 40}},
    {"CodesGrouped", KvFormat::kQ8_0, 6, 2, 64, 2, 0, 0, {170, 31}},
    {"CodesOfHeadsOf96", KvFormat::kQ8_0, 2, 1, 96, 1, 40, 0, {150}},
    {"CodesOfSeveralPagesAWarp", KvFormat::kQ8_0, 5, 1, 128, 2, 0, 20, {700, 5}},
    {"CodesOfHeadsBetween", KvFormat::kQ8_0, 1, 1, 160, 1, 0, 0, {45}},
    {"CodesOfLargeHeads", KvFormat::kQ8_0, 2, 1, 256, 3, 100, 0, {300}},
    {"HeadsBetween", KvFormat::kF32, 1, 1, 80, 1, 0, 0, {260}},
    {"LooksAhead", KvFormat::kF16, 4, 2, 64, 2, 0, 0, {0, 20, 70}, {90, 0, 25}},
    {"LooksAheadFurtherThanItsWindow", KvFormat::kF32, 2, 1, 32, 3, 9, 0, {60, 140}, {200, 3}},
};

/// Pages of one row: keys and values of random tokens up to the last that it sees; what lies behind is NaN.
std::vector<std::vector<uint8_t>> random_pages(const AttentionShape& shape, int32_t last, uint64_t seed) {
  const size_t bytes = static_cast<size_t>(
      shape.layer_offset + 2 * shape.n_kv_heads * kv_block_bytes(shape.format, shape.head_dim));
  std::vector<std::vector<uint8_t>> pages(static_cast<size_t>(last / kPageTokens + 1),
                                          std::vector<uint8_t>(bytes, 0xff));
  std::vector<std::byte*> table;
  for (auto& page : pages) table.push_back(reinterpret_cast<std::byte*>(page.data()));
  for (int32_t t = 0; t <= last; ++t) {
    const int64_t count = shape.n_kv_heads * shape.head_dim;
    const std::vector<float> k = testing::random_normal(count, seed + 2 * static_cast<uint64_t>(t)),
                             v = testing::random_normal(count, seed + 2 * static_cast<uint64_t>(t) + 1);
    store_kv(shape, k.data(), v.data(), table.data(), t);
  }
  return pages;
}

class AttentionCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const AttentionShape shape{.n_heads = c.n_heads,
                             .n_kv_heads = c.n_kv_heads,
                             .head_dim = c.head_dim,
                             .format = c.format,
                             .scale = 0.2f,
                             .softcap = c.softcap,
                             .window = c.window,
                             .layer_offset = 64};
  const int64_t rows = static_cast<int64_t>(c.positions.size()), row_size = c.n_heads * c.head_dim;
  const std::vector<float> q = testing::random_normal(rows * row_size, 7);
  std::vector<float> want(q.size());
  std::vector<std::vector<std::vector<uint8_t>>> pages;
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<size_t>(r);
    pages.push_back(random_pages(shape, c.last_seen(at), 1000 * static_cast<uint64_t>(r + 1)));
    std::vector<std::byte*> table;
    for (auto& page : pages.back()) table.push_back(reinterpret_cast<std::byte*>(page.data()));
    attention_reference(shape, {.q = q.data() + r * row_size,
                                .y = want.data() + r * row_size,
                                .pages = table.data(),
                                .position = c.positions[at],
                                .ahead = c.last_seen(at) - c.positions[at]});
  }
  for (const simt::Target& target : simt::targets("attention")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    std::vector<std::unique_ptr<simt::Buffer<uint8_t>>> memory;
    std::vector<std::unique_ptr<simt::Buffer<std::byte*>>> tables;
    std::vector<std::byte* const*> table_of;
    for (const auto& of_row : pages) {
      std::vector<std::byte*> table;
      for (const std::vector<uint8_t>& page : of_row) {
        memory.push_back(std::make_unique<simt::Buffer<uint8_t>>(device, "page", page));
        table.push_back(reinterpret_cast<std::byte*>(memory.back()->data()));
      }
      tables.push_back(std::make_unique<simt::Buffer<std::byte*>>(device, "page table", table));
      table_of.push_back(tables.back()->data());
    }
    simt::Buffer<std::byte* const*> table(device, "page tables", table_of);
    simt::Buffer<int32_t> positions(device, "positions", c.positions), ahead(device, "ahead", c.ahead);
    simt::Buffer<float> queries(device, "q", q), y(device, "y", std::vector<float>(q.size())),
        workspace(device, "workspace",
                  std::vector<float>(static_cast<size_t>(decode_attention_workspace(shape, rows, c.splits))));
    ASSERT_TRUE(
        decode_attention_cuda({shape, queries.data(), y.data(), table.data(), positions.data(),
                               c.ahead.empty() ? nullptr : ahead.data(), rows, c.splits, workspace.data()},
                              &device)
            .ok())
        << device.report().text();
    for (int64_t r = 0; r < rows; ++r)
      EXPECT_LT(
          testing::relative_error(y.values().data() + r * row_size, want.data() + r * row_size, row_size),
          2 * testing::tolerance(DType::kF32));
    // The workspace's parts are head_dim + 2 floats long, so that they begin anywhere in a sector.
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 1}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(AttentionCuda, AttentionCudaCases, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(AttentionCuda, RefusesWhatItCannotDo) {
  DecodeAttentionCuda a;
  a.shape = {.n_heads = 3, .n_kv_heads = 2, .head_dim = 32};
  EXPECT_EQ(decode_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a.shape.n_heads = 4;
  EXPECT_TRUE(decode_attention_cuda(a, nullptr).ok());  // no rows
  a.rows = 1;
  EXPECT_EQ(decode_attention_cuda(a, nullptr).code(), StatusCode::kInvalidArgument);
  a.shape.format = KvFormat::kQ8_0, a.shape.head_dim = 48;
  EXPECT_EQ(decode_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a.shape.head_dim = 32;
  a.splits = 129;
  EXPECT_EQ(decode_attention_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
}

TEST(AttentionCuda, SplitsWhatIsLongAndFew) {
  const AttentionShape shapes[] = {{.n_heads = 32, .n_kv_heads = 8, .head_dim = 128},
                                   {.n_heads = 7, .n_kv_heads = 1, .head_dim = 64},
                                   {.n_heads = 12, .n_kv_heads = 12, .head_dim = 80, .window = 512}};
  for (const AttentionShape& shape : shapes) {
    EXPECT_EQ(decode_attention_splits(shape, 1, 1), 1);
    EXPECT_GT(decode_attention_splits(shape, 1, 4096), 1);
    EXPECT_EQ(decode_attention_splits(shape, 1024, 1 << 20), 1);
    for (int64_t rows = 1; rows < 100; ++rows)
      EXPECT_LE(
          decode_attention_workspace(shape, rows, decode_attention_splits(shape, rows, int64_t{1} << 20)),
          most_decode_attention_workspace(shape));
  }
}

TEST(AttentionCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("attention")) GTEST_SKIP() << simt::kNoNvcc;
  constexpr int kRing = 64 << 10, kRingOfCodes = 68 << 10;  // shared memory of a block
  const simt::StaticBounds bounds[] = {
      {.kernel = "decode_attentionIf", .registers = 255, .occupancy = 0.08, .dynamic_shared_bytes = kRing},
      {.kernel = "decode_attentionIa",
       .registers = 255,
       .occupancy = 0.08,
       .dynamic_shared_bytes = kRingOfCodes},
      {.kernel = "decode_attention", .registers = 168, .occupancy = 0.08, .dynamic_shared_bytes = kRing},
      {.kernel = "join_splits", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("attention", bounds), "");
}

}  // namespace
}  // namespace weft
