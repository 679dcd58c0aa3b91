#include "modalities/structure/sequence_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Fasta, ReadsNamesAndLetters) {
  const auto read = parse_fasta("; a remark\n>one  first\r\nACD ef\r\n\nGH*\n>two\nA-K/LM\n", "t.fa");
  ASSERT_TRUE(read.ok()) << to_string(read.error());
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].name, "one  first");
  EXPECT_EQ((*read)[0].letters, "ACDEFGH");
  EXPECT_EQ((*read)[1].letters, "A-K/LM");
}

TEST(Fasta, ComesBackAsItWasWritten) {
  const std::vector<NamedSequence> sequences = {{"long", std::string(81, 'A')}, {"short", "CD"}};
  const std::string text = to_fasta(sequences);
  EXPECT_EQ(text, ">long\n" + std::string(80, 'A') + "\nA\n>short\nCD\n");
  const auto read = parse_fasta(text, "t.fa");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ((*read)[0].letters, sequences[0].letters);
}

TEST(Fasta, RefusesWhatIsNoneAndNamesTheLine) {
  for (const auto& [text, place] :
       {std::pair{"", "line 1"}, std::pair{"\nACD\n", "line 2"}, std::pair{">a\nAC\nA1C\n", "line 3"},
        std::pair{">a\nA\xc3\xa9\n", "line 2"}, std::pair{">empty\n>b\nAC\n", "'empty'"}}) {
    const auto read = parse_fasta(text, "t.fa");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.code(), StatusCode::kCorruptData);
    EXPECT_THAT(read.error().where, HasSubstr(place));
  }
}

TEST(A3m, TellsColumnsFromInsertions) {
  const auto rows = parse_a3m(">query\nACDE\n>hit\nAkl-Dq\nE\n", "t.a3m");
  ASSERT_TRUE(rows.ok()) << to_string(rows.error());
  EXPECT_EQ((*rows)[1].letters, "Akl-DqE");
  EXPECT_EQ(aligned_columns((*rows)[1].letters), "A-DE");
  EXPECT_THAT(insertions_before((*rows)[1].letters), ElementsAre(0, 2, 0, 1));
  EXPECT_EQ(to_a3m(*rows), ">query\nACDE\n>hit\nAkl-DqE\n");
}

TEST(A3m, RefusesRowsOfAnotherWidthAndPartedChains) {
  const auto rows = parse_a3m(">query\nACDE\n>hit\nACD\n", "t.a3m");
  ASSERT_FALSE(rows.ok());
  EXPECT_THAT(rows.error().where, HasSubstr("'hit'"));
  EXPECT_EQ(rows.error().expected, "4");
  EXPECT_FALSE(parse_a3m(">query\nAC/DE\n", "t.a3m").ok());
}

}  // namespace
}  // namespace weft
