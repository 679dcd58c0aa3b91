#include "modalities/image/fonts/font_text.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace weft {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TextLayout layout(int64_t width, int64_t max_lines = 3) {
  TextLayout layout;
  layout.width = width;
  layout.max_lines = max_lines;
  return layout;
}

Result<TextMask> draw(std::string_view text, const TextLayout& layout) {
  const Result<std::vector<FontFile>> fonts = find_fonts(text);
  if (!fonts.ok()) return fonts.status();
  return draw_text(text, layout, *fonts);
}

std::string error_of(std::string_view text) {
  const Result<TextMask> mask = draw(text, layout(200));
  return mask.ok() ? "no error" : to_string(mask.error());
}

bool has_ink(const TextMask& mask, int64_t top, int64_t bottom) {
  return std::any_of(mask.coverage.begin() + top * mask.width, mask.coverage.begin() + bottom * mask.width,
                     [](uint8_t value) { return value > 128; });
}

// The fonts of the packages of group "test" have these characters; another machine may have none.
bool has_chinese() { return draw("苹果", layout(200)).ok(); }

TEST(FontText, DrawsAccentsAndChineseWithinItsMargin) {
  if (!has_chinese())
    GTEST_SKIP() << "skipped: no font with Chinese characters (Debian: fonts-droid-fallback)";
  const Result<TextMask> mask = draw("Crème brûlée, ÉTÉ, 苹果", layout(400));
  ASSERT_TRUE(mask.ok()) << to_string(mask.error());
  EXPECT_EQ(mask->height, font_text_height(layout(0), 1));
  EXPECT_TRUE(has_ink(*mask, 10, 24));
  EXPECT_FALSE(has_ink(*mask, 0, 2));
  EXPECT_FALSE(has_ink(*mask, mask->height - 2, mask->height));
  EXPECT_EQ(draw("Crème brûlée, ÉTÉ, 苹果", layout(400))->coverage, mask->coverage);
  EXPECT_NE(draw("Crème brûlée, ÉTÉ, 果苹", layout(400))->coverage, mask->coverage);
}

TEST(FontText, BreaksChineseBetweenCharacters) {
  if (!has_chinese())
    GTEST_SKIP() << "skipped: no font with Chinese characters (Debian: fonts-droid-fallback)";
  const Result<TextMask> mask = draw("一二三四五六七八九十", layout(120, 9));
  ASSERT_TRUE(mask.ok());
  EXPECT_EQ(mask->height, font_text_height(layout(0), 2));
}

TEST(FontText, DrawsACapitalAsHighAsItsLayoutSays) {
  TextLayout large = layout(400);
  large.size = 100;
  const Result<TextMask> mask = draw("H", large);
  ASSERT_TRUE(mask.ok());
  int64_t first = 0, last = mask->height - 1;
  while (!has_ink(*mask, first, first + 1)) ++first;
  while (!has_ink(*mask, last, last + 1)) --last;
  EXPECT_NEAR(last - first + 1, 100, 2);
}

TEST(FontText, TakesOneCharacterInTwoPartsForTheSame) {
  EXPECT_EQ(draw("caf\u00e9", layout(200))->coverage, draw("cafe\u0301", layout(200))->coverage);
}

TEST(FontText, NamesACharacterThatNoFontHas) {
  const std::string error = error_of("red \uE123");
  EXPECT_THAT(error, HasSubstr("U+E123"));
  EXPECT_THAT(error, HasSubstr("offset 4"));
}

TEST(FontText, RefusesWhatItCannotLayOut) {
  EXPECT_THAT(error_of("שלום"), HasSubstr("right to left"));
  EXPECT_THAT(error_of("a\x01"), HasSubstr("control character"));
  EXPECT_THAT(error_of("a\xFF"), HasSubstr("no UTF-8"));
  EXPECT_EQ(draw("", layout(100))->height, 0);
}

TEST(FontText, RefusesWhatIsNoFont) {
  const Result<std::vector<FontFile>> fonts = find_fonts("a");
  ASSERT_TRUE(fonts.ok()) << to_string(fonts.error());
  std::ifstream file((*fonts)[0].path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  const fs::path path = fs::temp_directory_path() / "weft-font-text-test.ttf";
  for (const size_t size : {size_t{0}, size_t{11}, size_t{300}, whole.size() / 50, whole.size() / 2}) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    const Result<TextMask> mask = draw_text("abc", layout(100), std::vector<FontFile>{{path.string()}});
    if (size < 1000) {
      EXPECT_EQ(mask.code(), StatusCode::kCorruptData) << size;
    } else if (!mask.ok()) {
      EXPECT_FALSE(mask.error().message.empty());
    }
  }
  fs::remove(path);
  EXPECT_EQ(draw_text("abc", layout(100), std::vector<FontFile>{{path.string()}}).code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace weft
