#include "modalities/image/text_lines.h"

#include <gmock/gmock.h>

namespace weft {
namespace {

using ::testing::ElementsAre;

// Ten pixels a character, twenty where it is not ASCII.
std::vector<std::string> lines(std::string_view text, int64_t width, int64_t max_lines = 9) {
  TextLayout layout;
  layout.width = width;
  layout.margin = 0;
  layout.max_lines = max_lines;
  return break_lines(text, layout, [](std::string_view part) {
    int64_t pixels = 0;
    for (const char byte : part) {
      const auto lead = static_cast<uint8_t>(byte);
      if ((lead & 0xC0) != 0x80) pixels += lead < 0x80 ? 10 : 20;
    }
    return pixels;
  });
}

TEST(TextLines, BreakBetweenWords) {
  EXPECT_THAT(lines("one two  three", 80), ElementsAre("one two", "three"));
  EXPECT_THAT(lines("a\nb\n\nc", 80), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(lines("abcdefgh", 30), ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(lines("", 80), ElementsAre());
}

TEST(TextLines, BreakBetweenChineseCharactersButNotBeforeClosingMarks) {
  EXPECT_THAT(lines("红色的苹果在树上", 60), ElementsAre("红色的", "苹果在", "树上"));
  EXPECT_THAT(lines("红色的。苹果", 60), ElementsAre("红色", "的。苹", "果"));
  EXPECT_THAT(lines("红色「苹果」", 60), ElementsAre("红色", "「苹", "果」"));
  EXPECT_THAT(lines("ab苹果 cd", 60), ElementsAre("ab苹果", "cd"));
}

TEST(TextLines, KeepWhatPeopleSeeAsOneCharacter) {
  EXPECT_THAT(lines("e\u0301e\u0301", 30), ElementsAre("e\u0301", "e\u0301"));
}

TEST(TextLines, CutWhatIsTooLong) {
  EXPECT_THAT(lines("one two three", 60, 1), ElementsAre("one..."));
  EXPECT_THAT(lines("红色的苹果", 70, 1), ElementsAre("红色..."));
  EXPECT_THAT(lines(std::string(100'000, 'w'), 100, 2), ElementsAre("wwwwwwwwww", "wwwwwww..."));
}

}  // namespace
}  // namespace weft
