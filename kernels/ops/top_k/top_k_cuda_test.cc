// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition: exactly.

#include "kernels/ops/top_k/top_k_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/random.h"

namespace weft {
namespace {

/// every: of the ways to run it, for what takes long.
void expect_as_reference(const std::vector<float>& x, int64_t rows, int64_t cols, int64_t stride, int64_t k,
                         size_t every = 1) {
  const std::vector<simt::Target> targets = simt::targets("top_k");
  for (size_t at = 0; at < targets.size(); at += every) {
    const simt::Target& target = targets[at];
    SCOPED_TRACE(target.name + ", " + std::to_string(cols) + " columns, k " + std::to_string(k));
    simt::Device device(target.options);
    simt::Buffer<float> in(device, "x", x);
    simt::Buffer<RankedValue> top(device, "top", std::vector<RankedValue>(static_cast<size_t>(rows * k)));
    simt::Buffer<RankedValue> workspace(
        device, "workspace", std::vector<RankedValue>(static_cast<size_t>(top_k_workspace(rows, cols, k))));
    ASSERT_TRUE(top_k_cuda({in.data(), top.data(), rows, cols, stride, k, workspace.data()}, &device).ok())
        << device.report().text();
    const std::vector<RankedValue> got = top.values();
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<RankedValue> want(static_cast<size_t>(k));
      want.resize(top_k_reference(
          std::span(x).subspan(static_cast<size_t>(row * stride), static_cast<size_t>(cols)), want));
      for (int64_t i = 0; i < k; ++i) {
        const RankedValue& g = got[static_cast<size_t>(row * k + i)];
        if (i < static_cast<int64_t>(want.size())) {
          EXPECT_EQ(g.value, want[static_cast<size_t>(i)].value) << row << " " << i;
          EXPECT_EQ(g.place, want[static_cast<size_t>(i)].place) << row << " " << i;
        } else {
          EXPECT_TRUE(std::isnan(g.value) && g.place == -1) << row << " " << i;
        }
      }
    }
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 1}), "");
  }
}

TEST(TopKCuda, GivesWhatTheReferenceGives) {
  for (const int64_t cols : {1, 31, 1000, 1024, 5000}) {
    const int64_t rows = 2, stride = cols + (cols % 4 == 0 ? 4 : 5);
    expect_as_reference(testing::random_normal(rows * stride, 1), rows, cols, stride, 1);
    expect_as_reference(testing::random_normal(rows * stride, 2), rows, cols, stride,
                        std::min<int64_t>(cols, 7));
  }
}

TEST(TopKCuda, TakesAllFromOneSlice) {
  std::vector<float> x = testing::random_normal(3001, 3);
  for (size_t i = 1024; i < 1060; ++i) x[i] += 100;
  expect_as_reference(x, 1, 3001, 3001, 40);
  expect_as_reference(testing::random_normal(257 * kTopKSlice, 4), 1, 257 * kTopKSlice, 257 * kTopKSlice, 2);
}

TEST(TopKCuda, TakesMoreThanASlice) {
  expect_as_reference(testing::random_normal(1100, 5), 1, 1100, 1100, 1030, 4);
}

TEST(TopKCuda, OrdersEqualsByPlaceAndLeavesOutWhatIsNoNumber) {
  std::vector<float> x(300, 1.0f);
  x[40] = NAN, x[41] = INFINITY, x[270] = INFINITY, x[7] = -INFINITY;
  expect_as_reference(x, 1, 300, 300, 5);
  x.assign(2100, -0.0f);
  x[2050] = 0, x[3] = 0, x[1030] = -1;
  expect_as_reference(x, 1, 2100, 2100, 6);
  expect_as_reference({NAN, -INFINITY, NAN}, 1, 3, 3, 3);
  expect_as_reference({}, 1, 0, 0, 2);
}

TEST(TopKCuda, RefusesWhatItCannotDo) {
  float x = 0;
  RankedValue top{};
  EXPECT_TRUE(top_k_cuda({&x, &top, 0, 1, 1, 1}, nullptr).ok());
  EXPECT_EQ(top_k_cuda({&x, &top, 1, 1, 1, 0}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(top_k_cuda({&x, &top, 2, 2, 1, 1}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(top_k_cuda({&x, &top, 1, kMostTopKCols + 1, 1, 1}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(top_k_cuda({&x, &top, 1, 2 * kTopKSlice, 1, 1}, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(top_k_cuda({nullptr, &top, 1, 1, 1, 1}, nullptr).code(), StatusCode::kInvalidArgument);
}

TEST(TopKCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("top_k")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "rank_slices", .registers = 56, .occupancy = 0.5},
                                       {.kernel = "merge_slices", .registers = 40, .occupancy = 0.66}};
  EXPECT_EQ(simt::beyond_static_bounds("top_k", bounds), "");
}

}  // namespace
}  // namespace weft
