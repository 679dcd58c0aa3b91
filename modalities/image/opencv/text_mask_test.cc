#include "modalities/image/opencv/text_mask.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace weft {
namespace {

TextLayout layout(int64_t width, int64_t max_lines = 3) {
  TextLayout layout;
  layout.width = width;
  layout.max_lines = max_lines;
  return layout;
}

bool has_ink(const TextMask& mask, int64_t top, int64_t bottom) {
  return std::any_of(mask.coverage.begin() + top * mask.width, mask.coverage.begin() + bottom * mask.width,
                     [](uint8_t value) { return value > 128; });
}

TEST(TextMask, DrawsLettersWithinItsMargin) {
  const Result<TextMask> mask = make_text_mask("Hag", layout(200));
  ASSERT_TRUE(mask.ok());
  EXPECT_EQ(mask->height, text_mask_height(layout(200), 1));
  EXPECT_TRUE(has_ink(*mask, 6, 20));
  EXPECT_FALSE(has_ink(*mask, 0, 4));
  EXPECT_FALSE(has_ink(*mask, mask->height - 2, mask->height));
}

TEST(TextMask, BreaksLinesBetweenWords) {
  EXPECT_EQ(make_text_mask("one two three", layout(500))->height, text_mask_height(layout(0), 1));
  EXPECT_EQ(make_text_mask("one two three", layout(110))->height, text_mask_height(layout(0), 2));
  EXPECT_EQ(make_text_mask("a\nb\n\nc", layout(500, 9))->height, text_mask_height(layout(0), 4));
}

TEST(TextMask, CutsWhatIsTooLong) {
  const std::string word(5000, 'w');
  EXPECT_EQ(make_text_mask(word, layout(100, 2))->height, text_mask_height(layout(0), 2));
  EXPECT_EQ(make_text_mask("abc", layout(1))->height, text_mask_height(layout(0), 3));
  EXPECT_EQ(make_text_mask("", layout(100))->height, 0);
}

TEST(TextMask, RefusesCharactersThatTheFontDoesNotHave) {
  const Result<TextMask> mask = make_text_mask("red 苹果", layout(100));
  ASSERT_EQ(mask.code(), StatusCode::kUnsupported);
  EXPECT_THAT(mask.error().got, ::testing::HasSubstr("offset 4"));
}

}  // namespace
}  // namespace weft
