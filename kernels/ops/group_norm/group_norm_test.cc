#include "kernels/ops/group_norm/group_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::available_levels;
using testing::FloatTensor;
using testing::Threads;

struct Parameters {
  explicit Parameters(int64_t images, int64_t channels)
      : weight(testing::random_normal(channels, 11)),
        bias(testing::random_normal(channels, 12)),
        scale(static_cast<size_t>(images * channels)),
        shift(scale) {}
  std::vector<float> weight, bias, scale, shift;

  GroupNorm on(const FloatTensor& x, int64_t groups) {
    return {.x = x.view(),
            .groups = groups,
            .weight = weight.data(),
            .bias = bias.data(),
            .scale = scale.data(),
            .shift = shift.data()};
  }
};

struct Case {
  int64_t images, height, width, channels, groups;
};
constexpr Case kCases[] = {{1, 1, 1, 4, 2},   {2, 3, 5, 6, 3},  {1, 8, 8, 32, 32},
                           {2, 9, 10, 40, 8}, {3, 2, 2, 17, 1}, {1, 13, 11, 96, 32}};

TEST(GroupNorm, AgreesWithTheReferenceAtEveryLevelShapeAndType) {
  const Threads threads(2);
  for (const Case& s : kCases) {
    for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
      FloatTensor x(type, {s.images, s.height, s.width, s.channels}, 1);
      const std::vector<float> values = x.values();
      for (size_t i = 0; i < values.size(); ++i) x.set(static_cast<int64_t>(i), 3 + 0.5f * values[i]);
      FloatTensor want(type, {s.images, s.height, s.width, s.channels}, 0);
      for (const std::optional<Activation> f :
           {std::optional<Activation>(), std::optional(Activation::kSilu)}) {
        Parameters expected(s.images, s.channels);
        group_norm_reference(expected.on(x, s.groups), f, want.view());
        for (const IsaLevel level : available_levels()) {
          FloatTensor got(type, {s.images, s.height, s.width, s.channels}, 0);
          Parameters found(s.images, s.channels);
          ASSERT_TRUE(group_norm(found.on(x, s.groups), f, got.view(), threads.executor(), level).ok());
          // y = x * scale + shift cancels where the mean is large: errors are those of x * scale.
          EXPECT_LE(testing::relative_error(got, want), 4 * testing::tolerance(type)) << to_string(level);
          EXPECT_LE(testing::relative_error(found.scale.data(), expected.scale.data(), s.images * s.channels),
                    testing::tolerance(DType::kF32));
          EXPECT_LE(testing::relative_error(found.shift.data(), expected.shift.data(), s.images * s.channels),
                    testing::tolerance(DType::kF32));
          EXPECT_TRUE(got.gaps_untouched());
        }
      }
    }
  }
}

TEST(GroupNorm, NormalisesASecondInputAsIfItsChannelsFollowed) {
  const Threads threads(3);
  const int64_t images = 2, height = 5, width = 4, first = 20, second = 28, channels = first + second;
  const FloatTensor both(DType::kF32, {images, height, width, channels}, 1);
  FloatTensor x(DType::kF32, {images, height, width, first}, 0),
      skip(DType::kF32, {images, height, width, second}, 0);
  const std::vector<float> values = both.values();
  for (int64_t p = 0; p < images * height * width; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const float v = values[static_cast<size_t>(p * channels + c)];
      if (c < first) x.set(p * first + c, v);
      else skip.set(p * second + c - first, v);
    }
  }
  for (const IsaLevel level : available_levels()) {
    FloatTensor joined(DType::kF32, {images, height, width, channels}, 0), apart = joined;
    Parameters a(images, channels), b(images, channels);
    ASSERT_TRUE(group_norm(a.on(both, 8), {}, joined.view(), threads.executor(), level).ok());
    GroupNorm g = b.on(x, 8);
    g.skip = skip.view();
    ASSERT_TRUE(group_norm(g, {}, apart.view(), threads.executor(), level).ok());
    EXPECT_EQ(a.scale, b.scale) << to_string(level);
    EXPECT_EQ(a.shift, b.shift) << to_string(level);
    EXPECT_EQ(joined.values(), apart.values()) << to_string(level);
  }
}

TEST(GroupNorm, GivesAnImageTheSameBitsForEveryBatchAndNumberOfThreads) {
  const int64_t images = 3, height = 9, width = 16, channels = 48;
  const FloatTensor x(DType::kF32, {images, height, width, channels}, 1);
  for (const IsaLevel level : available_levels()) {
    Parameters all(images, channels);
    ASSERT_TRUE(group_norm_scale(all.on(x, 6), Threads(1).executor(), level).ok());
    for (uint32_t n_threads = 1; n_threads <= 4; ++n_threads) {
      for (int64_t image = 0; image < images; ++image) {
        Parameters one(1, channels);
        GroupNorm g = one.on(x, 6);
        g.x = x.rows(image, 1);
        ASSERT_TRUE(group_norm_scale(g, Threads(n_threads).executor(), level).ok());
        const std::vector<float> part(all.scale.begin() + image * channels,
                                      all.scale.begin() + (image + 1) * channels);
        EXPECT_EQ(one.scale, part) << to_string(level) << " threads " << n_threads;
      }
    }
  }
}

TEST(GroupNorm, SurvivesAMeanThatIsLargeBesideTheSpread) {
  FloatTensor x(DType::kF32, {1, 16, 16, 8}, 1);
  const std::vector<float> values = x.values();
  for (size_t i = 0; i < values.size(); ++i) x.set(static_cast<int64_t>(i), 1000 + values[i]);
  Parameters want(1, 8);
  group_norm_reference(want.on(x, 2), {}, {});
  for (const IsaLevel level : available_levels()) {
    Parameters got(1, 8);
    ASSERT_TRUE(group_norm_scale(got.on(x, 2), Threads(1).executor(), level).ok());
    EXPECT_LE(testing::relative_error(got.scale.data(), want.scale.data(), 8), 1e-4) << to_string(level);
  }
}

TEST(GroupNorm, KeepsNonFiniteValuesVisible) {
  FloatTensor x(DType::kF32, {1, 3, 3, 8}, 1);
  x.set(5, std::numeric_limits<float>::quiet_NaN());
  for (const IsaLevel level : available_levels()) {
    Parameters p(1, 8);
    FloatTensor y(DType::kF32, {1, 3, 3, 8}, 0);
    ASSERT_TRUE(group_norm(p.on(x, 2), {}, y.view(), Threads(1).executor(), level).ok());
    const std::vector<float> values = y.values();
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(std::isnan(values[i]), i % 8 >= 4) << to_string(level);
  }
}

TEST(GroupNorm, RefusesWhatDoesNotFit) {
  const FloatTensor x(DType::kF32, {1, 2, 2, 8}, 1), other(DType::kF32, {1, 2, 3, 8}, 1);
  Parameters p(1, 8);
  const GroupNorm good = p.on(x, 4);
  EXPECT_TRUE(check_group_norm(good).ok());
  EXPECT_TRUE(check_group_norm_output(good, x.view()).ok());
  EXPECT_EQ(check_group_norm_output(good, other.view()).code(), StatusCode::kInvalidShape);
  const auto code = [&](auto change) {
    GroupNorm g = good;
    change(g);
    return check_group_norm(g).code();
  };
  EXPECT_EQ(code([&](GroupNorm& g) { g.groups = 3; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](GroupNorm& g) { g.groups = 0; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](GroupNorm& g) { g.skip = other.view(); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](GroupNorm& g) { g.x.shape[1] = 0; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](GroupNorm& g) { g.x.dtype = DType::kI8; }), StatusCode::kUnsupported);
  EXPECT_EQ(code([&](GroupNorm& g) { g.epsilon = 0; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](GroupNorm& g) { g.scale = nullptr; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](GroupNorm& g) { g.x.data = nullptr; }), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
