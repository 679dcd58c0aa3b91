#include "kernels/ops/embedding/embedding.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"

namespace weft {
namespace {

// NaNs of any payload are equal; all else is, bit by bit.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<uint32_t>(a[i]) != std::bit_cast<uint32_t>(b[i])) return false;
  }
  return a.size() == b.size();
}

TEST(Embedding, GivesTheReferencesBitsOfEveryFormatAtEveryLevel) {
  testing::Threads threads(2);
  for (int f = 0; f < kWeightFormatCount; ++f) {
    const auto format = static_cast<WeightFormat>(f);
    const int64_t block = block_layout(format).elements;
    // Plain formats have rows that end within a vector.
    const std::vector<int64_t> widths =
        block == 1 ? std::vector<int64_t>{1, 15, 16, 17, 40} : std::vector<int64_t>{block, 3 * block};
    for (const int64_t width : widths) {
      constexpr int64_t kRows = 60;
      std::vector<uint8_t> data = testing::random_weights(format, kRows * width, 3);
      data.insert(data.begin(), 0);  // misaligned
      const EmbeddingTable table = {format, data.data() + 1, kRows, width};
      std::vector<int32_t> tokens = {59, 0, 0, 31};
      for (int32_t t = 0; t < kRows; ++t) tokens.push_back(t);
      for (const float scale : {1.0f, 25.3f}) {
        std::vector<float> want(tokens.size() * static_cast<size_t>(width)), got(want.size());
        embedding_reference(table, tokens, scale, want.data());
        for (const IsaLevel level : testing::available_levels()) {
          ASSERT_TRUE(embedding(table, tokens, scale, got.data(), threads.executor(), level).ok());
          EXPECT_TRUE(same(got, want))
              << block_layout(format).name << " width " << width << " " << to_string(level);
        }
      }
    }
  }
}

// Any bytes are some weights: scales of any size, subnormal ones and infinities too.
TEST(Embedding, GivesTheReferencesBitsOfArbitraryBytes) {
  testing::Random random(11);
  for (int f = 0; f < kWeightFormatCount; ++f) {
    const auto format = static_cast<WeightFormat>(f);
    const int64_t width = 20 * 256;
    std::vector<uint8_t> row(static_cast<size_t>(weights_bytes(format, width)));
    for (uint8_t& byte : row) byte = static_cast<uint8_t>(random.next() >> 32);
    std::vector<float> want(width), got(width);
    dequantize(format, row.data(), width, want.data());
    for (const IsaLevel level : testing::available_levels()) {
      embedding_row(format, row.data(), width, 1, got.data(), level);
      EXPECT_TRUE(same(got, want)) << block_layout(format).name << " " << to_string(level);
    }
  }
}

TEST(Embedding, RefusesWhatCannotBe) {
  testing::Threads threads(1);
  const Executor executor = threads.executor();
  const std::vector<uint8_t> data = testing::random_weights(WeightFormat::kQ8_0, 64, 1);
  std::vector<float> y(64, 7);
  const EmbeddingTable table = {WeightFormat::kQ8_0, data.data(), 2, 32};
  const auto code = [&](EmbeddingTable t, std::vector<int32_t> tokens) {
    return embedding(t, tokens, 1, y.data(), executor).code();
  };
  EXPECT_EQ(code(table, {0, 2}), StatusCode::kOutOfRange);
  EXPECT_EQ(code(table, {-1}), StatusCode::kOutOfRange);
  EXPECT_EQ(code({WeightFormat::kQ8_0, data.data(), 2, 31}, {0}), StatusCode::kInvalidShape);
  EXPECT_EQ(code({WeightFormat::kQ8_0, data.data(), 2, 0}, {0}), StatusCode::kInvalidShape);
  EXPECT_EQ(code({WeightFormat::kQ8_0, nullptr, 2, 32}, {0}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({WeightFormat::kQ8_0, nullptr, 2, 32}, {}), StatusCode::kOk);
  EXPECT_EQ(y, std::vector<float>(64, 7));
}

}  // namespace
}  // namespace weft
