// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition of each format.

#include "kernels/ops/matmul/unpack_cuda.h"

#include <gtest/gtest.h>

#include "kernels/ops/matmul/tile_weights_cuda.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/device_matrix.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

/// Tiles of 0xff, where the kernel should write all.
std::vector<uint8_t> unwritten_tiles(WeightFormat format, int64_t n, int64_t k) {
  return std::vector<uint8_t>(static_cast<size_t>(device_matrix_bytes(format, n, k)), 0xff);
}

class EachFormat : public ::testing::TestWithParam<WeightFormat> {};

// Rows that end within a tile; of blocks of 32, a row that ends within a unit.
TEST_P(EachFormat, IsWhatItMeansRoundedOnce) {
  const WeightFormat format = GetParam();
  const int64_t n = 19, k = block_layout(format).elements == 256 ? 512 : 96;
  const std::vector<uint8_t> w = testing::random_weights(format, n * k, 1);
  const std::vector<uint8_t> there = testing::device_matrix(format, w, n, k);
  std::vector<float> want(static_cast<size_t>(n * k));
  dequantize(format, w.data(), n * k, want.data());
  for (const simt::Target& target : simt::targets("unpack")) {
    for (const DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<uint8_t> in(device, "w", there),
          out(device, "y", std::vector<uint8_t>(static_cast<size_t>(n * k * size_bytes(dtype))));
      ASSERT_TRUE(unpack_cuda({format, in.data(), dtype, out.data(), n, k}, &device).ok())
          << device.report().text();
      const std::vector<float> got = testing::decoded(dtype, out.values());
      EXPECT_LT(testing::relative_error(got.data(), want.data(), n * k), testing::tolerance(dtype));
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 8}), "");
    }
  }
}

TEST_P(EachFormat, LiesInTheSameTilesWhateverTheOrderOfThreads) {
  const WeightFormat format = GetParam();
  if (!lies_in_tiles(format)) return;
  const int64_t n = 17, k = block_layout(format).elements == 256 ? 256 : 96;
  const std::vector<uint8_t> w = testing::random_weights(format, n * k, 1);
  const std::vector<uint8_t> want = testing::device_matrix(format, w, n, k);
  for (const simt::Target& target : simt::targets("tile_weights")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> in(device, "blocks", w), out(device, "tiles", unwritten_tiles(format, n, k));
    ASSERT_TRUE(tile_weights_cuda({format, in.data(), out.data(), n, k}, &device).ok())
        << device.report().text();
    EXPECT_EQ(out.values(), want);
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 16}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(UnpackCuda, EachFormat, ::testing::ValuesIn(testing::kDeviceFormats),
                         [](const auto& test) { return std::string(block_layout(test.param).name); });

TEST(UnpackCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[8] = {};
  EXPECT_TRUE(unpack_cuda({WeightFormat::kF32, x, DType::kF16, x, 0, 4}, nullptr).ok());
  EXPECT_EQ(unpack_cuda({WeightFormat::kQ8_0, x, DType::kF16, x, 2, 16}, nullptr).code(),
            StatusCode::kInvalidShape);
  EXPECT_EQ(unpack_cuda({WeightFormat::kF32, x + 1, DType::kF16, x, 1, 4}, nullptr).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(unpack_cuda({WeightFormat::kF32, x, DType::kI32, x, 1, 4}, nullptr).code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(unpack_cuda({WeightFormat::kI32, x, DType::kF16, x, 1, 4}, nullptr).code(),
            StatusCode::kUnsupported);
}

TEST(TileWeightsCuda, RefusesWhatItCannotDo) {
  alignas(16) uint8_t x[64] = {};
  EXPECT_TRUE(tile_weights_cuda({WeightFormat::kQ8_0, x, x, 0, 32}, nullptr).ok());
  EXPECT_EQ(tile_weights_cuda({WeightFormat::kQ8_0, x, x, 1, 16}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(tile_weights_cuda({WeightFormat::kQ8_0, x + 2, x, 1, 32}, nullptr).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(tile_weights_cuda({WeightFormat::kF16, x, x, 1, 32}, nullptr).code(), StatusCode::kUnsupported);
}

TEST(UnpackCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("unpack")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "unpack_", .registers = 40, .occupancy = 0.75}};
  EXPECT_EQ(simt::beyond_static_bounds("unpack", bounds), "");
  const simt::StaticBounds of_tiles[] = {{.kernel = "make_units", .registers = 128, .occupancy = 0.25}};
  EXPECT_EQ(simt::beyond_static_bounds("tile_weights", of_tiles), "");
}

}  // namespace
}  // namespace weft
