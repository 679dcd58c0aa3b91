#include "kernels/ops/softmax/softmax.h"

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

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const int64_t kColumns[] = {1, 2, 3, 15, 16, 17, 63, 64, 65, 577, 4095, 4096, 4097, 9001};

TEST(Softmax, AgreesWithTheReferenceAtEveryLevel) {
  for (IsaLevel level : testing::available_levels()) {
    for (int64_t cols : kColumns) {
      for (float scale : {0.125f, 1.0f, 5.0f}) {
        const int64_t rows = 3, stride = cols + 5;
        const std::vector<float> x = testing::random_normal(rows * stride + 1, 1);
        std::vector<float> got(static_cast<size_t>(rows * stride)), want = got;
        softmax_rows(scale, x.data() + 1, stride, got.data(), stride, rows, cols, level);  // misaligned
        softmax_reference(scale, x.data() + 1, stride, want.data(), stride, rows, cols);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), rows * stride),
                  testing::tolerance(DType::kF32))
            << to_string(level) << " cols " << cols << " scale " << scale;
      }
    }
  }
}

TEST(Softmax, KeepsItsMeaningAtTheEndsOfTheRange) {
  for (IsaLevel level : testing::available_levels()) {
    std::vector<float> y(20);
    const auto of = [&](std::vector<float> x) { softmax_rows(1, x.data(), 20, y.data(), 20, 1, 20, level); };
    std::vector<float> x(20, 3e38f);
    of(x);
    for (float v : y) EXPECT_FLOAT_EQ(v, 0.05f);
    x[3] = -3e38f, x[18] = -kInfinity;
    of(x);
    EXPECT_EQ(y[3], 0);
    EXPECT_EQ(y[18], 0);
    x[18] = std::numeric_limits<float>::quiet_NaN();
    of(x);
    for (float v : y) EXPECT_TRUE(std::isnan(v));
    of(std::vector<float>(20, -kInfinity));
    for (float v : y) EXPECT_TRUE(std::isnan(v));
  }
}

TEST(Softmax, MayAliasAndDoesNotDependOnThreads) {
  const int64_t rows = 301, cols = 97;
  std::vector<float> x = testing::random_normal(rows * cols, 1), one_by_one(x.size());
  for (int64_t r = 0; r < rows; ++r)
    softmax_rows(1, x.data() + r * cols, cols, one_by_one.data() + r * cols, cols, 1, cols);
  testing::Threads threads(3);
  ASSERT_TRUE(softmax(1, x.data(), cols, x.data(), cols, rows, cols, threads.executor()).ok());
  EXPECT_EQ(one_by_one, x);
}

TEST(Softmax, RefusesWhatCannotBe) {
  testing::Threads threads(1);
  const Executor executor = threads.executor();
  std::vector<float> x(8, 1.0f);
  float* p = x.data();
  EXPECT_TRUE(softmax(1, nullptr, 8, nullptr, 8, 0, 8, executor).ok());
  EXPECT_EQ(softmax(1, p, 8, p, 8, 1, 0, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(softmax(1, p, 8, p, 8, -1, 8, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(softmax(1, p, 3, p, 4, 2, 4, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(softmax(1, nullptr, 8, p, 8, 1, 8, executor).code(), StatusCode::kInvalidArgument);
  for (const float scale : {0.0f, -1.0f, kInfinity, std::nanf("")})
    EXPECT_EQ(softmax(scale, p, 8, p, 8, 1, 8, executor).code(), StatusCode::kInvalidArgument) << scale;
}

TEST(LogSumExp, IsWhatLogProbabilitiesAreRelativeTo) {
  for (IsaLevel level : testing::available_levels()) {
    EXPECT_NEAR(log_sum_exp(std::vector<float>{1, 3, 2, 3, -kInfinity}, level),
                std::log(std::exp(1) + 2 * std::exp(3) + std::exp(2)), 1e-6);
    EXPECT_NEAR(log_sum_exp(std::vector<float>{1, std::nanf(""), 2}, level), 2 + std::log1p(std::exp(-1)),
                1e-6);
    EXPECT_EQ(log_sum_exp(std::vector<float>{1, kInfinity}, level), kInfinity);
    EXPECT_EQ(log_sum_exp(std::vector<float>{-kInfinity, -kInfinity}, level), -kInfinity);
    EXPECT_EQ(log_sum_exp({}, level), -kInfinity);
  }
}

}  // namespace
}  // namespace weft
