#include "plugins/science/backbone_positions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/testing/demand.h"
#include "plugins/science/testing/small_structures.h"

namespace weft::science {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::two_chains;
using testing::whole_residue;
using ::weft::testing::take;

TEST(BackbonePositions, HasOneForEachNumberOfAChain) {
  const BackbonePositions positions = take(BackbonePositions::make(two_chains(), false));
  EXPECT_EQ(positions.text_of(positions.tokens().data()), "MKVLXG/ACD");
  EXPECT_THAT(positions.present(), ElementsAre(1, 1, 1, 1, 0, 1, 1, 1, 1));
  EXPECT_EQ(positions.label(3), "A:1A");
  EXPECT_EQ(positions.label(4), "A:2") << "the gap";
  EXPECT_EQ(positions.find(positions.chains()[1], 11, ' '), 7);
  EXPECT_EQ(positions.find(positions.chains()[1], 1, ' '), -1);
  const Backbone backbone = positions.backbone();
  EXPECT_EQ(backbone.count, 9);
  EXPECT_EQ(backbone.atoms[4 * 12], 0) << "nothing lies in the gap";
  EXPECT_EQ(backbone.residue_index[5] - backbone.residue_index[0], 5);
  EXPECT_NE(backbone.chain[5], backbone.chain[6]);
}

TEST(BackbonePositions, SortsByNumberAndInsertion) {
  Structure structure = two_chains();
  std::swap(structure.chains[0].residues[0], structure.chains[0].residues[3]);
  const BackbonePositions positions = take(BackbonePositions::make(structure, false));
  EXPECT_EQ(positions.text_of(positions.tokens().data()), "MKVLXG/ACD");
}

TEST(BackbonePositions, KnowsWhichResiduesLackAtoms) {
  Structure structure = two_chains();
  for (float& coordinate : structure.chains[1].residues[0].atoms[kAtomO]) coordinate = NAN;
  EXPECT_THAT(take(BackbonePositions::make(structure, false)).present(),
              ElementsAre(1, 1, 1, 1, 0, 1, 0, 1, 1));
  EXPECT_THAT(take(BackbonePositions::make(structure, true)).present(),
              ElementsAre(1, 1, 1, 1, 0, 1, 1, 1, 1));
}

TEST(BackbonePositions, NamesTheResidueOfAStructureWithoutABackbone) {
  Structure structure;
  structure.name = "trace";
  structure.chains = {{"A", {whole_residue('M', 7), whole_residue('K', 8)}}};
  for (Residue& residue : structure.chains[0].residues)
    for (const size_t atom : {kAtomN, kAtomC, kAtomO})
      for (float& coordinate : residue.atoms[atom]) coordinate = NAN;
  const Result<BackbonePositions> positions = BackbonePositions::make(structure, false);
  ASSERT_FALSE(positions.ok());
  EXPECT_THAT(positions.error().where, HasSubstr("'trace'"));
  EXPECT_EQ(positions.error().got, "chain 'A', residue 7 without N, C, O");
  EXPECT_TRUE(BackbonePositions::make(structure, true).ok());
  EXPECT_FALSE(BackbonePositions::make(Structure(), true).ok());
}

TEST(BackbonePositions, RefusesGapsThatNoProteinHas) {
  Structure structure = two_chains();
  structure.chains[0].residues[4].number = 2'000'000'000;
  const Result<BackbonePositions> positions = BackbonePositions::make(structure, false);
  ASSERT_FALSE(positions.ok());
  EXPECT_EQ(positions.code(), StatusCode::kUnsupported);
  EXPECT_THAT(positions.error().where, HasSubstr("chain 'A', residue 2000000000"));
}

TEST(BackbonePositions, ReadsSequencesOfItsChains) {
  const BackbonePositions positions = take(BackbonePositions::make(two_chains(), false));
  EXPECT_EQ(take(positions.tokens_of("MKVLXG/ACD")), positions.tokens());
  EXPECT_EQ(take(positions.tokens_of("MKVL-G/ACD")), positions.tokens());
  for (const auto& [text, part] :
       {std::pair{"MKVLXG", "2 chains"}, std::pair{"MKVLXG/ACD/A", "2 chains"},
        std::pair{"MKVLG/ACD", "6 letters"}, std::pair{"MKVLXG/ACB", "ACDEF"}, std::pair{"", "2 chains"}}) {
    const Result<std::vector<int32_t>> tokens = positions.tokens_of(text);
    ASSERT_FALSE(tokens.ok()) << text;
    EXPECT_THAT(tokens.error().expected, HasSubstr(part)) << text;
  }
  EXPECT_EQ(positions.tokens_of("MKVLXG/ACB").error().where, "BB:12");
}

}  // namespace
}  // namespace weft::science
