#include "modalities/structure/structure_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

using ::testing::HasSubstr;

// A residue of chain A without its O, an insertion, an alternative place, water; chain B: selenomethionine and an unknown residue;
// a second model.
constexpr const char* kPdb = R"(HEADER    TEST
MODEL        1
ATOM      1  N   ALA A   5      11.104   6.134  -6.504  1.00  0.00           N
ATOM      2  CA AALA A   5      11.639   6.071  -5.147  0.60  0.00           C
ATOM      3  CA BALA A   5      19.639   6.071  -5.147  0.40  0.00           C
ATOM      4  C   ALA A   5      12.000   7.000  -4.000  1.00  0.00           C
ATOM      5  CB  ALA A   5      13.000   7.000  -4.000  1.00  0.00           C
ATOM      6  N   GLY A   5A     12.500   7.500  -3.500  1.00  0.00           N
ATOM      7  CA  GLY A   5A     13.500   7.500  -3.500  1.00  0.00           C
ATOM      8  C   GLY A   5A     14.500   7.500  -3.500  1.00  0.00           C
ATOM      9  O   GLY A   5A     15.500   7.500  -3.500  1.00  0.00           O
TER
HETATM   10  N   MSE B   1       1.000   2.000   3.000  1.00  0.00           N
HETATM   11  CA  MSE B   1       2.000   2.000   3.000  1.00  0.00           C
ATOM     12  CA  UNK B   4       3.000   2.000   3.000  1.00  0.00           C
HETATM   13  O   HOH A 101       9.000   9.000   9.000  1.00  0.00           O
HETATM   14 CA    CA B 102       9.000   9.000   9.000  1.00  0.00          CA
ENDMDL
MODEL        2
ATOM      1  N   ALA A   5       0.000   0.000   0.000  1.00  0.00           N
ENDMDL
END
)";

Structure parsed(const std::string& text) {
  Result<Structure> structure = parse_structure(text, "t.pdb");
  EXPECT_TRUE(structure.ok()) << (structure.ok() ? "" : to_string(structure.error()));
  return structure.ok() ? *std::move(structure) : Structure();
}

void expect_equal(const Structure& got, const Structure& want) {
  ASSERT_EQ(got.chains.size(), want.chains.size());
  for (size_t c = 0; c < got.chains.size(); ++c) {
    EXPECT_EQ(got.chains[c].name, want.chains[c].name);
    ASSERT_EQ(got.chains[c].residues.size(), want.chains[c].residues.size());
    for (size_t r = 0; r < got.chains[c].residues.size(); ++r) {
      const Residue &a = got.chains[c].residues[r], &b = want.chains[c].residues[r];
      EXPECT_EQ(a.letter, b.letter);
      EXPECT_EQ(a.label(), b.label());
      for (size_t atom = 0; atom < kBackboneAtoms; ++atom) {
        ASSERT_EQ(a.has(atom), b.has(atom));
        for (size_t i = 0; i < 3 && a.has(atom); ++i) EXPECT_NEAR(a.atoms[atom][i], b.atoms[atom][i], 5e-4);
      }
    }
  }
}

TEST(StructureFile, ReadsTheBackboneOfProteins) {
  const Structure structure = parsed(kPdb);
  EXPECT_EQ(structure.name, "t");
  ASSERT_EQ(structure.chains.size(), 2u);
  EXPECT_EQ(sequence_of(structure.chains[0]), "AG");
  EXPECT_EQ(sequence_of(structure.chains[1]), "MX");
  const Residue& first = structure.chains[0].residues[0];
  EXPECT_FLOAT_EQ(first.atoms[kAtomN][2], -6.504F);
  EXPECT_FLOAT_EQ(first.atoms[kAtomCA][0], 11.639F) << "the first alternative";
  EXPECT_FALSE(first.has(kAtomO));
  EXPECT_EQ(structure.chains[0].residues[1].label(), "5A");
  EXPECT_TRUE(structure.chains[0].residues[1].has(kAtomO));
  EXPECT_EQ(structure.chains[1].residues[1].number, 4);
  EXPECT_EQ(structure.residue_count(), 4u);
  EXPECT_EQ(structure.find("C"), nullptr);
}

TEST(StructureFile, ComesBackFromPdbAndMmcif) {
  const Structure structure = parsed(kPdb);
  const Result<std::string> pdb = to_pdb(structure);
  ASSERT_TRUE(pdb.ok()) << to_string(pdb.error());
  EXPECT_THAT(*pdb, HasSubstr("ATOM      4  N   GLY A   5A     12.500   7.500  -3.500"));
  expect_equal(parsed(*pdb), structure);
  const std::string cif = to_mmcif(structure);
  expect_equal(parsed(cif), structure);
}

TEST(StructureFile, RefusesWhatHoldsNoProtein) {
  for (const char* text : {"", "END\n", "hello\n",
                           "HETATM   13  O   HOH A 101       9.000   9.000   9.000  1.00  0.00           O\n",
                           "data_x\n_cell.length_a 1\n"}) {
    const Result<Structure> structure = parse_structure(text, "t.pdb");
    ASSERT_FALSE(structure.ok()) << text;
    EXPECT_EQ(structure.code(), StatusCode::kUnsupported) << text;
    EXPECT_THAT(structure.error().where, HasSubstr("t.pdb"));
  }
}

TEST(StructureFile, PassesOverBondsThatEndEarly) {
  // Where its length, columns 74 to 78, would begin.
  std::string bond = "LINK         SG  CYS A   5                 SG  CYS A   6     1555   1555";
  bond.resize(73, ' ');
  bond += '\n';
  expect_equal(parsed(bond + kPdb), parsed(kPdb));
  expect_equal(parsed(std::string(130, '\x89') + '\n' + bond + kPdb), parsed(kPdb));
}

TEST(StructureFile, NamesFileAndLineOfBrokenFiles) {
  const std::string cut = std::string(kPdb, 120);
  const Result<Structure> short_line = parse_structure(cut, "t.pdb");
  ASSERT_FALSE(short_line.ok());
  EXPECT_EQ(short_line.code(), StatusCode::kCorruptData) << to_string(short_line.error());
  const Result<Structure> open_loop =
      parse_structure("data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1\n", "t.cif");
  ASSERT_FALSE(open_loop.ok());
  EXPECT_THAT(open_loop.error().message, HasSubstr("t.cif:")) << to_string(open_loop.error());
}

TEST(StructureFile, NamesChainAndResidueOfAPlaceThatIsNoNumber) {
  std::string cif = to_mmcif(parsed(kPdb));
  const size_t at = cif.find("13.500");
  ASSERT_NE(at, std::string::npos);
  cif.replace(at, 6, "1.5e30");
  const Result<Structure> far = parse_structure(cif, "t.cif");
  ASSERT_FALSE(far.ok());
  EXPECT_THAT(far.error().where, HasSubstr("t.cif, chain 'A', residue GLY 5A"));
  EXPECT_THAT(far.error().message, HasSubstr("CA"));
}

TEST(StructureFile, SaysWhatPdbHasNoRoomFor) {
  Structure structure = parsed(kPdb);
  structure.chains[0].name = "AA";
  EXPECT_EQ(to_pdb(structure).code(), StatusCode::kUnsupported);
  expect_equal(parsed(to_mmcif(structure)), structure);
  structure.chains[0].name = "A";
  structure.chains[0].residues[0].number = 10000;
  const Result<std::string> pdb = to_pdb(structure);
  ASSERT_FALSE(pdb.ok());
  EXPECT_THAT(pdb.error().where, HasSubstr("residue 10000"));
  EXPECT_THAT(pdb.error().hint, HasSubstr("mmCIF"));
}

}  // namespace
}  // namespace weft
