// The CUDA kernels on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/group_norm/group_norm_cuda.h"

#include <gtest/gtest.h>

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
  const ScaleShiftCuda fine{.in = images, .y = x, .y_channels = 4};
  ScaleShiftCuda s = fine;
  s.y_channels = 3;
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
                                       {.kernel = "apply_scale_shift", .registers = 64, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("group_norm", bounds), "");
}

}  // namespace
}  // namespace weft
