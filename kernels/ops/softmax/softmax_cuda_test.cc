// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/softmax/softmax_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops/softmax/softmax.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

TEST(SoftmaxCuda, GivesWhatTheReferenceGives) {
  for (const int64_t cols : {1, 31, 257, 2048, 9001}) {
    const int64_t rows = 2, stride = cols + 3;
    std::vector<float> x = testing::random_normal(rows * stride, 1), want(x.size());
    x[0] = cols > 1 ? -INFINITY : 0.5f;
    softmax_reference(3, x.data(), stride, want.data(), stride, rows, cols);
    for (const simt::Target& target : simt::targets("softmax")) {
      SCOPED_TRACE(target.name + ", " + std::to_string(cols));
      simt::Device device(target.options);
      simt::Buffer<float> in(device, "x", x);
      ASSERT_TRUE(softmax_cuda({3, in.data(), stride, in.data(), stride, rows, cols}, &device).ok())
          << device.report().text();
      for (int64_t row = 0; row < rows; ++row)
        EXPECT_LT(
            testing::relative_error(in.values().data() + row * stride, want.data() + row * stride, cols),
            testing::tolerance(DType::kF32));
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 1}), "");
    }
  }
}

TEST(SoftmaxCuda, RowsWithoutNumbersBecomeNan) {
  for (const simt::Target& target : simt::targets("softmax")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<float> x(device, "x", {1, NAN, 2, -INFINITY, -INFINITY, -INFINITY});
    ASSERT_TRUE(softmax_cuda({1, x.data(), 3, x.data(), 3, 2, 3}, &device).ok()) << device.report().text();
    for (const float y : x.values()) EXPECT_TRUE(std::isnan(y));
  }
}

TEST(SoftmaxCuda, RefusesWhatItCannotDo) {
  float x = 0;
  EXPECT_TRUE(softmax_cuda({1, &x, 1, &x, 1, 0, 1}, nullptr).ok());
  EXPECT_EQ(softmax_cuda({1, &x, 1, &x, 1, 1, 0}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(softmax_cuda({1, &x, 1, &x, 1, 2, 2}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(softmax_cuda({0, &x, 1, &x, 1, 1, 1}, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(softmax_cuda({1, nullptr, 1, &x, 1, 1, 1}, nullptr).code(), StatusCode::kInvalidArgument);
}

TEST(SoftmaxCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("softmax")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "softmax_row", .registers = 48, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("softmax", bounds), "");
}

}  // namespace
}  // namespace weft
