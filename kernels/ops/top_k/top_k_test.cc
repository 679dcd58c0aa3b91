#include "kernels/ops/top_k/top_k.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

void expect_as_sorted(const std::vector<float>& x, size_t k, const char* what) {
  std::vector<RankedValue> want(k), got(k);
  const size_t count = top_k_reference(x, want);
  for (const IsaLevel level : testing::available_levels()) {
    ASSERT_EQ(top_k(x, got, level), count) << what << " " << x.size() << " k " << k;
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(got[i].value, want[i].value)
          << what << " " << to_string(level) << " " << x.size() << " " << i;
      ASSERT_EQ(got[i].place, want[i].place)
          << what << " " << to_string(level) << " " << x.size() << " " << i;
    }
  }
}

TEST(TopK, IsTheBeginningOfTheSortedRow) {
  for (const int64_t n : {1, 2, 15, 16, 17, 63, 64, 65, 127, 1000, 4097, 70001}) {
    const std::vector<float> x = testing::random_normal(n, static_cast<uint64_t>(n));
    for (const size_t k : {1, 2, 40, 1000, 1025, 70001}) expect_as_sorted(x, k, "random");
  }
}

TEST(TopK, OrdersEqualValuesByPlace) {
  std::vector<float> few(5000);
  testing::Random random(3);
  for (float& v : few) v = static_cast<float>(random.below(7));
  std::vector<float> ascending(5000);
  for (size_t i = 0; i < ascending.size(); ++i) ascending[i] = static_cast<float>(i / 2);
  for (const size_t k : {1, 3, 100, 4999}) {
    expect_as_sorted(few, k, "few values");
    expect_as_sorted(ascending, k, "ascending");
    expect_as_sorted(std::vector<float>(3000, 1.5f), k, "one value");
  }
}

TEST(TopK, LeavesOutWhatIsNotANumberAndKeepsInfinities) {
  std::vector<float> x(300, kNaN);
  expect_as_sorted(x, 4, "no numbers");
  x[70] = -kInfinity, x[130] = 2, x[299] = kInfinity;
  expect_as_sorted(x, 4, "three numbers");
  expect_as_sorted(x, 2, "two of three numbers");
  expect_as_sorted({}, 2, "nothing");
  EXPECT_EQ(top_k(x, {}), 0u);
}

TEST(FindAtLeast, GivesTheFirstPlacesInOrder) {
  for (const int64_t n : {0, 1, 15, 17, 64, 65, 1003}) {
    std::vector<float> x = testing::random_normal(n, 4);
    if (n > 15) x[5] = kNaN;
    for (const float threshold : {-kInfinity, -1.0f, 0.0f, 9.0f}) {
      for (const size_t most : {0, 1, 3, 2000}) {
        std::vector<int32_t> want, got(most);
        for (size_t i = 0; i < x.size() && want.size() < most; ++i)
          if (x[i] >= threshold) want.push_back(static_cast<int32_t>(i));
        for (const IsaLevel level : testing::available_levels()) {
          got.resize(most);
          got.resize(find_at_least(x, threshold, got, level));
          EXPECT_EQ(got, want) << to_string(level) << " " << n << " " << threshold << " " << most;
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft
