#include "kernels/ops/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

constexpr KvFormat kFormats[] = {KvFormat::kF32, KvFormat::kF16, KvFormat::kBF16, KvFormat::kQ8_0};

// A sequence of random keys and values in pages of two layers, of which the second is used, and its queries.
class Fixture {
 public:
  Fixture(const AttentionShape& shape, int64_t n_tokens, IsaLevel level) : shape_(shape) {
    const int64_t layer_bytes = shape.n_kv_heads * 2 * kv_block_bytes(shape.format, shape.head_dim);
    shape_.layer_offset = layer_bytes;
    for (int64_t p = 0; p * kPageTokens < n_tokens; ++p) {
      memory_.emplace_back(
          static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>(2 * layer_bytes))), &std::free);
      std::memset(memory_.back().get(), 0xff, static_cast<size_t>(2 * layer_bytes));  // NaN
      pages_.push_back(memory_.back().get());
    }
    const int64_t kv = shape.n_kv_heads * shape.head_dim;
    k_ = testing::random_normal(n_tokens * kv, 1);
    v_ = testing::random_normal(n_tokens * kv, 2);
    q_ = testing::random_normal(n_tokens * width(), 3);
    for (int64_t t = 0; t < n_tokens; ++t)
      store_kv(shape_, k_.data() + t * kv, v_.data() + t * kv, pages_.data(), t, level);
  }

  int64_t width() const { return shape_.n_heads * shape_.head_dim; }
  // Gives each row a bias, f(head, the row's token, token). Behind the row's own token are NaN and the memory's end.
  template <typename Function>
  void set_bias(const Function& f) {
    const int64_t n_tokens = static_cast<int64_t>(q_.size()) / width();
    shape_.bias_head_stride = n_tokens;
    for (int64_t t = 0; t < n_tokens; ++t) {
      const auto size = static_cast<size_t>((shape_.n_heads - 1) * n_tokens + t + 1);
      std::vector<float>& bias = bias_.emplace_back(size, std::numeric_limits<float>::quiet_NaN());
      for (int64_t h = 0; h < shape_.n_heads; ++h) {
        for (int64_t seen = 0; seen <= t; ++seen)
          bias[static_cast<size_t>(h * n_tokens + seen)] = f(h, t, seen);
      }
    }
  }
  // Tokens [begin, end) look ahead, up to the last of them.
  void set_block(int64_t begin, int64_t end) {
    block_begin_ = begin;
    block_end_ = end;
  }
  // The rows of tokens [begin, end), computed by `n_threads` in turn.
  std::vector<float> attend(int64_t begin, int64_t end, IsaLevel level, uint32_t n_threads = 1) const {
    std::vector<float> y(static_cast<size_t>((end - begin) * width()));
    std::vector<AttentionRow> rows;
    for (int64_t t = begin; t < end; ++t) rows.push_back(row(t, y.data() + (t - begin) * width()));
    SharedWork work;
    for (uint32_t i = 0; i < n_threads; ++i)
      attention_share(shape_, rows.data(), end - begin, work, i, n_threads, level);
    return y;
  }
  std::vector<float> reference(int64_t begin, int64_t end) const {
    std::vector<float> y(static_cast<size_t>((end - begin) * width()));
    for (int64_t t = begin; t < end; ++t)
      attention_reference(shape_, row(t, y.data() + (t - begin) * width()));
    return y;
  }
  std::vector<std::byte*>& pages() { return pages_; }
  const AttentionShape& shape() const { return shape_; }

 private:
  AttentionRow row(int64_t t, float* y) const {
    AttentionRow row{q_.data() + t * width(), y, pages_.data(), t};
    if (!bias_.empty()) row.bias = bias_[static_cast<size_t>(t)].data();
    if (t >= block_begin_ && t < block_end_) row.ahead = block_end_ - 1 - t;
    return row;
  }

  AttentionShape shape_;
  std::vector<std::unique_ptr<std::byte, void (*)(void*)>> memory_;
  std::vector<std::byte*> pages_;
  std::vector<float> k_, v_, q_;
  std::vector<std::vector<float>> bias_;  // of each token's row
  int64_t block_begin_ = 0, block_end_ = 0;
};

AttentionShape shape_of(KvFormat format, int64_t heads, int64_t kv_heads, int64_t head_dim,
                        int64_t window = 0) {
  AttentionShape shape;
  shape.n_heads = heads;
  shape.n_kv_heads = kv_heads;
  shape.head_dim = head_dim;
  shape.format = format;
  shape.scale = 1 / std::sqrt(static_cast<float>(head_dim));
  shape.window = window;
  return shape;
}

TEST(Attention, AgreesWithTheReferenceAtEveryLevelAndFormat) {
  struct Case {
    int64_t heads, kv_heads, head_dim, window;
  };
  const Case cases[] = {{2, 1, 32, 0}, {9, 3, 64, 0}, {4, 1, 256, 13}, {3, 3, 96, 33}, {5, 1, 32, 1}};
  for (IsaLevel level : testing::available_levels()) {
    for (KvFormat format : kFormats) {
      for (const Case& c : cases) {
        Fixture fixture(shape_of(format, c.heads, c.kv_heads, c.head_dim, c.window), 71, level);
        const std::vector<float> got = fixture.attend(0, 71, level), want = fixture.reference(0, 71);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())),
                  testing::tolerance(DType::kF32))
            << to_string(level) << " " << to_string(format) << " head_dim " << c.head_dim;
      }
    }
  }
}

TEST(Attention, ServesOddHeadSizes) {
  for (IsaLevel level : testing::available_levels()) {
    for (int64_t head_dim : {1, 7, 8, 17, 40, 255}) {
      Fixture fixture(shape_of(KvFormat::kF16, 2, 2, head_dim), 35, level);
      const std::vector<float> got = fixture.attend(0, 35, level), want = fixture.reference(0, 35);
      EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())),
                testing::tolerance(DType::kF32))
          << to_string(level) << " " << head_dim;
    }
  }
}

TEST(Attention, SoftCapAgreesWithTheReference) {
  AttentionShape shape = shape_of(KvFormat::kF32, 2, 1, 16);
  shape.scale = 4;
  shape.softcap = 5;
  Fixture fixture(shape, 40, active_isa());
  const std::vector<float> got = fixture.attend(0, 40, active_isa()), want = fixture.reference(0, 40);
  EXPECT_LT(testing::relative_error(got.data(), want.data(), 40 * 32), 4 * testing::tolerance(DType::kF32));
}

TEST(Attention, BitsOfARowDoNotDependOnItsNeighboursOrTheThreads) {
  for (IsaLevel level : testing::available_levels()) {
    for (KvFormat format : kFormats) {
      for (int64_t window : {0, 10}) {
        Fixture fixture(shape_of(format, 6, 2, 64, window), 100, level);
        const std::vector<float> together = fixture.attend(0, 100, level);
        const size_t width = static_cast<size_t>(fixture.width());
        for (int64_t t = 0; t < 100; ++t) {
          const std::vector<float> alone = fixture.attend(t, t + 1, level, t % 2 == 0 ? 1 : 5);
          ASSERT_EQ(std::memcmp(alone.data(), together.data() + static_cast<size_t>(t) * width, width * 4), 0)
              << to_string(level) << " " << to_string(format) << " row " << t;
        }
        const std::vector<float> shared = fixture.attend(0, 100, level, 3);
        EXPECT_EQ(std::memcmp(shared.data(), together.data(), together.size() * 4), 0);
      }
    }
  }
}

// A picture's tokens look ahead within it, over several pages and further than the window, which bounds what is behind them.
TEST(Attention, RowsLookAheadWithinTheirBlock) {
  constexpr int64_t kTokens = 100, kBegin = 21, kEnd = 83;
  for (IsaLevel level : testing::available_levels()) {
    for (KvFormat format : kFormats) {
      for (int64_t window : {0, 10}) {
        Fixture fixture(shape_of(format, 4, 2, 32, window), kTokens, level);
        const std::vector<float> causal = fixture.attend(0, kTokens, level);
        fixture.set_block(kBegin, kEnd);
        const std::vector<float> got = fixture.attend(0, kTokens, level),
                                 want = fixture.reference(0, kTokens);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size())),
                  testing::tolerance(DType::kF32))
            << to_string(level) << " " << to_string(format) << " window " << window;
        const size_t width = static_cast<size_t>(fixture.width());
        for (int64_t t = 0; t < kTokens; ++t) {
          const size_t at = static_cast<size_t>(t) * width;
          const bool same = t < kBegin || t >= kEnd - 1;  // the block's last token has nothing ahead
          EXPECT_EQ(std::memcmp(got.data() + at, causal.data() + at, width * 4) == 0, same) << t;
          const std::vector<float> alone = fixture.attend(t, t + 1, level, 3);
          ASSERT_EQ(std::memcmp(alone.data(), got.data() + at, width * 4), 0) << t;
        }
      }
    }
  }
}

// Distances by head, as ALiBi has them, and some tokens hidden: whole pages of them at the beginning, too.
float slope_with_gaps(int64_t head, int64_t row, int64_t token) {
  const bool hidden = (head == 1 && token < 40 && token < row) || (token % 7 == 3 && token != row);
  const float slope = std::exp2(-static_cast<float>(head + 1));
  return hidden ? -std::numeric_limits<float>::infinity() : slope * static_cast<float>(token - row);
}

TEST(Attention, AddsABiasAtEveryLevelAndFormat) {
  struct Case {
    int64_t heads, kv_heads, head_dim, window;
    float softcap;
  };
  const Case cases[] = {{2, 1, 32, 0, 0}, {9, 3, 64, 0, 0}, {4, 1, 256, 50, 0}, {3, 3, 96, 33, 3}};
  for (IsaLevel level : testing::available_levels()) {
    for (KvFormat format : kFormats) {
      for (const Case& c : cases) {
        AttentionShape shape = shape_of(format, c.heads, c.kv_heads, c.head_dim, c.window);
        shape.softcap = c.softcap;
        Fixture fixture(shape, 100, level);
        const std::vector<float> without = fixture.attend(0, 100, level);
        fixture.set_bias(slope_with_gaps);
        const std::vector<float> got = fixture.attend(0, 100, level), want = fixture.reference(0, 100);
        const auto count = static_cast<int64_t>(got.size());
        EXPECT_LT(testing::relative_error(got.data(), want.data(), count), testing::tolerance(DType::kF32))
            << to_string(level) << " " << to_string(format) << " head_dim " << c.head_dim;
        EXPECT_GT(testing::relative_error(got.data(), without.data(), count), 0.1);
        for (int64_t t = 0; t < 100; t += 9) {
          const std::vector<float> alone = fixture.attend(t, t + 1, level);
          ASSERT_EQ(std::memcmp(alone.data(), got.data() + t * fixture.width(), alone.size() * 4), 0)
              << to_string(level) << " " << to_string(format) << " row " << t;
        }
      }
    }
  }
}

TEST(Attention, ABiasOfZeroChangesNoBit) {
  for (IsaLevel level : testing::available_levels()) {
    Fixture fixture(shape_of(KvFormat::kF16, 6, 2, 64, 40), 100, level);
    const std::vector<float> without = fixture.attend(0, 100, level);
    fixture.set_bias([](int64_t, int64_t, int64_t) { return 0.0f; });
    EXPECT_EQ(fixture.attend(0, 100, level), without) << to_string(level);
  }
}

TEST(Attention, ARowWhoseTokensAreAllHiddenIsNoNumber) {
  for (IsaLevel level : testing::available_levels()) {
    Fixture fixture(shape_of(KvFormat::kF16, 2, 1, 32), 70, level);
    fixture.set_bias([](int64_t head, int64_t row, int64_t) {
      return head == 1 && row == 65 ? -std::numeric_limits<float>::infinity() : 0.0f;
    });
    const std::vector<float> y = fixture.attend(64, 70, level);
    for (size_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(std::isnan(y[i]), i / 32 == 3) << to_string(level) << " " << i;
  }
}

// Whatever lies behind a row's own position, NaN included, is not seen.
TEST(Attention, LaterTokensAreNotRead) {
  for (IsaLevel level : testing::available_levels()) {
    for (KvFormat format : kFormats) {
      Fixture fixture(shape_of(format, 4, 2, 32), 50, level);
      const std::vector<float> before = fixture.attend(0, 41, level);
      const std::vector<float> poison(2 * 32, std::numeric_limits<float>::quiet_NaN());
      for (int64_t t = 41; t < 50; ++t)
        store_kv(fixture.shape(), poison.data(), poison.data(), fixture.pages().data(), t, level);
      const std::vector<float> after = fixture.attend(0, 50, level);
      EXPECT_EQ(std::memcmp(before.data(), after.data(), before.size() * 4), 0) << to_string(format);
      EXPECT_TRUE(std::isnan(after.back())) << "a key that is not a number stays visible";
    }
  }
}

TEST(Attention, ExtremeScoresStayFinite) {
  for (IsaLevel level : testing::available_levels()) {
    AttentionShape shape = shape_of(KvFormat::kF32, 1, 1, 16);
    shape.scale = 1000;
    Fixture fixture(shape, 64, level);
    for (float y : fixture.attend(0, 64, level)) EXPECT_TRUE(std::isfinite(y));
  }
}

}  // namespace
}  // namespace weft
