#include "pipeline/cli/terminal.h"

#include <gtest/gtest.h>

namespace weft::cli {
namespace {

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("caf\u00e9"), 4u);
  EXPECT_EQ(display_width("\u4f60\u597d"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\xff\xfe"), 2u);
}

TEST(ClipToWidth, NeverCutsACharacter) {
  EXPECT_EQ(clip_to_width("\u4f60\u597d", 3), "\u4f60");
  EXPECT_EQ(clip_to_width("abc", 0), "");
  EXPECT_EQ(clip_to_width("abc", 9), "abc");
  EXPECT_EQ(clip_front_to_width("abc", 2), "bc");
  EXPECT_EQ(clip_front_to_width("\u4f60\u597d", 3), "\u597d");
  EXPECT_EQ(clip_front_to_width("abc", 0), "");
  EXPECT_EQ(clip_front_to_width("abc", 9), "abc");
}

TEST(Wrap, BreaksAtBlanksAndIndents) {
  EXPECT_EQ(wrap("one two three", 8, 2), "one two\n  three");
  EXPECT_EQ(wrap("a", 1, 2), "a");
  EXPECT_EQ(wrap("unbreakable words", 5, 1), "unbreakable\n words");
  EXPECT_EQ(wrap("kept\nline feeds", 80, 2), "kept\n  line feeds");
  EXPECT_EQ(wrap("", 80, 2), "");
}

TEST(WithoutControls, ShowsWhatWouldDriveATerminal) {
  EXPECT_EQ(without_controls("a\x1b[2Jb"), "a^[[2Jb");
  EXPECT_EQ(without_controls("a\x7f"), "a^?");
  EXPECT_EQ(without_controls("\xc2\x9b"
                             "2J"),
            "\\x9b2J");
  EXPECT_EQ(without_controls("line\n\ttab \u00e9"), "line\n\ttab \u00e9");
}

}  // namespace
}  // namespace weft::cli
