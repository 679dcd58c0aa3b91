// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/group_norm/group_norm_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops/group_norm/group_norm.h"
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
  DType in, out;
  int64_t images, h, w, channels, skip, groups, y_channels;
  bool affine, silu;
};
// Vectors and single elements, one run of pixels and several, more than one block of channels, both inputs, padding.
const Case kCases[] = {
    {DType::kF32, DType::kF32, 2, 4, 5, 64, 0, 32, 64, true, true},
    {DType::kBF16, DType::kBF16, 1, 12, 12, 96, 64, 32, 160, true, true},
    {DType::kF16, DType::kF16, 1, 3, 3, 320, 0, 32, 320, true, false},
    {DType::kBF16, DType::kF32, 1, 1, 1, 32, 0, 8, 32, false, false},
    {DType::kF32, DType::kBF16, 2, 3, 7, 5, 4, 3, 16, true, true},
    {DType::kF16, DType::kF32, 1, 2, 2, 6, 0, 2, 6, false, true},
    {DType::kF32, DType::kF16, 1, 17, 9, 8, 8, 2, 24, true, false},
};

class GroupNormCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(GroupNormCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const int64_t all = c.channels + c.skip, pixels = c.h * c.w;
  // A large mean shows a variance that is computed in one pass.
  std::vector<float> values = testing::random_normal(c.images * pixels * c.channels, 1);
  for (float& v : values) v += 30;
  const std::vector<uint8_t> x = encoded(c.in, values),
                             skip = encoded(c.in, testing::random_normal(c.images * pixels * c.skip, 2));
  const std::vector<float> weight = testing::random_normal(all, 3), bias = testing::random_normal(all, 4);
  const auto count = static_cast<size_t>(c.images * all);
  std::vector<float> scale(count), shift(count), want(static_cast<size_t>(c.images * pixels * all));
  const std::vector<float> x_values = decoded(c.in, x), skip_values = decoded(c.in, skip);
  group_norm_reference(
      {.x = TensorView::contiguous(x_values.data(), DType::kF32, {c.images, c.h, c.w, c.channels}),
       .skip = c.skip ? TensorView::contiguous(skip_values.data(), DType::kF32, {c.images, c.h, c.w, c.skip})
                      : TensorView(),
       .groups = c.groups,
       .weight = c.affine ? weight.data() : nullptr,
       .bias = c.affine ? bias.data() : nullptr,
       .scale = scale.data(),
       .shift = shift.data()},
      c.silu ? std::optional(Activation::kSilu) : std::nullopt,
      TensorView::contiguous(want.data(), DType::kF32, {c.images, c.h, c.w, all}));

  for (const simt::Target& target : simt::targets("group_norm")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<uint8_t> in(device, "x", x), second(device, "skip", skip),
        y(device, "y",
          std::vector<uint8_t>(static_cast<size_t>(c.images * pixels * c.y_channels * size_bytes(c.out)),
                               0x7f));
    simt::Buffer<float> w(device, "weight", weight), b(device, "bias", bias),
        scale_buffer(device, "scale", std::vector<float>(count)),
        shift_buffer(device, "shift", std::vector<float>(count));
    const JoinedImages images{in.data(), c.skip ? second.data() : nullptr, c.in, c.images, pixels, c.channels,
                              c.skip};
    simt::Buffer<float> workspace(device, "workspace",
                                  std::vector<float>(static_cast<size_t>(group_norm_cuda_workspace(images))));
    ASSERT_TRUE(group_norm_scale_cuda({.in = images,
                                       .groups = c.groups,
                                       .weight = c.affine ? w.data() : nullptr,
                                       .bias = c.affine ? b.data() : nullptr,
                                       .workspace = workspace.data(),
                                       .scale = scale_buffer.data(),
                                       .shift = shift_buffer.data()},
                                      &device)
                    .ok())
        << device.report().text();
    ASSERT_TRUE(
        scale_shift_cuda({.in = images,
                          .scale = scale_buffer.data(),
                          .shift = shift_buffer.data(),
                          .activation = c.silu ? ScaleShiftActivation::kSilu : ScaleShiftActivation::kNone,
                          .y = y.data(),
                          .y_dtype = c.out,
                          .y_channels = c.y_channels},
                         &device)
            .ok())
        << device.report().text();
    const std::vector<float> got = decoded(c.out, y.values());
    std::vector<float> joined;
    for (size_t i = 0; i < got.size(); ++i) {
      if (static_cast<int64_t>(i) % c.y_channels < all) joined.push_back(got[i]);
      else EXPECT_EQ(got[i], 0);
    }
    // Values around 30 lose five bits to the mean.
    EXPECT_LT(testing::relative_error(joined.data(), want.data(), static_cast<int64_t>(want.size())),
              c.out == DType::kF32 ? 1e-5 : testing::tolerance(c.out));
    EXPECT_LT(
        testing::relative_error(scale_buffer.values().data(), scale.data(), static_cast<int64_t>(count)),
        1e-5);
    const bool quads = c.channels % 4 == 0 && c.skip % 4 == 0;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = quads ? 1.0 : 4.0}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(GroupNormCuda, GroupNormCudaCases, ::testing::ValuesIn(kCases),
                         [](const auto& test) {
                           const Case& c = test.param;
                           return std::to_string(c.channels) + "And" + std::to_string(c.skip) + "Bytes" +
                                  std::to_string(size_bytes(c.in)) + "To" + std::to_string(size_bytes(c.out));
                         });

// Of a window of an image, against the window as an image of its own: moments, what they make, and both ways to copy it.
TEST(GroupNormCuda, TakesWindowsOfImages) {
  struct Window {
    DType dtype;
    int64_t h, w, channels, groups, image_w, first;  // first: the pixel where it begins
  };
  for (const Window& c :
       {Window{DType::kF32, 3, 5, 64, 32, 9, 11}, Window{DType::kBF16, 20, 131, 8, 2, 140, 3},
        Window{DType::kF16, 9, 2, 5, 1, 2, 0}}) {
    const int64_t pixels = c.h * c.w, size = size_bytes(c.dtype);
    std::vector<float> values = testing::random_normal((c.first + c.h * c.image_w) * c.channels, 1);
    for (float& v : values) v += 30;
    const std::vector<uint8_t> image = encoded(c.dtype, values);
    std::vector<uint8_t> window;
    for (int64_t row = 0; row < c.h; ++row) {
      const auto from = image.begin() + (c.first + row * c.image_w) * c.channels * size;
      window.insert(window.end(), from, from + c.w * c.channels * size);
    }
    const std::vector<float> x = decoded(c.dtype, window);
    const auto count = static_cast<size_t>(c.channels);
    std::vector<double> mean(count), squares(count);
    for (size_t i = 0; i < x.size(); ++i)
      mean[i % count] += static_cast<double>(x[i]) / static_cast<double>(pixels);
    for (size_t i = 0; i < x.size(); ++i)
      squares[i % count] +=
          (static_cast<double>(x[i]) - mean[i % count]) * (static_cast<double>(x[i]) - mean[i % count]);
    const std::vector<float> weight = testing::random_normal(c.channels, 3),
                             bias = testing::random_normal(c.channels, 4);
    std::vector<float> scale(count), shift(count);
    group_norm_reference({.x = TensorView::contiguous(x.data(), DType::kF32, {1, c.h, c.w, c.channels}),
                          .groups = c.groups,
                          .weight = weight.data(),
                          .bias = bias.data(),
                          .scale = scale.data(),
                          .shift = shift.data()},
                         {}, {});
    for (const simt::Target& target : simt::targets("group_norm")) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<uint8_t> in(device, "image", image),
          copy(device, "copy", std::vector<uint8_t>(window.size())),
          back(device, "back", std::vector<uint8_t>(image.size()));
      simt::Buffer<float> w(device, "weight", weight), b(device, "bias", bias),
          means(device, "mean", std::vector<float>(count)),
          sums(device, "squares", std::vector<float>(count)),
          scales(device, "scale", std::vector<float>(count)),
          shifts(device, "shift", std::vector<float>(count));
      JoinedImages rows{.x = in.data() + c.first * c.channels * size, .dtype = c.dtype, .images = c.h};
      rows.pixels = c.w, rows.channels = c.channels, rows.image_stride = c.image_w;
      simt::Buffer<float> workspace(device, "workspace",
                                    std::vector<float>(static_cast<size_t>(group_norm_cuda_workspace(rows))));
      ASSERT_TRUE(channel_moments_cuda({rows, workspace.data(), means.data(), sums.data()}, &device).ok())
          << device.report().text();
      ASSERT_TRUE(moments_scale_cuda({.mean = means.data(),
                                      .squares = sums.data(),
                                      .pixels = pixels,
                                      .channels = c.channels,
                                      .groups = c.groups,
                                      .weight = w.data(),
                                      .bias = b.data(),
                                      .scale = scales.data(),
                                      .shift = shifts.data()},
                                     &device)
                      .ok())
          << device.report().text();
      for (size_t i = 0; i < count; ++i) {
        EXPECT_NEAR(means.values()[i], mean[i], 1e-5 * std::abs(mean[i]));
        EXPECT_NEAR(sums.values()[i], squares[i], 1e-4 * squares[i]);
      }
      EXPECT_LT(testing::relative_error(scales.values().data(), scale.data(), c.channels), 1e-5);
      EXPECT_LT(testing::relative_error(shifts.values().data(), shift.data(), c.channels), 1e-5);
      // Out of the image, and into another one.
      ASSERT_TRUE(scale_shift_cuda(
                      {.in = rows, .y = copy.data(), .y_dtype = c.dtype, .y_channels = c.channels}, &device)
                      .ok())
          << device.report().text();
      EXPECT_EQ(copy.values(), window);
      JoinedImages own = rows;
      own.x = copy.data(), own.image_stride = 0;
      ASSERT_TRUE(scale_shift_cuda({.in = own,
                                    .y = back.data() + c.first * c.channels * size,
                                    .y_dtype = c.dtype,
                                    .y_channels = c.channels,
                                    .y_image_stride = c.image_w},
                                   &device)
                      .ok())
          << device.report().text();
      const std::vector<uint8_t> got = back.values();
      for (int64_t i = 0; i < c.first + c.h * c.image_w; ++i) {
        const int64_t column = (i - c.first) % c.image_w;
        const bool within = i >= c.first && column < c.w;
        for (int64_t k = i * c.channels * size; k < (i + 1) * c.channels * size; ++k)
          EXPECT_EQ(got[static_cast<size_t>(k)], within ? image[static_cast<size_t>(k)] : 0);
      }
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = c.channels % 4 == 0 ? 1.0 : 4.0}), "");
    }
  }
}

// Conversion alone, as before a product of another type: the values as they are, and in place.
TEST(ScaleShiftCuda, CopiesAndConverts) {
  const std::vector<float> x = testing::random_normal(3 * 5, 5);
  for (const simt::Target& target : simt::targets("group_norm")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    simt::Buffer<float> in(device, "x", x);
    simt::Buffer<uint8_t> y(device, "y", std::vector<uint8_t>(3 * 8 * 2));
    const JoinedImages images{.x = in.data(), .images = 1, .pixels = 3, .channels = 5};
    ASSERT_TRUE(
        scale_shift_cuda({.in = images, .y = y.data(), .y_dtype = DType::kBF16, .y_channels = 8}, &device)
            .ok())
        << device.report().text();
    const std::vector<float> got = decoded(DType::kBF16, y.values()),
                             want = decoded(DType::kBF16, encoded(DType::kBF16, x));
    for (size_t i = 0; i < 3 * 8; ++i) EXPECT_EQ(got[i], i % 8 < 5 ? want[i / 8 * 5 + i % 8] : 0);
    ASSERT_TRUE(
        scale_shift_cuda(
            {.in = images, .activation = ScaleShiftActivation::kSilu, .y = in.data(), .y_channels = 5},
            &device)
            .ok())
        << device.report().text();
    std::vector<float> silu = x;
    activation_reference(Activation::kSilu, silu.data(), nullptr, 15);
    EXPECT_LT(testing::relative_error(in.values().data(), silu.data(), 15), testing::tolerance(DType::kF32));
  }
}

TEST(GroupNormCuda, RefusesWhatItCannotDo) {
  float x[64] = {};
  const JoinedImages images{.x = x, .images = 1, .pixels = 2, .channels = 4};
  const GroupNormCuda good{.in = images, .groups = 2, .workspace = x, .scale = x, .shift = x};
  GroupNormCuda g = good;
  g.in.images = 0;
  EXPECT_TRUE(group_norm_scale_cuda(g, nullptr).ok());
  g = good, g.groups = 3;
  EXPECT_EQ(group_norm_scale_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.in.pixels = 0;
  EXPECT_EQ(group_norm_scale_cuda(g, nullptr).code(), StatusCode::kInvalidShape);
  g = good, g.in.skip_channels = 2;
  EXPECT_EQ(group_norm_scale_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.epsilon = 0;
  EXPECT_EQ(group_norm_scale_cuda(g, nullptr).code(), StatusCode::kInvalidArgument);
  g = good, g.in.dtype = DType::kI32;
  EXPECT_EQ(group_norm_scale_cuda(g, nullptr).code(), StatusCode::kUnsupported);
  ChannelMomentsCuda m{.in = images, .workspace = x, .mean = x, .squares = x};
  m.in.images = 0;
  EXPECT_EQ(channel_moments_cuda(m, nullptr).code(), StatusCode::kInvalidShape);
  m.in.images = 1, m.in.image_stride = 1;
  EXPECT_EQ(channel_moments_cuda(m, nullptr).code(), StatusCode::kInvalidShape);
  m.in.image_stride = 0, m.in.skip = x, m.in.skip_channels = 4;
  EXPECT_EQ(channel_moments_cuda(m, nullptr).code(), StatusCode::kUnsupported);
  m.in = images, m.mean = nullptr;
  EXPECT_EQ(channel_moments_cuda(m, nullptr).code(), StatusCode::kInvalidArgument);
  MomentsScaleCuda of{.mean = x, .squares = x, .pixels = 0, .channels = 4, .groups = 2};
  EXPECT_EQ(moments_scale_cuda(of, nullptr).code(), StatusCode::kInvalidShape);
  of.pixels = 2, of.groups = 3;
  EXPECT_EQ(moments_scale_cuda(of, nullptr).code(), StatusCode::kInvalidShape);
  of.groups = 2;
  EXPECT_EQ(moments_scale_cuda(of, nullptr).code(), StatusCode::kInvalidArgument);
  const ScaleShiftCuda fine{.in = images, .y = x, .y_channels = 4};
  ScaleShiftCuda s = fine;
  s.y_channels = 3;
  EXPECT_EQ(scale_shift_cuda(s, nullptr).code(), StatusCode::kInvalidShape);
  s = fine, s.y_image_stride = 1;
  EXPECT_EQ(scale_shift_cuda(s, nullptr).code(), StatusCode::kInvalidShape);
  s = fine, s.scale = x;
  EXPECT_EQ(scale_shift_cuda(s, nullptr).code(), StatusCode::kInvalidArgument);
  s = fine, s.in.dtype = DType::kF16, s.y_dtype = DType::kBF16;
  EXPECT_EQ(scale_shift_cuda(s, nullptr).code(), StatusCode::kUnsupported);
}

TEST(GroupNormCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("group_norm")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "channel_sums", .registers = 64, .occupancy = 0.5},
                                       {.kernel = "join_groups", .registers = 48, .occupancy = 0.62},
                                       {.kernel = "join_images", .registers = 48, .occupancy = 0.62},
                                       {.kernel = "scale_groups", .registers = 48, .occupancy = 0.62},
                                       {.kernel = "apply_scale_shift", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("group_norm", bounds), "");
}

}  // namespace
}  // namespace weft
