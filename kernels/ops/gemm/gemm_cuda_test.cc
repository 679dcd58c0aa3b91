// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/gemm/gemm_cuda.h"

#include <gtest/gtest.h>

#include "kernels/ops/gemm/gemm.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::encoded;

struct Case {
  DType dtype, c_dtype;
  int64_t m, n, k;
  ProductTiling tiling;
  std::optional<Activation> activation;
  bool bias, residual, paired;
  int64_t spare;  // elements between rows
};
constexpr ProductTiling kLarge{ProductTile::k128x128, 1}, kTall{ProductTile::k128x64, 1},
    kSmall{ProductTile::k64x64, 1};
// Each tile and type, tiles that are full and ones that are not, depths of less than a step and more than there are buffers.
const Case kCases[] = {
    {DType::kBF16, DType::kBF16, 130, 136, 320, kLarge, {}, true, true, false, 0},
    {DType::kBF16, DType::kF32, 128, 128, 64, kLarge, Activation::kSilu, true, false, false, 0},
    {DType::kF16, DType::kF16, 129, 64, 72, kTall, {}, false, true, false, 8},
    {DType::kBF16, DType::kBF16, 3, 200, 136, kTall, Activation::kGelu, true, true, false, 16},
    {DType::kBF16, DType::kBF16, 65, 96, 128, kSmall, Activation::kGelu, true, false, true, 0},
    {DType::kF16, DType::kF32, 64, 64, 8, kSmall, {}, true, false, false, 0},
    {DType::kBF16, DType::kF32, 5, 3, 64, kSmall, {}, true, true, false, 0},
    {DType::kF16, DType::kF16, 7, 10, 24, kSmall, Activation::kQuickGelu, true, false, true, 0},
    {DType::kBF16,
     DType::kBF16,
     33,
     68,
     640,
     {ProductTile::k64x64, 3},
     Activation::kSilu,
     true,
     true,
     false,
     0},
    {DType::kF32, DType::kF32, 65, 68, 100, kSmall, {}, true, true, false, 4},
    {DType::kF32, DType::kF32, 2, 72, 260, {ProductTile::k64x64, 2}, Activation::kGelu, true, false, true, 0},
    {DType::kF32, DType::kF32, 9, 7, 36, kSmall, Activation::kGeluTanh, false, true, false, 0},
};

/// Every other row of the first half, then of the second, from rows of values and those of their gates.
template <typename T>
std::vector<T> interleaved(const std::vector<T>& rows, size_t n) {
  const size_t length = rows.size() / n;
  std::vector<T> pairs;
  for (size_t i = 0; i < n; ++i) {
    const size_t row = i / 2 + i % 2 * (n / 2);
    pairs.insert(pairs.end(), rows.begin() + static_cast<int64_t>(row * length),
                 rows.begin() + static_cast<int64_t>((row + 1) * length));
  }
  return pairs;
}

class GemmCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(GemmCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const int64_t cols = c.paired ? c.n / 2 : c.n, a_stride = c.k + c.spare, c_stride = cols + c.spare;
  const std::vector<uint8_t> a = encoded(c.dtype, testing::random_normal(c.m * a_stride, 1)),
                             residual = encoded(c.c_dtype, testing::random_normal(c.m * c_stride, 4));
  const std::vector<float> w = decoded(c.dtype, encoded(c.dtype, testing::random_normal(c.n * c.k, 2))),
                           bias = testing::random_normal(c.n, 3), a_values = decoded(c.dtype, a),
                           residual_values = decoded(c.c_dtype, residual);
  std::vector<float> want(static_cast<size_t>(c.m * cols));
  Gemm g;
  g.a = TensorView::contiguous(a_values.data(), DType::kF32, {c.m, c.k});
  g.a.strides[0] = a_stride;
  g.w.shape = {c.n, c.k, DType::kF32, c.paired ? GemmPairing::kValueGate : GemmPairing::kNone};
  g.bias = c.bias ? bias.data() : nullptr;
  g.activation = c.activation;
  if (c.residual) {
    g.residual = TensorView::contiguous(residual_values.data(), DType::kF32, {c.m, cols});
    g.residual.strides[0] = c_stride;
  }
  g.c = TensorView::contiguous(want.data(), DType::kF32, {c.m, cols});
  gemm_reference(g, WeightFormat::kF32, w.data());

  const auto rows = static_cast<size_t>(c.n);
  const std::vector<uint8_t> w_bytes = encoded(c.dtype, c.paired ? interleaved(w, rows) : w);
  for (const simt::Target& target : simt::targets("gemm")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> in(device, "a", a), weights(device, "w", w_bytes), out(device, "c", residual);
    simt::Buffer<float> b(device, "bias", c.paired ? interleaved(bias, rows) : bias);
    GemmCuda product{.dtype = c.dtype,
                     .a = in.data(),
                     .w = weights.data(),
                     .bias = c.bias ? b.data() : nullptr,
                     .activation = c.activation,
                     .paired = c.paired,
                     .c_dtype = c.c_dtype,
                     .residual = c.residual ? out.data() : nullptr,
                     .c = out.data(),
                     .m = c.m,
                     .n = c.n,
                     .k = c.k,
                     .a_stride = a_stride,
                     .residual_stride = c_stride,
                     .c_stride = c_stride,
                     .tiling = c.tiling};
    simt::Buffer<float> workspace(device, "workspace",
                                  std::vector<float>(static_cast<size_t>(gemm_cuda_workspace(product))));
    product.workspace = workspace.data();
    ASSERT_TRUE(gemm_cuda(product, &device).ok()) << device.report().text();
    const std::vector<float> padded = decoded(c.c_dtype, out.values());
    std::vector<float> got;
    for (int64_t row = 0; row < c.m; ++row)
      got.insert(got.end(), padded.begin() + row * c_stride, padded.begin() + row * c_stride + cols);
    EXPECT_LT(testing::relative_error(got.data(), want.data(), c.m * cols),
              2 * testing::tolerance(c.dtype == DType::kF32 ? DType::kF32 : c.dtype, c.c_dtype));
    const bool whole = c.k % 64 == 0 && c.n % 32 == 0;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = whole ? 0.0 : 8.0}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(GemmCuda, GemmCudaCases, ::testing::ValuesIn(kCases), [](const auto& test) {
  const Case& c = test.param;
  return std::to_string(c.m) + "By" + std::to_string(c.n) + "By" + std::to_string(c.k) + "Bytes" +
         std::to_string(size_bytes(c.dtype)) + "To" + std::to_string(size_bytes(c.c_dtype));
});

TEST(GemmCuda, CutsProductsByTheirExtents) {
  const auto tiling = [](int64_t m, int64_t n, int64_t k) { return product_tiling(DType::kBF16, m, n, k); };
  EXPECT_EQ(tiling(8192, 2560, 320).tile, ProductTile::k128x128);
  EXPECT_EQ(tiling(8192, 2560, 320).splits, 1);
  EXPECT_EQ(tiling(128, 1280, 11520).tile, ProductTile::k64x64);  // eight by eight pixels of two images
  EXPECT_GT(tiling(128, 1280, 11520).splits, 4);
  EXPECT_EQ(tiling(4, 1281, 11520).splits, 1);  // rows that are no multiple of four are not split
  EXPECT_EQ(product_tiling(DType::kF32, 8192, 2560, 320).tile, ProductTile::k64x64);
}

TEST(GemmCuda, GivesLargePlainProductsToALibrary) {
  const GemmCuda large{
      .m = 2048, .n = 640, .k = 2560, .a_stride = 2560, .residual_stride = 640, .c_stride = 640};
  EXPECT_TRUE(goes_to_library(large));
  EXPECT_EQ(gemm_cuda_workspace(large), library_workspace(DType::kBF16, 640));
  GemmCuda g = large;
  g.activation = Activation::kRelu;
  EXPECT_TRUE(goes_to_library(g));
  g.activation = Activation::kGelu;  // a library's is the approximation
  EXPECT_FALSE(goes_to_library(g));
  g = large, g.m = 16, g.n = 65536;  // few rows read weights
  EXPECT_FALSE(goes_to_library(g));
  g = large, g.m = 64, g.n = 320;  // little work
  EXPECT_FALSE(goes_to_library(g));
  g = large, g.c_stride = 642;  // a row begins where no 16 bytes do
  EXPECT_FALSE(goes_to_library(g));
  g = large, g.paired = true, g.activation = Activation::kGelu;
  EXPECT_FALSE(goes_to_library(g));
  EXPECT_EQ(gemm_cuda_workspace(g), tiling_of(g).workspace(g.m, g.n));
  g = large, g.tiling = ProductTiling{};
  EXPECT_FALSE(goes_to_library(g));
  g = large, g.engine = ProductEngine::kKernel;
  EXPECT_FALSE(goes_to_library(g));
  g.m = 2, g.engine = ProductEngine::kLibrary;
  EXPECT_TRUE(goes_to_library(g));
}

TEST(GemmCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[16] = {};
  const GemmCuda good{.a = x, .w = x, .c = x, .m = 0, .n = 1, .k = 8, .a_stride = 8, .c_stride = 1};
  EXPECT_TRUE(gemm_cuda(good, nullptr).ok());
  GemmCuda g = good;
  g.k = 4;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.paired = true;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.m = 2, g.a_stride = 0;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.m = 1, g.a = x + 1;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.m = 1, g.w = nullptr;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.c_dtype = DType::kF16;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kUnsupported);
  g = good, g.dtype = DType::kI32;
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kUnsupported);
  g = good, g.m = 1, g.engine = ProductEngine::kLibrary;  // the kernel is none
  EXPECT_EQ(gemm_cuda(g, nullptr).code(), StatusCode::kUnsupported);
}

TEST(GemmCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("gemm")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {
      {.kernel = "Li128ELi128E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 3 * 256 * 128},
      {.kernel = "Li128ELi64E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 3 * 192 * 128},
      {.kernel = "Li64ELi64E", .registers = 128, .occupancy = 0.16, .dynamic_shared_bytes = 3 * 128 * 128},
      {.kernel = "join_product_splits", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("gemm", bounds), "");
}

}  // namespace
}  // namespace weft
