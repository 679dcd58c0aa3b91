#include "plugins/science/residue_selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/testing/demand.h"
#include "plugins/science/testing/small_structures.h"

namespace weft::science {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::weft::testing::take;

// Chain A: residues -1, 0, 1, 1A, gap, 3; chain BB: 10 to 12.
class ResidueSelection : public ::testing::Test {
 protected:
  const BackbonePositions positions = take(BackbonePositions::make(testing::two_chains(), false));
};

TEST_F(ResidueSelection, NamesChainsResiduesAndRanges) {
  EXPECT_THAT(take(select_residues(positions, "BB")), ElementsAre(6, 7, 8));
  EXPECT_THAT(take(select_residues(positions, "A:-1")), ElementsAre(0));
  EXPECT_THAT(take(select_residues(positions, " A:1A ")), ElementsAre(3));
  EXPECT_THAT(take(select_residues(positions, "A:-1-1")), ElementsAre(0, 1, 2));
  EXPECT_THAT(take(select_residues(positions, "A:1A-3")), ElementsAre(3, 4, 5)) << "the gap is one of them";
}

TEST_F(ResidueSelection, SaysWhatIsNotThere) {
  for (const auto& [text, expected] :
       {std::pair{"C", "A, BB"}, std::pair{"C:1", "A, BB"}, std::pair{"A:7", "A:-1 to A:3"},
        std::pair{"BB:12-13", "BB:10 to BB:12"}, std::pair{"A:", "A:12-20"}, std::pair{"A:x", "A:12-20"},
        std::pair{"A:1-", "A:12-20"}, std::pair{"A:1A5", "A:12-20"}, std::pair{"A:1-0", "A:12-20"},
        std::pair{"", "A, BB"}}) {
    const Result<std::vector<int32_t>> selected = select_residues(positions, text);
    ASSERT_FALSE(selected.ok()) << text;
    EXPECT_EQ(selected.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(selected.error().expected, HasSubstr(expected)) << text;
  }
}

TEST_F(ResidueSelection, TiesPartsOfOneLength) {
  EXPECT_THAT(take(select_tied(positions, "A:-1-1 = BB")),
              ElementsAre(ElementsAre(0, 6), ElementsAre(1, 7), ElementsAre(2, 8)));
  EXPECT_FALSE(select_tied(positions, "A = BB").ok());
  EXPECT_FALSE(select_tied(positions, "BB").ok());
  EXPECT_FALSE(select_tied(positions, "BB = ").ok());
}

TEST_F(ResidueSelection, ReadsLettersBehindResidues) {
  const ResiduesAndLetters here = take(select_letters(positions, "BB:10-11 AY"));
  EXPECT_THAT(here.positions, ElementsAre(6, 7));
  EXPECT_THAT(here.tokens, ElementsAre(0, 19));
  for (const char* text : {"BB:10", "BB:10 a", "BB:10 B", ""})
    EXPECT_FALSE(select_letters(positions, text).ok()) << text;
}

}  // namespace
}  // namespace weft::science
