// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/embedding/embedding_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/device_matrix.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

class EmbeddingOfEachFormat : public ::testing::TestWithParam<WeightFormat> {};

TEST_P(EmbeddingOfEachFormat, GivesWhatTheReferenceGives) {
  const WeightFormat format = GetParam();
  const int64_t rows = 19, width = block_layout(format).elements == 256 ? 768 : 608;
  const std::vector<uint8_t> table = testing::random_weights(format, rows * width, 1);
  const std::vector<int32_t> tokens = {17, 6};
  std::vector<float> want(static_cast<size_t>(2 * width));
  embedding_reference({format, table.data(), rows, width}, tokens, 3, want.data());
  for (const simt::Target& target : simt::targets("embedding")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> t(device, "table", testing::device_matrix(format, table, rows, width));
    simt::Buffer<int32_t> ids(device, "tokens", tokens);
    simt::Buffer<float> y(device, "y", std::vector<float>(want.size()));
    ASSERT_TRUE(embedding_cuda({.table = {format, t.data(), rows, width},
                                .tokens = ids.data(),
                                .scale = 3,
                                .y = y.data(),
                                .count = 2},
                               &device)
                    .ok())
        << device.report().text();
    EXPECT_LT(testing::relative_error(y.values().data(), want.data(), 2 * width),
              testing::tolerance(DType::kF32));
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 32}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(EmbeddingCuda, EmbeddingOfEachFormat, ::testing::ValuesIn(testing::kDeviceFormats),
                         [](const auto& test) { return std::string(block_layout(test.param).name); });

TEST(EmbeddingCuda, AddsPositionsAndMarksTokensThatAreNone) {
  const int64_t width = 8;
  const std::vector<float> table = testing::random_normal(2 * width, 1),
                           positions = testing::random_normal(3 * width, 2);
  const std::vector<int32_t> tokens = {1, -1, 2}, position_of = {2, 0, 1};
  for (const simt::Target& target : simt::targets("embedding")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<float> t(device, "table", table), p(device, "positions", positions),
        y(device, "y", std::vector<float>(static_cast<size_t>(3 * width)));
    simt::Buffer<int32_t> ids(device, "tokens", tokens), of(device, "position_of", position_of);
    ASSERT_TRUE(embedding_cuda({.table = {WeightFormat::kF32, t.data(), 2, width},
                                .tokens = ids.data(),
                                .positions = p.data(),
                                .position_of = of.data(),
                                .y = y.data(),
                                .count = 3},
                               &device)
                    .ok())
        << device.report().text();
    const std::vector<float> got = y.values();
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_FLOAT_EQ(got[i], table[8 + i] + positions[16 + i]);
      EXPECT_TRUE(std::isnan(got[8 + i]) && std::isnan(got[16 + i]));
    }
  }
}

TEST(EmbeddingCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[8] = {};
  const int32_t id = 0;
  const EmbeddingCuda good{.table = {WeightFormat::kF32, x, 1, 4}, .tokens = &id, .y = x, .count = 0};
  EXPECT_TRUE(embedding_cuda(good, nullptr).ok());
  EmbeddingCuda e = good;
  e.table.width = 6;
  EXPECT_EQ(embedding_cuda(e, nullptr).code(), StatusCode::kInvalidShape);
  e = good, e.count = 1, e.y = x + 1;
  EXPECT_EQ(embedding_cuda(e, nullptr).code(), StatusCode::kInvalidArgument);
  e = good, e.count = 1, e.positions = x;
  EXPECT_EQ(embedding_cuda(e, nullptr).code(), StatusCode::kInvalidArgument);
  e = good, e.count = 1, e.table.format = WeightFormat::kI32;
  EXPECT_EQ(embedding_cuda(e, nullptr).code(), StatusCode::kUnsupported);
}

TEST(EmbeddingCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("embedding")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "embedding_rows", .registers = 40, .occupancy = 0.75}};
  EXPECT_EQ(simt::beyond_static_bounds("embedding", bounds), "");
}

}  // namespace
}  // namespace weft
