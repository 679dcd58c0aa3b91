#include "kernels/ops/activation/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

constexpr Activation kAll[] = {Activation::kSilu, Activation::kGelu,        Activation::kGeluTanh,
                               Activation::kRelu, Activation::kReluSquared, Activation::kQuickGelu};
const int64_t kCounts[] = {0, 1, 3, 4, 7, 8, 15, 16, 17, 64, 1537};

std::vector<float> spread(int64_t count) {
  std::vector<float> x = testing::random_normal(count, 5);
  for (float& v : x) v *= 4;
  return x;
}

TEST(Activation, AgreesWithTheReferenceAtEveryLevel) {
  for (IsaLevel level : testing::available_levels()) {
    for (Activation f : kAll) {
      for (int64_t count : kCounts) {
        std::vector<float> got = spread(count), want = got, gated = got, gated_want = got;
        const std::vector<float> up = testing::random_normal(count, 6);
        activate(f, got.data(), count, level);
        activation_reference(f, want.data(), nullptr, count);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), count), testing::tolerance(DType::kF32))
            << to_string(level) << " " << static_cast<int>(f) << " " << count;
        activate_gated(f, gated.data(), up.data(), count, level);
        activation_reference(f, gated_want.data(), up.data(), count);
        EXPECT_LT(testing::relative_error(gated.data(), gated_want.data(), count),
                  testing::tolerance(DType::kF32));
      }
    }
  }
}

TEST(Activation, ElementsDoNotDependOnTheirPlace) {
  for (IsaLevel level : testing::available_levels()) {
    for (Activation f : kAll) {
      std::vector<float> together = spread(37), alone = together;
      activate(f, together.data(), 37, level);
      for (float& x : alone) activate(f, &x, 1, level);
      EXPECT_EQ(together, alone) << to_string(level) << " " << static_cast<int>(f);
    }
  }
}

TEST(Activation, HoldsAtTheEnds) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (IsaLevel level : testing::available_levels()) {
    for (Activation f : kAll) {
      std::vector<float> x = {0, 100, -100, kInfinity, NAN, -1e-30f};
      activate(f, x.data(), 6, level);
      EXPECT_EQ(x[0], 0);
      EXPECT_FLOAT_EQ(x[1], f == Activation::kReluSquared ? 1e4f : 100);
      EXPECT_NEAR(x[2], 0, 1e-30);
      EXPECT_EQ(x[3], kInfinity) << static_cast<int>(f);
      EXPECT_TRUE(std::isnan(x[4])) << static_cast<int>(f);
      EXPECT_NEAR(x[5], 0, 1e-29);
    }
  }
}

TEST(Activation, GeluIsRightInItsTails) {
  for (IsaLevel level : testing::available_levels()) {
    for (float x = -9; x < 9; x += 0.0371f) {
      float got = x, want = x;
      activate(Activation::kGelu, &got, 1, level);
      activation_reference(Activation::kGelu, &want, nullptr, 1);
      const float rounding = 6e-7f + 1e-7f * x * x;  // of the exponent, which has x^2 / 2
      EXPECT_NEAR(got, want, rounding * std::abs(want)) << to_string(level) << " " << x;
    }
  }
}

TEST(SoftCap, IsAScaledTanh) {
  for (IsaLevel level : testing::available_levels()) {
    std::vector<float> x = spread(37), want = x;
    for (float& v : x) v *= 10;
    for (size_t i = 0; i < x.size(); ++i) want[i] = static_cast<float>(30 * std::tanh(double{x[i]} / 30));
    soft_cap(30, x.data(), 37, level);
    EXPECT_LT(testing::relative_error(x.data(), want.data(), 37), testing::tolerance(DType::kF32));
  }
}

TEST(Add, AddsInPlace) {
  for (IsaLevel level : testing::available_levels()) {
    std::vector<float> x = spread(19), y = testing::random_normal(19, 9), want = x;
    for (size_t i = 0; i < x.size(); ++i) want[i] += y[i];
    add(x.data(), y.data(), 19, level);
    EXPECT_EQ(x, want);
  }
}

}  // namespace
}  // namespace weft
