// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition of each format.

#include "kernels/ops/matmul/unpack_cuda.h"

#include <gtest/gtest.h>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

class EachFormat : public ::testing::TestWithParam<WeightFormat> {};

TEST_P(EachFormat, IsWhatItMeansRoundedOnce) {
  const WeightFormat format = GetParam();
  const int64_t count = block_layout(format).elements == 256 ? 512 : 1120;
  const std::vector<uint8_t> w = testing::random_weights(format, count, 1);
  std::vector<float> want(static_cast<size_t>(count));
  dequantize(format, w.data(), count, want.data());
  for (const simt::Target& target : simt::targets("unpack")) {
    for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<uint8_t> in(device, "w", w),
          out(device, "y", std::vector<uint8_t>(static_cast<size_t>(count * size_bytes(dtype))));
      ASSERT_TRUE(unpack_cuda({format, in.data(), dtype, out.data(), count}, &device).ok())
          << device.report().text();
      const std::vector<float> got = testing::decoded(dtype, out.values());
      EXPECT_LT(testing::relative_error(got.data(), want.data(), count), testing::tolerance(dtype));
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 8}), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(UnpackCuda, EachFormat, ::testing::ValuesIn(testing::kDeviceFormats),
                         [](const auto& test) { return std::string(block_layout(test.param).name); });

TEST(UnpackCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[8] = {};
  EXPECT_TRUE(unpack_cuda({WeightFormat::kF32, x, DType::kF16, x, 0}, nullptr).ok());
  EXPECT_EQ(unpack_cuda({WeightFormat::kQ8_0, x, DType::kF16, x, 16}, nullptr).code(),
            StatusCode::kInvalidShape);
  EXPECT_EQ(unpack_cuda({WeightFormat::kF32, x + 1, DType::kF16, x, 4}, nullptr).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(unpack_cuda({WeightFormat::kF32, x, DType::kI32, x, 4}, nullptr).code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(unpack_cuda({WeightFormat::kI32, x, DType::kF16, x, 4}, nullptr).code(),
            StatusCode::kUnsupported);
}

TEST(UnpackCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("unpack")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "unpack_weights", .registers = 40, .occupancy = 0.75}};
  EXPECT_EQ(simt::beyond_static_bounds("unpack", bounds), "");
}

}  // namespace
}  // namespace weft
