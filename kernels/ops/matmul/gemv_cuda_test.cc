// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definitions.

#include "kernels/ops/matmul/gemv_cuda.h"

#include <gtest/gtest.h>

#include "kernels/ops/matmul/matmul.h"
#include "kernels/ops/norm/norm.h"
#include "kernels/quant/dequantize.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/device_matrix.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

/// Sums of some hundred products; with quantised weights, x in 16 bits a run of 32.
constexpr double tolerance_of(WeightFormat format) {
  return block_layout(format).elements > 1 ? 5e-5 : 4 * testing::tolerance(DType::kF32);
}

std::vector<float> product(WeightFormat format, const std::vector<uint8_t>& w, const std::vector<float>& x,
                           int64_t m, int64_t n, int64_t k) {
  std::vector<float> y(static_cast<size_t>(m * n));
  matmul_reference(format, n, k, w.data(), {x.data(), m, k, k}, y.data());
  return y;
}

/// The file whose kernels serve a format.
std::string source_of(WeightFormat format) { return lies_in_tiles(format) ? "gemv_tiles" : "gemv"; }

class EachFormat : public ::testing::TestWithParam<WeightFormat> {};

TEST_P(EachFormat, GivesWhatTheReferenceGives) {
  const WeightFormat format = GetParam();
  // A block's length that leaves lanes idle; rows that leave warps idle.
  const int64_t n = 21, k = block_layout(format).elements == 256 ? 768 : 352;
  const std::vector<uint8_t> w = testing::random_weights(format, n * k, 1);
  const std::vector<uint8_t> there = testing::device_matrix(format, w, n, k);
  const std::vector<float> x = testing::random_normal(k, 2), want = product(format, w, x, 1, n, k);
  for (const simt::Target& target : simt::targets(source_of(format))) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> matrix(device, "w", there);
    simt::Buffer<float> in(device, "x", x), out(device, "y", std::vector<float>(static_cast<size_t>(n)));
    ASSERT_TRUE(
        gemv_cuda(
            {.format = format, .w = matrix.data(), .x = in.data(), .y = out.data(), .m = 1, .n = n, .k = k},
            &device)
            .ok())
        << device.report().text();
    EXPECT_LT(testing::relative_error(out.values().data(), want.data(), n), tolerance_of(format));
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 16, .extra_wavefronts_per_request = 2}),
              "");
  }
}

INSTANTIATE_TEST_SUITE_P(GemvCuda, EachFormat, ::testing::ValuesIn(testing::kDeviceFormats),
                         [](const auto& test) { return std::string(block_layout(test.param).name); });

// Norm, gate, bias, activation and addition in one launch, for two rows of x.
TEST(GemvCuda, FusesWhatStandsBeforeAndAfter) {
  const WeightFormat format = WeightFormat::kQ4_K;
  const int64_t m = 2, n = 6, k = 512;
  const std::vector<uint8_t> w = testing::random_weights(format, n * k, 1),
                             up = testing::random_weights(format, n * k, 2);
  const std::vector<float> x = testing::random_normal(m * k, 3), g = testing::random_normal(k, 4),
                           bias = testing::random_normal(n, 5), added = testing::random_normal(m * n, 6);
  std::vector<float> normed(x.size());
  norm_reference({NormKind::kRms, g.data(), nullptr, 1e-5f}, x.data(), k, normed.data(), k, m, k);
  std::vector<float> want = product(format, w, normed, m, n, k);
  const std::vector<float> factors = product(format, up, normed, m, n, k);
  for (size_t i = 0; i < want.size(); ++i) want[i] += bias[i % static_cast<size_t>(n)];
  activation_reference(Activation::kSilu, want.data(), factors.data(), m * n);
  for (size_t i = 0; i < want.size(); ++i) want[i] += added[i];

  for (const simt::Target& target : simt::targets(source_of(format))) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> matrix(device, "w", testing::device_matrix(format, w, n, k)),
        second(device, "up", testing::device_matrix(format, up, n, k));
    simt::Buffer<float> in(device, "x", x), y(device, "y", added), weights(device, "norm", g),
        b(device, "bias", bias);
    const GemvCuda gemv{.format = format,
                        .w = matrix.data(),
                        .up = second.data(),
                        .x = in.data(),
                        .y = y.data(),
                        .norm_weight = weights.data(),
                        .bias = b.data(),
                        .added = y.data(),
                        .f = Activation::kSilu,
                        .m = m,
                        .n = n,
                        .k = k};
    ASSERT_TRUE(gemv_cuda(gemv, &device).ok()) << device.report().text();
    // A product of two products.
    EXPECT_LT(testing::relative_error(y.values().data(), want.data(), m * n), 2 * tolerance_of(format));
  }
}

// Three matrices with the same x, of several rows: more than a block takes, or as many with fewer warps and blocks than tiles, so that
// stretches end within one; and rows of W that end within a tile.
TEST(GemvCuda, MultipliesSeveralMatricesInOneLaunch) {
  const std::optional<GemvTiling> one_block = GemvTiling{4, 3, 1};
  const struct {
    WeightFormat format;
    std::optional<GemvTiling> tiling;
  } cases[] = {{WeightFormat::kQ6_K, one_block}, {WeightFormat::kQ6_K, {}}, {WeightFormat::kF16, {}}};
  for (const auto& [format, tiling] : cases) {
    const int64_t m = 5, k = 256, rows[3] = {37, 16, 3};
    const std::vector<float> x = testing::random_normal(m * k, 1), bias = testing::random_normal(16, 2);
    std::vector<uint8_t> w[3];
    std::vector<float> want[3];
    for (size_t i = 0; i < 3; ++i) {
      w[i] = testing::random_weights(format, rows[i] * k, 3 + i);
      want[i] = product(format, w[i], x, m, rows[i], k);
    }
    for (size_t i = 0; i < want[1].size(); ++i) want[1][i] += bias[i % 16];
    for (std::vector<uint8_t>& matrix : w)
      matrix = testing::device_matrix(format, matrix, rows[&matrix - w], k);
    for (const simt::Target& target : simt::targets(source_of(format))) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<uint8_t> w0(device, "w0", w[0]), w1(device, "w1", w[1]), w2(device, "w2", w[2]);
      simt::Buffer<float> in(device, "x", x), b(device, "bias", bias),
          y0(device, "y0", std::vector<float>(want[0].size())),
          y1(device, "y1", std::vector<float>(want[1].size())),
          y2(device, "y2", std::vector<float>(want[2].size()));
      GemvCuda g{
          .format = format, .w = w0.data(), .x = in.data(), .y = y0.data(), .m = m, .n = rows[0], .k = k};
      g.tiling = tiling;
      g.more = {{{w1.data(), y1.data(), b.data(), rows[1]}, {w2.data(), y2.data(), nullptr, rows[2]}}};
      ASSERT_TRUE(gemv_cuda(g, &device).ok()) << device.report().text();
      const simt::Buffer<float>* const made[] = {&y0, &y1, &y2};
      for (size_t i = 0; i < 3; ++i)
        EXPECT_LT(testing::relative_error(made[i]->values().data(), want[i].data(), m * rows[i]),
                  tolerance_of(format));
    }
  }
}

TEST(GemvCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[4] = {};
  const GemvCuda good{.w = x, .x = x, .y = x, .m = 0, .n = 1, .k = 4};
  EXPECT_TRUE(gemv_cuda(good, nullptr).ok());
  GemvCuda g = good;
  g.k = 6;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.format = WeightFormat::kQ4_K, g.k = 32;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.m = 1, g.x = x + 1;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.m = 1, g.y = nullptr;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.m = 1, g.more[0] = {x, x, nullptr, 1}, g.added = x;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.format = WeightFormat::kQ8_0, g.k = kMaxGemvCudaDepth + 32;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.m = 1, g.format = WeightFormat::kI32;
  EXPECT_EQ(gemv_cuda(g, nullptr).code(), StatusCode::kUnsupported);
}

TEST(GemvCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("gemv")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds rows[] = {{.kernel = "gemv_rows", .registers = 80, .occupancy = 0.37}};
  EXPECT_EQ(simt::beyond_static_bounds("gemv", rows), "");
  const simt::StaticBounds tiles[] = {{.kernel = "Li1EEEvNS", .registers = 64, .occupancy = 0.5},
                                      {.kernel = "gemv_tiles", .registers = 128, .occupancy = 0.24}};
  EXPECT_EQ(simt::beyond_static_bounds("gemv_tiles", tiles), "");
}

}  // namespace
}  // namespace weft
