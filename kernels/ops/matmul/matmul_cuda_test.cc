// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/matmul/matmul_cuda.h"

#include <gtest/gtest.h>

#include "kernels/ops/matmul/matmul.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

constexpr double kTolerance = 4 * testing::tolerance(DType::kF32);  // sums of some hundred products

struct Case {
  WeightFormat format;
  int64_t m, n, k;
};

/// Always with a bias; with what is added where `adds`.
void expect_as_reference(const Case& c, bool adds) {
  const std::vector<uint8_t> w = testing::random_weights(c.format, c.n * c.k, 1);
  const std::vector<float> x = testing::random_normal(c.m * c.k, 2), bias = testing::random_normal(c.n, 3),
                           added = testing::random_normal(c.m * c.n, 4);
  std::vector<float> want(added.size());
  matmul_reference(c.format, c.n, c.k, w.data(), {x.data(), c.m, c.k, c.k}, want.data());
  for (size_t i = 0; i < want.size(); ++i)
    want[i] += bias[i % static_cast<size_t>(c.n)] + (adds ? added[i] : 0);
  for (const simt::Target& target : simt::targets("matmul")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> matrix(device, "w", w);
    simt::Buffer<float> in(device, "x", x), b(device, "bias", bias), y(device, "y", added);
    const MatmulCuda product{
        c.format, matrix.data(), in.data(), y.data(), b.data(), adds ? y.data() : nullptr, c.m, c.n, c.k};
    ASSERT_TRUE(matmul_cuda(product, &device).ok()) << device.report().text();
    EXPECT_LT(testing::relative_error(y.values().data(), want.data(), c.m * c.n), kTolerance);
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 8}), "");
  }
}

TEST(MatmulCuda, ServesTilesThatAreFullAndOnesThatAreNot) {
  expect_as_reference({WeightFormat::kF32, 33, 65, 36}, true);
  expect_as_reference({WeightFormat::kF16, 32, 64, 32}, true);
  expect_as_reference({WeightFormat::kBF16, 3, 9, 96}, false);
  expect_as_reference({WeightFormat::kF32, 1, 1, 4}, true);
}

TEST(MatmulCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[4] = {};
  const MatmulCuda good{.w = x, .x = x, .y = x, .m = 0, .n = 1, .k = 4};
  EXPECT_TRUE(matmul_cuda(good, nullptr).ok());
  MatmulCuda p = good;
  p.k = 6;
  EXPECT_EQ(matmul_cuda(p, nullptr).code(), StatusCode::kInvalidShape);
  p = good, p.m = 1, p.x = x + 1;
  EXPECT_EQ(matmul_cuda(p, nullptr).code(), StatusCode::kInvalidArgument);
  p = good, p.m = 1, p.y = nullptr;
  EXPECT_EQ(matmul_cuda(p, nullptr).code(), StatusCode::kInvalidArgument);
  p = good, p.m = 1, p.format = WeightFormat::kQ4_K;
  EXPECT_EQ(matmul_cuda(p, nullptr).code(), StatusCode::kUnsupported);
}

TEST(MatmulCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("matmul")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "matmul_tiles", .registers = 80, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("matmul", bounds), "");
}

}  // namespace
}  // namespace weft
