#include "kernels/ops/dense_attention/dense_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/quant/half.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

struct Scratch {
  Scratch(int64_t head_dim, uint32_t n_threads)
      : size(static_cast<size_t>(dense_attention_scratch_bytes(head_dim, n_threads))),
        data(static_cast<std::byte*>(std::aligned_alloc(64, size)), &std::free) {
    std::memset(data.get(), 0xff, size);  // NaN: nothing may be read before it is written
  }
  std::span<std::byte> span() { return {data.get(), size}; }
  size_t size;
  std::unique_ptr<std::byte, void (*)(void*)> data;
};

// Random queries, keys and values, of which a token's keys and values lie side by side.
class Fixture {
 public:
  explicit Fixture(const DenseAttention& shape) : a_(shape), width_(shape.n_heads * shape.head_dim) {
    a_.scale = 1 / std::sqrt(static_cast<float>(shape.head_dim));
    q_ = stored(testing::random_normal(shape.batch * shape.n_queries * width_, 1));
    kv_ = stored(testing::random_normal(shape.batch * shape.n_keys * 2 * width_, 2));
    y_.resize(q_.size());
    want_.resize(q_.size());
    const int64_t element = size_bytes(shape.dtype);
    a_.q = {q_.data(), width_, shape.n_queries * width_};
    a_.k = {kv_.data(), 2 * width_, shape.n_keys * 2 * width_};
    a_.v = {kv_.data() + width_ * element, 2 * width_, shape.n_keys * 2 * width_};
    a_.y = {y_.data(), width_, shape.n_queries * width_};
  }

  DenseAttention& shape() { return a_; }
  std::vector<char>& kv() { return kv_; }
  std::vector<char> attend(IsaLevel level, uint32_t n_threads = 1) {
    std::memset(y_.data(), 0xff, y_.size());
    Scratch scratch(a_.head_dim, n_threads);
    for (uint32_t i = 0; i < n_threads; ++i)
      dense_attention_share(a_, scratch.data.get(), i, n_threads, level);
    return y_;
  }
  std::vector<char> attend_by_tiles(uint32_t n_threads) {
    std::memset(y_.data(), 0xff, y_.size());
    Scratch scratch(a_.head_dim, n_threads);
    for (uint32_t i = 0; i < n_threads; ++i)
      dense_attention_share_by_tiles(a_, scratch.data.get(), i, n_threads);
    return y_;
  }
  double error(const std::vector<char>& got) {
    DenseAttention naive = a_;
    naive.y.data = want_.data();
    dense_attention_reference(naive);
    const std::vector<float> a = floats(got), b = floats(want_);
    return testing::relative_error(a.data(), b.data(), static_cast<int64_t>(a.size()));
  }
  std::vector<float> floats(const std::vector<char>& bytes) const {
    std::vector<float> values(bytes.size() / static_cast<size_t>(size_bytes(a_.dtype)));
    for (size_t i = 0; i < values.size(); ++i) {
      if (a_.dtype == DType::kF32) std::memcpy(&values[i], bytes.data() + i * 4, 4);
      else values[i] = f32_from_bf16_bits(reinterpret_cast<const uint16_t*>(bytes.data())[i]);
    }
    return values;
  }

 private:
  std::vector<char> stored(const std::vector<float>& values) const {
    std::vector<char> bytes(values.size() * static_cast<size_t>(size_bytes(a_.dtype)));
    for (size_t i = 0; i < values.size(); ++i) {
      if (a_.dtype == DType::kF32) std::memcpy(bytes.data() + i * 4, &values[i], 4);
      else reinterpret_cast<uint16_t*>(bytes.data())[i] = bf16_bits(values[i]);
    }
    return bytes;
  }

  DenseAttention a_;
  int64_t width_;
  std::vector<char> q_, kv_, y_, want_;
};

DenseAttention shape_of(int64_t batch, int64_t n_queries, int64_t n_keys, int64_t n_heads, int64_t head_dim,
                        DType dtype = DType::kF32, AttentionMask mask = AttentionMask::kNone) {
  DenseAttention a;
  a.batch = batch;
  a.n_queries = n_queries;
  a.n_keys = n_keys;
  a.n_heads = n_heads;
  a.head_dim = head_dim;
  a.dtype = dtype;
  a.mask = mask;
  return a;
}

TEST(DenseAttention, AgreesWithTheReferenceAtEveryLevelAndType) {
  struct Case {
    int64_t batch, n_queries, n_keys, n_heads, head_dim;
  };
  const Case cases[] = {{2, 64, 64, 2, 40},  {1, 71, 77, 3, 64},   {1, 17, 130, 1, 160}, {1, 9, 65, 1, 512},
                        {1, 1, 1, 1, 1},     {2, 5, 3, 2, 7},      {1, 130, 63, 1, 80},  {1, 6, 64, 4, 48},
                        {1, 400, 32, 1, 16}, {1, 33, 128, 1, 1024}};
  for (IsaLevel level : testing::available_levels()) {
    for (DType dtype : {DType::kF32, DType::kBF16}) {
      for (const Case& c : cases) {
        Fixture fixture(shape_of(c.batch, c.n_queries, c.n_keys, c.n_heads, c.head_dim, dtype));
        EXPECT_LT(fixture.error(fixture.attend(level)), testing::tolerance(dtype))
            << to_string(level) << " " << static_cast<int>(dtype) << " queries " << c.n_queries << " keys "
            << c.n_keys << " head_dim " << c.head_dim;
      }
    }
  }
}

// The body for AMX, over plain tiles where the machine has none.
TEST(DenseAttention, TilesAgreeWithTheReferenceAndKeepBitsOfRows) {
  if (!isa_available(IsaLevel::kAvx512Bf16)) GTEST_SKIP() << "skipped: no AVX-512 BF16";
  struct Case {
    int64_t batch, n_queries, n_keys, n_heads, head_dim;
  };
  for (const Case& c : {Case{2, 64, 64, 2, 40},
                        {1, 71, 77, 3, 64},
                        {1, 17, 130, 1, 160},
                        {1, 9, 65, 1, 512},
                        {1, 1, 1, 1, 2},
                        {1, 130, 300, 1, 80},
                        {1, 33, 128, 1, 1024}}) {
    Fixture fixture(shape_of(c.batch, c.n_queries, c.n_keys, c.n_heads, c.head_dim, DType::kBF16));
    // Largest scores are sought before they are scaled, which a scale may turn round, or make all the same.
    const float scale = fixture.shape().scale;
    for (const float turned : {-scale, 0.0F, scale}) {
      fixture.shape().scale = turned;
      EXPECT_LT(fixture.error(fixture.attend_by_tiles(1)), testing::tolerance(DType::kBF16))
          << c.head_dim << " keys " << c.n_keys << " scale " << turned;
    }
    std::vector<float> bias = testing::random_normal(c.n_queries * c.n_keys, 5);
    fixture.shape().bias = bias.data();
    fixture.shape().bias_query_stride = c.n_keys;
    const std::vector<char> alone = fixture.attend_by_tiles(1);
    EXPECT_LT(fixture.error(alone), testing::tolerance(DType::kBF16)) << c.head_dim << " keys " << c.n_keys;
    EXPECT_EQ(alone, fixture.attend_by_tiles(3));
    EXPECT_EQ(alone, fixture.attend_by_tiles(64));
  }
}

TEST(DenseAttention, CausalAgreesWithTheReference) {
  for (IsaLevel level : testing::available_levels()) {
    for (int64_t n : {1, 32, 77, 150}) {
      Fixture fixture(shape_of(2, n, n, 2, 24, DType::kF32, AttentionMask::kCausal));
      EXPECT_LT(fixture.error(fixture.attend(level, 3)), testing::tolerance(DType::kF32)) << n;
    }
  }
}

TEST(DenseAttention, BiasAgreesWithTheReferenceAndHidesKeys) {
  for (IsaLevel level : testing::available_levels()) {
    Fixture fixture(shape_of(2, 13, 100, 2, 32));
    std::vector<float> bias = testing::random_normal(2 * 2 * 13 * 100, 5);
    // The first two blocks of a row hidden, and single keys.
    for (int64_t j = 0; j < 99; ++j) bias[static_cast<size_t>(3 * 100 + j)] = -INFINITY;
    for (size_t i = 7; i < bias.size(); i += 13) bias[i] = -INFINITY;
    bias[3 * 100 + 99] = 0;
    fixture.shape().bias = bias.data();
    fixture.shape().bias_query_stride = 100;
    fixture.shape().bias_head_stride = 13 * 100;
    fixture.shape().bias_batch_stride = 2 * 13 * 100;
    EXPECT_LT(fixture.error(fixture.attend(level)), testing::tolerance(DType::kF32)) << to_string(level);
  }
}

TEST(DenseAttention, ARowThatSeesNoKeyIsNotANumber) {
  Fixture fixture(shape_of(1, 2, 70, 1, 16));
  std::vector<float> bias(2 * 70, 0.0f);
  for (size_t j = 0; j < 70; ++j) bias[j] = -INFINITY;
  fixture.shape().bias = bias.data();
  fixture.shape().bias_query_stride = 70;
  const std::vector<float> y = fixture.floats(fixture.attend(active_isa()));
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_TRUE(std::isfinite(y[16]));
}

TEST(DenseAttention, BitsOfARowDoNotDependOnOtherRowsOrTheThreads) {
  for (IsaLevel level : testing::available_levels()) {
    for (DType dtype : {DType::kF32, DType::kBF16}) {
      for (AttentionMask mask : {AttentionMask::kNone, AttentionMask::kCausal}) {
        Fixture fixture(shape_of(2, 100, 150, 3, 40, dtype, mask));
        const std::vector<char> together = fixture.attend(level);
        for (uint32_t n_threads : {2, 3, 5, 64}) EXPECT_EQ(together, fixture.attend(level, n_threads));
        if (mask == AttentionMask::kCausal) continue;  // a row's number is part of its meaning
        DenseAttention alone = fixture.shape();
        alone.n_queries = 1;
        alone.batch = 1;
        Scratch scratch(40, 1);
        const int64_t row_bytes = 3 * 40 * size_bytes(dtype);
        for (int64_t row = 0; row < 100; row += 7) {
          std::vector<char> y(static_cast<size_t>(row_bytes));
          alone.q.data = static_cast<const char*>(fixture.shape().q.data) + row * row_bytes;
          alone.y.data = y.data();
          dense_attention_share(alone, scratch.data.get(), 0, 1, level);
          ASSERT_EQ(std::memcmp(y.data(), together.data() + row * row_bytes, y.size()), 0)
              << to_string(level) << " row " << row;
        }
      }
    }
  }
}

TEST(DenseAttention, CausalRowsDoNotReadLaterTokens) {
  for (IsaLevel level : testing::available_levels()) {
    Fixture fixture(shape_of(1, 90, 90, 1, 16, DType::kF32, AttentionMask::kCausal));
    const std::vector<char> before = fixture.attend(level);
    const float poison = std::numeric_limits<float>::quiet_NaN();
    for (size_t i = 70 * 32; i < 90 * 32; ++i) std::memcpy(fixture.kv().data() + i * 4, &poison, 4);
    const std::vector<char> after = fixture.attend(level);
    EXPECT_EQ(std::memcmp(before.data(), after.data(), 70 * 16 * 4), 0) << to_string(level);
    EXPECT_TRUE(std::isnan(fixture.floats(after)[70 * 16])) << "a key that is not a number stays visible";
  }
}

TEST(DenseAttention, ABatchMayShareItsKeys) {
  Fixture fixture(shape_of(2, 10, 20, 2, 16));
  fixture.shape().k.batch_stride = 0;
  fixture.shape().v.batch_stride = 0;
  EXPECT_LT(fixture.error(fixture.attend(active_isa())), testing::tolerance(DType::kF32));
}

TEST(DenseAttention, ExtremeScoresStayFinite) {
  for (IsaLevel level : testing::available_levels()) {
    Fixture fixture(shape_of(1, 20, 200, 1, 16));
    fixture.shape().scale = 1e4f;
    for (float y : fixture.floats(fixture.attend(level))) EXPECT_TRUE(std::isfinite(y));
  }
}

// Sequences of several lengths behind one another, in one call.
TEST(DenseAttention, SequencesOfDifferentLengthsAreWhatEachIsAlone) {
  const std::vector<int64_t> starts = {0, 1, 8, 140, 141, 205, 210};
  const int64_t total = starts.back(), n_heads = 3, head_dim = 24, width = n_heads * head_dim;
  for (IsaLevel level : testing::available_levels()) {
    for (DType dtype : {DType::kF32, DType::kBF16}) {
      for (AttentionMask mask : {AttentionMask::kNone, AttentionMask::kCausal}) {
        Fixture fixture(shape_of(1, total, total, n_heads, head_dim, dtype, mask));
        DenseAttention alone = fixture.shape();
        fixture.shape().batch = static_cast<int64_t>(starts.size()) - 1;
        fixture.shape().starts = starts.data();
        fixture.shape().n_queries = fixture.shape().n_keys = -1;  // not read
        const std::vector<char> together = fixture.attend(level);
        EXPECT_LT(fixture.error(together), testing::tolerance(dtype)) << to_string(level);
        for (uint32_t n_threads : {2, 5, 64}) EXPECT_EQ(together, fixture.attend(level, n_threads));
        const DenseAttention all = alone;
        for (size_t b = 0; b + 1 < starts.size(); ++b) {
          alone.n_queries = alone.n_keys = starts[b + 1] - starts[b];
          const auto from_start = [&](const HeadsView& view) {
            return static_cast<const char*>(view.data) + starts[b] * view.token_stride * size_bytes(dtype);
          };
          alone.q.data = from_start(all.q);
          alone.k.data = from_start(all.k);
          alone.v.data = from_start(all.v);
          std::vector<char> y(static_cast<size_t>(alone.n_queries * width * size_bytes(dtype)));
          alone.y.data = y.data();
          Scratch scratch(head_dim, 1);
          dense_attention_share(alone, scratch.data.get(), 0, 1, level);
          ASSERT_EQ(std::memcmp(y.data(), together.data() + starts[b] * width * size_bytes(dtype), y.size()),
                    0)
              << to_string(level) << " sequence " << b;
        }
      }
    }
  }
}

TEST(DenseAttention, RefusesImpossibleArguments) {
  testing::Threads threads(2);
  Fixture fixture(shape_of(1, 4, 4, 2, 16));
  Scratch scratch(16, 2);
  const DenseAttention good = fixture.shape();
  EXPECT_TRUE(dense_attention(good, scratch.span(), threads.executor()).ok());
  DenseAttention bad = good;
  bad.n_keys = 0;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kInvalidShape);
  bad = good;
  bad.head_dim = kMaxDenseHeadDim + 1;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kInvalidShape);
  bad = good;
  bad.q.token_stride = 31;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kInvalidShape);
  bad = good;
  bad.dtype = DType::kF16;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kUnsupported);
  bad = good;
  bad.v.data = nullptr;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(dense_attention(good, scratch.span().first(64), threads.executor()).code(),
            StatusCode::kOutOfMemory);
  const int64_t starts[] = {0, 3, 3}, two[] = {0, 1, 4};
  bad = good;
  bad.batch = 2;
  bad.starts = starts;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kInvalidShape);
  bad.starts = two;
  EXPECT_TRUE(dense_attention(bad, scratch.span(), threads.executor()).ok());
  const float bias[16] = {};
  bad.bias = bias;
  EXPECT_EQ(dense_attention(bad, scratch.span(), threads.executor()).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft
