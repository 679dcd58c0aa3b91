// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/convolution/convolution_cuda.h"

#include <gtest/gtest.h>

#include "kernels/ops/convolution/convolution_operands.h"
#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::encoded;

struct Case : testing::ConvolutionCase {
  ProductTiling tiling;
};
constexpr ProductTiling kLarge{ProductTile::k128x128, 1}, kTall{ProductTile::k128x64, 1},
    kSmall{ProductTile::k64x64, 1};
const Case kCases[] = {
    {{DType::kBF16, DType::kBF16, 2, 9, 8, 64, 0, 72, 3, 1, 1, 1, false, true, true, {}}, kLarge},
    {{DType::kBF16, DType::kBF16, 1, 8, 8, 40, 24, 32, 3, 1, 1, 1, false, false, false, Activation::kSilu},
     kTall},
    {{DType::kF16, DType::kF32, 3, 5, 7, 16, 0, 4, 3, 1, 1, 1, false, false, false, {}}, kSmall},
    {{DType::kBF16, DType::kBF16, 1, 7, 9, 32, 0, 64, 3, 2, 1, 1, false, false, false, {}}, kSmall},
    {{DType::kBF16, DType::kF32, 1, 4, 6, 8, 0, 16, 3, 2, 0, 1, false, false, true, {}}, kSmall},
    {{DType::kF16, DType::kF16, 2, 5, 4, 32, 0, 32, 3, 1, 1, 1, true, false, false, {}}, kTall},
    {{DType::kBF16, DType::kBF16, 2, 6, 5, 64, 64, 64, 1, 1, 0, 0, false, false, false, {}}, kSmall},
    {{DType::kBF16, DType::kBF16, 1, 4, 4, 64, 8, 36, 3, 1, 1, 1, false, true, true, {}},
     {ProductTile::k64x64, 4}},
    {{DType::kF32, DType::kF32, 2, 6, 6, 12, 4, 20, 3, 1, 1, 1, false, true, true, Activation::kSilu},
     kSmall},
    {{DType::kF32, DType::kF32, 1, 3, 3, 8, 0, 7, 5, 2, 2, 2, true, false, false, {}}, kSmall},
};

class ConvolutionCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(ConvolutionCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const testing::ConvolutionOperands operands(c);
  const std::vector<float> want = operands.reference();
  for (const simt::Target& target : simt::targets("convolution")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    const testing::SimtConvolution on(operands, device, {.tiling = c.tiling});
    ASSERT_TRUE(convolution_cuda(on.call, &device).ok()) << device.report().text();
    EXPECT_LT(testing::relative_error(decoded(c.y_dtype, on.y.values()).data(), want.data(),
                                      static_cast<int64_t>(want.size())),
              2 * testing::tolerance(c.dtype, c.y_dtype));
    const bool whole = c.channels % 64 == 0 && c.skip % 64 == 0 && c.out % 8 == 0;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = whole ? 0.0 : 8.0}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(ConvolutionCuda, ConvolutionCudaCases, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name(); });

// What follows sums that a library left, beside the same arithmetic in f32.
TEST(ConvolutionCuda, FinishesSums) {
  const int64_t images = 2, pixels = 6, out = 40;
  for (const DType dtype : {DType::kBF16, DType::kF16})
    for (const bool all : {true, false})
      for (const simt::Target& target : simt::targets("convolution")) {
        SCOPED_TRACE(target.name);
        const std::vector<uint8_t> sums = encoded(dtype, testing::random_normal(images * pixels * out, 1)),
                                   residual =
                                       encoded(dtype, testing::random_normal(images * pixels * out, 2));
        const std::vector<float> bias = testing::random_normal(out, 3),
                                 image_bias = testing::random_normal(images * out, 4);
        std::vector<float> want = decoded(dtype, sums);
        const std::vector<float> more = decoded(dtype, residual);
        for (size_t i = 0; i < want.size(); ++i) {
          const size_t channel = i % out, image = i / (pixels * out);
          want[i] += bias[channel];
          if (!all) continue;
          want[i] = std::max(want[i] + image_bias[image * out + channel], 0.0f) + more[i];
        }
        simt::Device device(target.options);
        simt::Buffer<uint8_t> made(device, "sums", sums), y(device, "y", residual);
        simt::Buffer<float> b(device, "bias", bias), per_image(device, "image_bias", image_bias);
        ConvolutionCuda c{.dtype = dtype,
                          .images = images,
                          .h = 2,
                          .w = 3,
                          .channels = 8,
                          .out_channels = out,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .pad_top = 1,
                          .pad_left = 1,
                          .out_h = 2,
                          .out_w = 3,
                          .bias = b.data(),
                          .y_dtype = dtype,
                          .y = y.data()};
        if (all) c.image_bias = per_image.data(), c.activation = Activation::kRelu, c.residual = y.data();
        ASSERT_TRUE(finish_convolution_cuda({c, made.data()}, &device).ok()) << device.report().text();
        EXPECT_LT(testing::relative_error(decoded(dtype, y.values()).data(), want.data(),
                                          static_cast<int64_t>(want.size())),
                  testing::tolerance(dtype, dtype));
        EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 0.0}), "");
        c.y = y.data() + 2;
        EXPECT_EQ(finish_convolution_cuda({c, made.data()}, &device).code(), StatusCode::kInvalidArgument);
        c.y = y.data(), c.y_dtype = DType::kF32;
        EXPECT_EQ(finish_convolution_cuda({c, made.data()}, &device).code(), StatusCode::kUnsupported);
      }
}

TEST(ConvolutionCuda, GoesToALibraryWhereThatHasIt) {
  const ConvolutionCuda large{.images = 2,
                              .h = 64,
                              .w = 64,
                              .channels = 320,
                              .out_channels = 320,
                              .kernel_h = 3,
                              .kernel_w = 3,
                              .pad_top = 1,
                              .pad_left = 1,
                              .out_h = 64,
                              .out_w = 64};
  EXPECT_TRUE(goes_to_library(large));
  EXPECT_EQ(convolution_cuda_workspace(large), ((32 << 20) + 256 + 2 * 64 * 64 * 320 * 2) / 4);
  ConvolutionCuda joined = large, repeated = large, in_f32 = large, small = large, tiled = large, odd = large;
  joined.skip_channels = 320;
  repeated.repeated_h = repeated.repeated_w = 128, repeated.out_h = repeated.out_w = 128;
  in_f32.y_dtype = DType::kF32;
  small.h = small.w = small.out_h = small.out_w = 8, small.channels = 64;
  tiled.tiling = kLarge;
  odd.out_channels = 324;
  for (const ConvolutionCuda& c : {joined, repeated, in_f32, small, tiled, odd})
    EXPECT_FALSE(goes_to_library(c));
  ConvolutionCuda by_kernel = large;
  by_kernel.engine = ProductEngine::kKernel;
  EXPECT_FALSE(goes_to_library(by_kernel));
  EXPECT_EQ(convolution_cuda_workspace(by_kernel), convolution_cuda_workspace(tiled));
}

// To an odd size, as where a UNet's latents were halved upwards: the last repeated row and column are not there.
TEST(ConvolutionCuda, RepeatsPixelsToAnOddSize) {
  const int64_t h = 3, w = 2, channels = 4;
  const std::vector<float> x = testing::random_normal(h * w * channels, 1),
                           weights = testing::random_normal(9 * channels, 2);
  std::vector<float> repeated, want(5 * 3), by_taps;
  for (int64_t i = 0; i < 5; ++i)
    for (int64_t j = 0; j < 3; ++j)
      repeated.insert(repeated.end(), x.begin() + (i / 2 * w + j / 2) * channels,
                      x.begin() + (i / 2 * w + j / 2 + 1) * channels);
  Convolution host;
  host.x = TensorView::contiguous(repeated.data(), DType::kF32, {1, 5, 3, channels});
  host.w.shape = {.out_channels = 1, .in_channels = channels, .kernel_h = 3, .kernel_w = 3};
  host.pad_top = host.pad_left = host.pad_bottom = host.pad_right = 1;
  host.y = TensorView::contiguous(want.data(), DType::kF32, {1, 5, 3, 1});
  convolution_reference(host, WeightFormat::kF32, weights.data());
  for (size_t tap = 0; tap < 9; ++tap)
    for (size_t channel = 0; channel < 4; ++channel) by_taps.push_back(weights[channel * 9 + tap]);
  simt::Device device;
  simt::Buffer<float> in(device, "x", x), kernel(device, "w", by_taps),
      y(device, "y", std::vector<float>(15));
  ASSERT_TRUE(convolution_cuda({.dtype = DType::kF32,
                                .x = in.data(),
                                .images = 1,
                                .h = h,
                                .w = w,
                                .channels = channels,
                                .repeated_h = 5,
                                .repeated_w = 3,
                                .weights = kernel.data(),
                                .out_channels = 1,
                                .kernel_h = 3,
                                .kernel_w = 3,
                                .pad_top = 1,
                                .pad_left = 1,
                                .out_h = 5,
                                .out_w = 3,
                                .y_dtype = DType::kF32,
                                .y = y.data()},
                               &device)
                  .ok())
      << device.report().text();
  EXPECT_LT(testing::relative_error(y.values().data(), want.data(), 15), 2 * testing::tolerance(DType::kF32));
}

TEST(ConvolutionCuda, OfOnePixelIsADenseProduct) {
  const int64_t pixels = 2 * 3 * 5, channels = 16, out = 24;
  const std::vector<uint8_t> x = encoded(DType::kBF16, testing::random_normal(pixels * channels, 1)),
                             weights = encoded(DType::kBF16, testing::random_normal(out * channels, 2)),
                             residual = encoded(DType::kBF16, testing::random_normal(pixels * out, 3));
  simt::Device device;
  simt::Buffer<uint8_t> in(device, "x", x), w(device, "w", weights), y(device, "y", residual),
      c(device, "c", residual);
  simt::Buffer<float> bias(device, "bias", testing::random_normal(out, 4));
  const ConvolutionCuda conv{.x = in.data(),
                             .images = 2,
                             .h = 3,
                             .w = 5,
                             .channels = channels,
                             .weights = w.data(),
                             .out_channels = out,
                             .out_h = 3,
                             .out_w = 5,
                             .bias = bias.data(),
                             .residual = y.data(),
                             .y = y.data()};
  std::optional<GemmCuda> product = as_product(conv);
  ASSERT_TRUE(product);
  product->residual = c.data(), product->c = c.data();
  ASSERT_TRUE(convolution_cuda(conv, &device).ok()) << device.report().text();
  ASSERT_TRUE(gemm_cuda(*product, &device).ok()) << device.report().text();
  EXPECT_EQ(y.values(), c.values());

  ConvolutionCuda other = conv;
  other.kernel_h = 3, other.pad_top = 1;
  EXPECT_FALSE(as_product(other));
  other = conv, other.stride = 2, other.out_h = 2, other.out_w = 3;
  EXPECT_FALSE(as_product(other));
  other = conv, other.skip_channels = 8;
  EXPECT_FALSE(as_product(other));
  other = conv, other.repeated_h = 6, other.repeated_w = 10;
  EXPECT_FALSE(as_product(other));
  other = conv, other.h = other.w = other.out_h = other.out_w = 64, other.channels = other.out_channels = 640;
  EXPECT_TRUE(goes_to_library(*as_product(other)));
  EXPECT_EQ(convolution_cuda_workspace(other), library_workspace(DType::kBF16, 640));
}

TEST(ConvolutionCuda, RefusesWhatItCannotDo) {
  alignas(16) float x[16] = {};
  const ConvolutionCuda good{.x = x,
                             .images = 0,
                             .h = 2,
                             .w = 2,
                             .channels = 8,
                             .weights = x,
                             .out_channels = 1,
                             .out_h = 2,
                             .out_w = 2,
                             .y = x};
  EXPECT_TRUE(convolution_cuda(good, nullptr).ok());
  ConvolutionCuda c = good;
  c.channels = 4;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kInvalidShape);
  c = good, c.repeated_h = 5, c.repeated_w = 4;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kInvalidShape);
  c = good, c.stride = 0;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kInvalidShape);
  c = good, c.images = 1, c.skip_channels = 8;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kInvalidArgument);
  c = good, c.images = 1, c.x = x + 1;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kInvalidArgument);
  c = good, c.y_dtype = DType::kF16;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kUnsupported);
  c = good, c.images = 1, c.engine = ProductEngine::kLibrary;
  EXPECT_EQ(convolution_cuda(c, nullptr).code(), StatusCode::kUnsupported);
}

TEST(ConvolutionCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("convolution")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {
      {.kernel = "Li128ELi128E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 3 * 256 * 128},
      {.kernel = "Li128ELi64E", .registers = 255, .occupancy = 0.06, .dynamic_shared_bytes = 3 * 192 * 128},
      {.kernel = "Li64ELi64E", .registers = 128, .occupancy = 0.16, .dynamic_shared_bytes = 3 * 128 * 128},
      {.kernel = "join_product_splits", .registers = 64, .occupancy = 0.5},
      {.kernel = "finish_convolution", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("convolution", bounds), "");
}

}  // namespace
}  // namespace weft
