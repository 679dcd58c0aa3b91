#include "kernels/ops/convolution/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::AlignedBytes;
using testing::available_levels;
using testing::FloatTensor;
using testing::Threads;

struct Weights {
  explicit Weights(ConvolutionShape shape, WeightFormat source = WeightFormat::kF32, uint64_t seed = 1)
      : format(source),
        file(testing::random_weights(
            source, shape.out_channels * shape.in_channels * shape.kernel_h * shape.kernel_w, seed)),
        packed(*convolution_packed_bytes(shape)) {
    const Threads threads(2);
    EXPECT_TRUE(pack_convolution_weights(shape, format, file.data(), packed.data(), threads.executor()).ok());
    weights = {shape, packed.data()};
  }
  WeightFormat format;
  std::vector<uint8_t> file;
  AlignedBytes packed;
  ConvolutionWeights weights;
};

void run(Convolution c, uint32_t n_threads, IsaLevel level) {
  AlignedBytes scratch(convolution_scratch_bytes(n_threads));
  c.scratch = scratch.data();
  const Threads threads(n_threads);
  const Status status = convolution(c, threads.executor(), level);
  ASSERT_TRUE(status.ok()) << to_string(status.error());
}

struct Case {
  int64_t images, height, width, in, out, kernel_h, kernel_w, stride;
  int64_t top, bottom, left, right;
};
constexpr Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
    {1, 8, 8, 4, 16, 3, 3, 1, 1, 1, 1, 1},
    {2, 7, 9, 3, 20, 3, 3, 1, 1, 1, 1, 1},
    {1, 9, 10, 9, 17, 3, 3, 2, 1, 1, 1, 1},
    {1, 8, 6, 40, 33, 3, 3, 2, 0, 1, 0, 1},
    {2, 5, 19, 64, 4, 3, 3, 1, 1, 1, 1, 1},
    {1, 4, 37, 21, 50, 1, 1, 1, 0, 0, 0, 0},
    {1, 14, 14, 3, 24, 7, 7, 7, 0, 0, 0, 0},
    {1, 6, 6, 16, 16, 5, 3, 1, 2, 2, 1, 1},
    {1, 3, 3, 32, 18, 3, 3, 1, 3, 0, 0, 4},
    {1, 16, 16, 96, 64, 3, 3, 1, 1, 1, 1, 1},
    {1, 2, 3, 700, 35, 3, 3, 1, 1, 1, 1, 1},
    {2, 6, 5, 33, 48, 1, 1, 2, 0, 0, 0, 0},
    {1, 129, 129, 16, 3, 128, 128, 1, 0, 0, 0, 0},  // a kernel of several panels
    {1, 10, 12, 6000, 5, 1, 1, 1, 0, 0, 0, 0},      // channels of several panels
    {5, 3, 4, 30, 19, 3, 2, 3, 1, 1, 0, 1},
    {2, 5, 9, 64, 40, 1, 1, 1, 0, 0, 0, 0},  // an input that serves as it is
    {1, 5, 9, 96, 33, 1, 1, 2, 0, 0, 0, 0},
};

TEST(Convolution, AgreesWithTheReferenceAtEveryLevelShapeAndType) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const Case& s : kCases) {
      const Weights w({s.out, s.in, s.kernel_h, s.kernel_w, compute},
                      s.out % 2 ? WeightFormat::kF16 : WeightFormat::kF32);
      const int64_t oh = convolution_extent(s.height, Upsample::kNone, s.kernel_h, s.stride, s.top, s.bottom);
      const int64_t ow = convolution_extent(s.width, Upsample::kNone, s.kernel_w, s.stride, s.left, s.right);
      const DType type = s.images != 2 ? DType::kF32 : compute == DType::kF16 ? DType::kF16 : DType::kBF16;
      const FloatTensor x(type, {s.images, s.height, s.width, s.in}, 2),
          empty(type, {s.images, oh, ow, s.out}, 0);
      FloatTensor want = empty;
      Convolution c = {.x = x.view(),
                       .w = w.weights,
                       .stride = s.stride,
                       .pad_top = s.top,
                       .pad_bottom = s.bottom,
                       .pad_left = s.left,
                       .pad_right = s.right,
                       .y = want.view()};
      convolution_reference(c, w.format, w.file.data());
      for (const IsaLevel level : available_levels()) {
        FloatTensor got = empty;
        c.y = got.view();
        run(c, 1, level);
        EXPECT_LE(testing::relative_error(got, want), testing::tolerance(compute, type))
            << to_string(level) << " " << s.height << "x" << s.width << "x" << s.in << " to " << s.out;
        EXPECT_TRUE(got.gaps_untouched());
      }
    }
  }
}

/// Everything on the way in and out at once.
struct Fused {
  Fused(DType compute, Upsample up, int64_t first, int64_t second, int64_t out)
      : weights({out, first + second, 3, 3, compute}),
        x(DType::kF32, {kImages, 5, 7, first}, 2),
        skip(DType::kBF16, {kImages, 5, 7, second}, 3),
        scale(testing::random_normal(kImages * (first + second), 4)),
        shift(testing::random_normal(kImages * (first + second), 5)),
        bias(testing::random_normal(out, 6)),
        image_bias(testing::random_normal(kImages * out, 7)),
        upsample(up),
        residual(DType::kBF16, output_shape(out), 8) {}

  std::vector<int64_t> output_shape(int64_t out) const {
    const int64_t factor = upsample == Upsample::kNone ? 1 : 2;
    return {kImages, 5 * factor, 7 * factor, out};
  }
  Convolution on(const FloatTensor& y) const {
    return {.x = x.view(),
            .skip = skip.view(),
            .in_scale = scale.data(),
            .in_shift = shift.data(),
            .in_activation = Activation::kSilu,
            .upsample = upsample,
            .w = weights.weights,
            .pad_top = 1,
            .pad_bottom = 1,
            .pad_left = 1,
            .pad_right = 1,
            .bias = bias.data(),
            .image_bias = image_bias.data(),
            .activation = Activation::kSilu,
            .residual = residual.view(),
            .y = y.view()};
  }
  static constexpr int64_t kImages = 2;
  Weights weights;
  FloatTensor x, skip;
  std::vector<float> scale, shift, bias, image_bias;
  Upsample upsample;
  FloatTensor residual;
};

TEST(Convolution, DoesEverythingAroundItInOnePass) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    // What is done to an input in f32 may make it round to the neighbouring f16.
    const double limit = (compute == DType::kF16 ? 10 : 2) * testing::tolerance(compute, DType::kF32);
    for (const Upsample up : {Upsample::kNone, Upsample::kNearest2x}) {
      for (const int64_t first : {2, 24}) {
        const Fused fused(compute, up, first, 11, 37);
        FloatTensor want(DType::kF32, fused.output_shape(37), 0);
        convolution_reference(fused.on(want), fused.weights.format, fused.weights.file.data());
        for (const IsaLevel level : available_levels()) {
          FloatTensor got(DType::kF32, fused.output_shape(37), 0);
          run(fused.on(got), 2, level);
          EXPECT_LE(testing::relative_error(got, want), limit) << to_string(level) << " channels " << first;
        }
        Convolution plain = fused.on(want);
        plain.activation = {};
        plain.in_activation = {};
        convolution_reference(plain, fused.weights.format, fused.weights.file.data());
        for (const IsaLevel level : available_levels()) {
          FloatTensor got(DType::kF32, fused.output_shape(37), 0);
          plain.y = got.view();
          run(plain, 3, level);
          EXPECT_LE(testing::relative_error(got, want), limit)
              << to_string(level) << " without activations, channels " << first;
        }
      }
    }
  }
}

TEST(Convolution, TakesFourKernelsForAnUpsampledInput) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t in : {3, 40}) {
      const ConvolutionShape shape = {21, in, 3, 3, compute, Upsample::kNearest2x};
      const Weights w(shape);
      const FloatTensor x(DType::kF32, {2, 5, 9, in}, 2), residual(DType::kF32, {2, 10, 18, 21}, 3);
      const std::vector<float> bias = testing::random_normal(21, 4);
      FloatTensor want(DType::kF32, {2, 10, 18, 21}, 0);
      Convolution c = {.x = x.view(),
                       .upsample = Upsample::kNearest2x,
                       .w = w.weights,
                       .pad_top = 1,
                       .pad_bottom = 1,
                       .pad_left = 1,
                       .pad_right = 1,
                       .bias = bias.data(),
                       .residual = residual.view(),
                       .y = want.view()};
      convolution_reference(c, w.format, w.file.data());
      for (const IsaLevel level : available_levels()) {
        FloatTensor got(DType::kF32, {2, 10, 18, 21}, 0);
        c.y = got.view();
        run(c, 3, level);
        // Sums of weights are rounded to bf16, not the weights, as in the reference.
        EXPECT_LE(testing::relative_error(got, want), testing::tolerance(compute))
            << to_string(level) << " in " << in;
        EXPECT_TRUE(got.gaps_untouched());
      }
      c.stride = 2;
      EXPECT_EQ(check_convolution(c).code(), StatusCode::kInvalidShape);
    }
  }
}

TEST(Convolution, GivesAPixelTheSameBitsForEveryBatchAndNumberOfThreads) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Weights w({40, 50, 3, 3, compute});
    const FloatTensor x(DType::kF32, {3, 11, 13, 50}, 2);
    const Convolution c = {
        .x = x.view(), .w = w.weights, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1, .y = {}};
    for (const IsaLevel level : available_levels()) {
      FloatTensor all(DType::kF32, {3, 11, 13, 40}, 0);
      Convolution whole = c;
      whole.y = all.view();
      run(whole, 1, level);
      for (uint32_t n_threads = 1; n_threads <= 5; n_threads += 2) {
        FloatTensor parts(DType::kF32, {3, 11, 13, 40}, 0);
        for (int64_t image = 0; image < 3; ++image) {
          Convolution one = c;
          one.x = x.rows(image, 1);
          one.y = parts.rows(image, 1);
          run(one, n_threads, level);
        }
        EXPECT_EQ(all.values(), parts.values()) << to_string(level) << " threads " << n_threads;
      }
    }
  }
}

TEST(Convolution, GivesAPixelTheSameBitsWhereverItLies) {
  // The same neighbourhood, cut out of the image: padding of zeros is what lies around it in both.
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Weights w({24, 36, 3, 3, compute});
    FloatTensor image(DType::kF32, {1, 12, 21, 36}, 0), cut(DType::kF32, {1, 1, 1, 36}, 0);
    const std::vector<float> pixel = testing::random_normal(36, 9);
    for (int64_t i = 0; i < 36; ++i) {
      image.set((7 * 21 + 13) * 36 + i, pixel[static_cast<size_t>(i)]);
      cut.set(i, pixel[static_cast<size_t>(i)]);
    }
    Convolution c = {.x = image.view(),
                     .w = w.weights,
                     .pad_top = 1,
                     .pad_bottom = 1,
                     .pad_left = 1,
                     .pad_right = 1,
                     .y = {}};
    for (const IsaLevel level : available_levels()) {
      FloatTensor large(DType::kF32, {1, 12, 21, 24}, 0), small(DType::kF32, {1, 1, 1, 24}, 0);
      c.x = image.view();
      c.y = large.view();
      run(c, 2, level);
      c.x = cut.view();
      c.y = small.view();
      run(c, 1, level);
      const std::vector<float> a = large.values(), b = small.values();
      for (size_t i = 0; i < 24; ++i) EXPECT_EQ(a[(7 * 21 + 13) * 24 + i], b[i]) << to_string(level);
    }
  }
}

TEST(Convolution, KeepsNonFiniteValuesInTheirNeighbourhood) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t channels : {3, 35}) {
      const Weights w({18, channels, 3, 3, compute});
      FloatTensor x(DType::kF32, {1, 5, 17, channels}, 2);
      x.set((2 * 17 + 8) * channels + channels - 1, std::numeric_limits<float>::quiet_NaN());
      for (const IsaLevel level : available_levels()) {
        FloatTensor y(DType::kF32, {1, 5, 17, 18}, 0);
        run({.x = x.view(),
             .w = w.weights,
             .pad_top = 1,
             .pad_bottom = 1,
             .pad_left = 1,
             .pad_right = 1,
             .y = y.view()},
            1, level);
        const std::vector<float> values = y.values();
        for (int64_t i = 0; i < 5 * 17; ++i) {
          const bool near = std::abs(i / 17 - 2) <= 1 && std::abs(i % 17 - 8) <= 1;
          for (int64_t o = 0; o < 18; ++o)
            EXPECT_EQ(std::isnan(values[static_cast<size_t>(i * 18 + o)]), near)
                << to_string(level) << " pixel " << i;
        }
      }
    }
  }
}

TEST(Convolution, AcceptsNoImages) {
  const Weights w({4, 3, 3, 3, DType::kF32});
  const Threads threads(1);
  const Convolution c = {.x = TensorView::contiguous(nullptr, DType::kF32, {0, 8, 8, 3}),
                         .w = w.weights,
                         .y = TensorView::contiguous(nullptr, DType::kF32, {0, 6, 6, 4})};
  EXPECT_TRUE(convolution(c, threads.executor()).ok());
}

TEST(Convolution, RefusesWhatDoesNotFit) {
  const Weights w({4, 3, 3, 3, DType::kF32});
  std::vector<float> memory(1000);
  AlignedBytes scratch(convolution_scratch_bytes(1));
  const auto view = [&](int64_t n, int64_t h, int64_t width, int64_t c) {
    return TensorView::contiguous(memory.data(), DType::kF32, {n, h, width, c});
  };
  const Convolution good = {
      .x = view(1, 5, 5, 3), .w = w.weights, .y = view(1, 3, 3, 4), .scratch = scratch.data()};
  EXPECT_TRUE(check_convolution(good).ok());
  const auto code = [&](auto change) {
    Convolution c = good;
    change(c);
    return check_convolution(c).code();
  };
  EXPECT_EQ(code([&](Convolution& c) { c.x = view(1, 5, 5, 2); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.x = view(1, 2, 5, 3); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.skip = view(1, 5, 5, 1); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.y = view(1, 5, 5, 4); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.residual = view(1, 3, 3, 3); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.stride = 0; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.pad_left = -1; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Convolution& c) { c.x.dtype = DType::kU8; }), StatusCode::kUnsupported);
  EXPECT_EQ(code([&](Convolution& c) { c.in_scale = memory.data(); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](Convolution& c) { c.scratch = nullptr; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](Convolution& c) { c.w.data = nullptr; }), StatusCode::kInvalidArgument);
}

TEST(ConvolutionPacking, RefusesShapesThatCannotBe) {
  EXPECT_EQ(convolution_packed_bytes({0, 3, 3, 3, DType::kF32}).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(convolution_packed_bytes({4, 3, 0, 3, DType::kF32}).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(convolution_packed_bytes({4, 3, 3, 3, DType::kF64}).code(), StatusCode::kUnsupported);
  EXPECT_EQ(convolution_packed_bytes({4, 3, 5, 5, DType::kF32, Upsample::kNearest2x}).code(),
            StatusCode::kUnsupported);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(convolution_packed_bytes({kMost, 3, 3, 3, DType::kF32}).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(convolution_packed_bytes({4, kMost, 3, 3, DType::kF32}).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(convolution_packed_bytes({4, 3, kMost, kMost, DType::kF32}).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft
