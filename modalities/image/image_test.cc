#include "modalities/image/image.h"

#include <gtest/gtest.h>
#include <weft/sdk/value.h>

#include <cmath>
#include <vector>

#include "modalities/image/rows.h"

namespace weft {
namespace {

weft_tensor tensor(weft_dtype dtype, std::vector<int64_t> shape) {
  static float memory[4096];
  return sdk::contiguous_tensor(memory, dtype, shape);
}

TEST(ImageView, TakesGrayColourAndAlphaInBytesAndFloats) {
  for (const int64_t channels : {1, 3, 4}) {
    for (const weft_dtype dtype : {WEFT_DTYPE_U8, WEFT_DTYPE_F32}) {
      const Result<ImageView> view = image_view(tensor(dtype, {2, 3, 5, channels}));
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->shape, (ImageShape{2, 3, 5, channels}));
      const int64_t element = dtype == WEFT_DTYPE_U8 ? 1 : 4;
      EXPECT_EQ(view->row_bytes, 5 * channels * element);
      EXPECT_EQ(view->row<uint8_t>(1, 2) - view->row<uint8_t>(0, 0), (3 + 2) * 5 * channels * element);
    }
  }
}

TEST(ImageView, RefusesWhatIsNoPicture) {
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_U8, {3, 5, 3})).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_U8, {1, 3, 5, 2})).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_U8, {1, 0, 5, 3})).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_U8, {0, 3, 5, 3})).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_U8, {1, 3, 70000, 3})).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(image_view(tensor(WEFT_DTYPE_F16, {1, 3, 5, 3})).code(), StatusCode::kUnsupported);
}

TEST(ImageView, TakesGapsBetweenRowsAndRefusesThemBetweenPixels) {
  weft_tensor part = tensor(WEFT_DTYPE_U8, {1, 4, 8, 3});
  part.shape[2] = 5;  // a part of each row
  ASSERT_TRUE(image_view(part).ok());
  EXPECT_EQ(image_view(part)->row_bytes, 24);
  part.strides[2] = 6;
  EXPECT_EQ(image_view(part).code(), StatusCode::kUnsupported);
}

TEST(ImageAttributes, NameTheColourSpace) {
  EXPECT_EQ(*color_space_of(""), ColorSpace::kSrgb);
  EXPECT_EQ(*color_space_of("{\"scale\":2}"), ColorSpace::kSrgb);
  for (const ColorSpace space : {ColorSpace::kSrgb, ColorSpace::kLinear}) {
    EXPECT_EQ(*color_space_of(image_attributes(space)), space);
  }
  EXPECT_EQ(color_space_of("{\"color_space\": \"xyz\"}").code(), StatusCode::kUnsupported);
  EXPECT_EQ(color_space_of("{\"color_space\"").code(), StatusCode::kUnsupported);
}

TEST(ParseColor, ReadsHexadecimalAndNames) {
  EXPECT_EQ(*parse_color("#fff"), (Rgba{1, 1, 1, 1}));
  EXPECT_EQ(*parse_color("#FF0000"), (Rgba{1, 0, 0, 1}));
  EXPECT_EQ(*parse_color("#0000ff33"), (Rgba{0, 0, 1, 0.2f}));
  EXPECT_EQ(*parse_color("transparent"), (Rgba{0, 0, 0, 0}));
  for (const char* wrong : {"", "#", "#12345", "#gggggg", "whit", "#1234567"}) {
    EXPECT_EQ(parse_color(wrong).code(), StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(Rows, BytesSurviveTheWayToFloatsAndBack) {
  std::vector<uint8_t> bytes(256), again(256);
  for (int i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(i);
  std::vector<float> values(256);
  read_row(packed_image_view(bytes.data(), WEFT_DTYPE_U8, {1, 1, 256, 1}), 0, 0, values.data());
  write_row(packed_image_view(again.data(), WEFT_DTYPE_U8, {1, 1, 256, 1}), 0, 0, values.data());
  EXPECT_EQ(bytes, again);
}

TEST(Rows, LimitWhatDoesNotFitAByte) {
  EXPECT_EQ(to_byte(-1e30f), 0);
  EXPECT_EQ(to_byte(1e30f), 255);
  EXPECT_EQ(to_byte(INFINITY), 255);
  EXPECT_EQ(to_byte(NAN), 0);
}

TEST(Rows, ConvertBetweenGrayColourAndAlpha) {
  const float colour[] = {1, 0, 0, 0.25f};
  float gray = 0, rgb[3], rgba[4];
  convert_channels(colour, 4, &gray, 1, 1);
  EXPECT_FLOAT_EQ(gray, 0.299f);
  convert_channels(&gray, 1, rgb, 3, 1);
  EXPECT_FLOAT_EQ(rgb[2], 0.299f);
  convert_channels(colour, 3, rgba, 4, 1);
  EXPECT_FLOAT_EQ(rgba[3], 1);
}

}  // namespace
}  // namespace weft
