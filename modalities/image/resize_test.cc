#include "modalities/image/resize.h"

#include <gmock/gmock.h>

#include <fstream>

namespace weft {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatNear;

// Rows in parts of `band`, as several threads would make them.
template <typename T>
std::vector<T> resized(std::vector<T> pixels, const ImageShape& shape, const ImageRegion& region,
                       int64_t width, int64_t height, ResizeFilter filter, int64_t band = 1000) {
  constexpr weft_dtype kDtype = sizeof(T) == 1 ? WEFT_DTYPE_U8 : WEFT_DTYPE_F32;
  const ImageShape target_shape{shape.count, height, width, shape.channels};
  std::vector<T> target(static_cast<size_t>(target_shape.elements()));
  const Resizer resizer(shape, region, width, height, filter);
  for (int64_t i = 0; i < shape.count; ++i) {
    for (int64_t y = 0; y < height; y += band) {
      std::vector<float> scratch(resizer.scratch_values(), NAN);
      resizer.run(packed_image_view(pixels.data(), kDtype, shape),
                  packed_image_view(target.data(), kDtype, target_shape), i, y, std::min(height, y + band),
                  scratch.data(), [] { return false; });
    }
  }
  return target;
}

std::vector<float> golden_picture() {
  std::vector<float> pixels;
  for (int y = 0; y < 9; ++y) {
    for (int x = 0; x < 13; ++x) pixels.push_back(static_cast<float>((x * 37 + y * 91) % 101) / 100.0f);
  }
  return pixels;
}

TEST(Resizer, GivesThePixelsThatPillowGives) {
  std::ifstream file("assets/golden/resize.bin", std::ios::binary);
  ASSERT_TRUE(file.is_open());
  const ImageShape shape{1, 9, 13, 1};
  const auto compare = [&](const ImageRegion& region, int64_t width, int64_t height, ResizeFilter filter) {
    std::vector<float> expected(static_cast<size_t>(width * height));
    file.read(reinterpret_cast<char*>(expected.data()),
              static_cast<std::streamsize>(expected.size() * sizeof(float)));
    const std::vector<float> got = resized(golden_picture(), shape, region, width, height, filter);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 2e-6) << width << " x " << height;
  };
  for (const ResizeFilter filter :
       {ResizeFilter::kBilinear, ResizeFilter::kBicubic, ResizeFilter::kLanczos}) {
    compare(whole_of(shape), 5, 4, filter);
    compare(whole_of(shape), 31, 22, filter);
    compare(whole_of(shape), 13, 3, filter);
  }
  compare({1.25, 0.5, 10.5, 7}, 8, 8, ResizeFilter::kBicubic);
  EXPECT_TRUE(file.good());
}

constexpr ResizeFilter kAll[] = {ResizeFilter::kNearest, ResizeFilter::kBilinear, ResizeFilter::kBicubic,
                                 ResizeFilter::kLanczos, ResizeFilter::kArea};

TEST(Resizer, KeepsAPictureOfTheSameSize) {
  std::vector<uint8_t> pixels(2 * 5 * 7 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 11);
  for (const ResizeFilter filter : kAll) {
    EXPECT_EQ(resized(pixels, {2, 5, 7, 3}, {0, 0, 7, 5}, 7, 5, filter), pixels);
  }
}

TEST(Resizer, KeepsOneColourAtEverySize) {
  for (const ResizeFilter filter : kAll) {
    for (const int64_t size : {1, 2, 3, 17, 64}) {
      EXPECT_THAT(
          resized(std::vector<float>(6 * 5 * 4, 0.625f), {1, 5, 6, 4}, {0, 0, 6, 5}, size, size + 1, filter),
          Each(FloatNear(0.625f, 1e-6f)));
    }
  }
}

TEST(Resizer, GivesTheSameBitsHoweverRowsAreDivided) {
  const ImageShape shape{1, 9, 13, 1};
  for (const ResizeFilter filter : kAll) {
    const std::vector<float> whole = resized(golden_picture(), shape, whole_of(shape), 7, 19, filter);
    for (const int64_t band : {1, 2, 5}) {
      EXPECT_EQ(resized(golden_picture(), shape, whole_of(shape), 7, 19, filter, band), whole);
    }
  }
}

TEST(Resizer, AveragesAreasAndPicksNearestPixels) {
  const std::vector<uint8_t> pixels = {0, 30, 60, 90};
  EXPECT_THAT(resized(pixels, {1, 1, 4, 1}, {0, 0, 4, 1}, 2, 1, ResizeFilter::kArea), ElementsAre(15, 75));
  EXPECT_THAT(resized(pixels, {1, 1, 4, 1}, {0, 0, 3, 1}, 2, 1, ResizeFilter::kArea), ElementsAre(10, 50));
  EXPECT_THAT(resized(pixels, {1, 1, 4, 1}, {0, 0, 4, 1}, 2, 1, ResizeFilter::kNearest), ElementsAre(30, 90));
  EXPECT_THAT(resized(pixels, {1, 1, 4, 1}, {1, 0, 2, 1}, 4, 1, ResizeFilter::kNearest),
              ElementsAre(30, 30, 60, 60));
}

TEST(Resizer, DoesNotLetTransparentColoursBleed) {
  // Opaque red beside fully transparent green.
  const std::vector<uint8_t> pixels = {255, 0, 0, 255, 0, 255, 0, 0};
  EXPECT_THAT(resized(pixels, {1, 1, 2, 4}, {0, 0, 2, 1}, 1, 1, ResizeFilter::kBilinear),
              ElementsAre(255, 0, 0, 128));
}

TEST(Resizer, StopsWhenCancelled) {
  std::vector<float> pixels(100 * 100), target(10 * 10);
  const Resizer resizer({1, 100, 100, 1}, {0, 0, 100, 100}, 10, 10, ResizeFilter::kArea);
  std::vector<float> scratch(resizer.scratch_values());
  int asked = 0;
  resizer.run(packed_image_view(pixels.data(), WEFT_DTYPE_F32, {1, 100, 100, 1}),
              packed_image_view(target.data(), WEFT_DTYPE_F32, {1, 10, 10, 1}), 0, 0, 10, scratch.data(),
              [&] { return ++asked == 3; });
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace weft
