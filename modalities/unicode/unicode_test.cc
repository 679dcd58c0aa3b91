#include <gtest/gtest.h>
#include <utf8proc.h>

#include "modalities/unicode/char_class.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

TEST(Utf8, StepsOverEveryCodePoint) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Step step = utf8_step(text);
    ASSERT_EQ(step.state, Utf8::kValid) << std::hex << static_cast<uint32_t>(c);
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.size, text.size());
    for (size_t size = 1; size < text.size(); ++size) {
      const Utf8Step cut = utf8_step(std::string_view(text).substr(0, size));
      ASSERT_EQ(cut.state, Utf8::kIncomplete);
      ASSERT_EQ(cut.size, size);
    }
  }
}

TEST(Utf8, RefusesWhatIsNotACharacter) {
  const struct {
    std::string_view text;
    int size;  // of the maximal part: Unicode 15, table 3-8
  } cases[] = {{"\x80", 1},
               {"\xC0\x80", 1},
               {"\xC1\xBF", 1},
               {"\xE0\x80\x80", 1},
               {"\xED\xA0\x80", 1},
               {"\xF0\x80\x80\x80", 1},
               {"\xF4\x90\x80\x80", 1},
               {"\xF5\x80", 1},
               {"\xFF", 1},
               {"\xC3(", 1},
               {"\xE2\x82(", 2},
               {"\xF0\x9F\x98(", 3}};
  for (const auto& c : cases) {
    EXPECT_EQ(utf8_step(c.text).state, Utf8::kInvalid) << c.text;
    EXPECT_EQ(utf8_step(c.text).size, c.size) << c.text;
    EXPECT_FALSE(is_utf8(c.text));
  }
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("aß€😀"));
}

TEST(CharClass, AsciiTableAgreesWithUnicodeData) {
  for (char32_t c = 0; c < 128; ++c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    const CharClass bits = char_class(c);
    EXPECT_EQ((bits & kLetter) != 0, category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        << +c;
    EXPECT_EQ((bits & kNumber) != 0, category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        << +c;
    EXPECT_EQ((bits & kPunctuation) != 0,
              category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO)
        << +c;
    EXPECT_EQ((bits & kSpace) != 0, c == ' ' || (c >= 9 && c <= 13)) << +c;
  }
}

TEST(CharClass, KnowsCharactersBeyondAscii) {
  EXPECT_EQ(char_class(U'é'), kLowerLetter);
  EXPECT_EQ(char_class(U'中'), kOtherLetter);
  EXPECT_EQ(char_class(U'ʰ'), kModifierLetter);
  EXPECT_EQ(char_class(U'ǅ'), kTitleLetter);
  EXPECT_EQ(char_class(0x301), kMark);
  EXPECT_EQ(char_class(U'²'), kNumber);
  EXPECT_EQ(char_class(U'Ⅷ'), kNumber);
  EXPECT_EQ(char_class(U'…'), kPunctuation);
  EXPECT_EQ(char_class(0xA0) & kSpace, kSpace);
  EXPECT_EQ(char_class(0x85) & kSpace, kSpace);
  EXPECT_EQ(char_class(0x200B), 0);  // the zero width space is no white space
  EXPECT_EQ(char_class(U'😀'), 0);
  EXPECT_EQ(char_class(0x10FFFF), 0);
}

}  // namespace
}  // namespace weft
