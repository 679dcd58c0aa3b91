#include "modalities/structure/structure_value.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(StructureValue, AttributesSayAllButThePlaces) {
  Structure structure{.name = "1abc \"x\"", .chains = {{"A", {}}, {"B 2", {}}}};
  for (const char letter : {'M', 'X', 'K'}) {
    Residue residue;
    residue.letter = letter;
    residue.number = letter - 'N';
    residue.insertion = letter == 'K' ? 'B' : ' ';
    structure.chains[1].residues.push_back(residue);
  }
  const std::string json = structure_attributes(structure);
  const Result<Structure> again = structure_from_attributes(json);
  ASSERT_TRUE(again.ok()) << to_string(again.error());
  EXPECT_EQ(structure_attributes(*again), json);
  EXPECT_EQ(again->name, structure.name);
  EXPECT_EQ(again->chains[1].residues[2].label(), "-3B");
  EXPECT_FALSE(again->chains[1].residues[0].has(kAtomN));
}

TEST(StructureValue, RefusesAttributesThatAreNone) {
  for (const char* json :
       {"", "[]", "{}", R"({"name": 1, "chains": []})", R"({"name": "x", "chains": [{"name": "A"}]})",
        R"({"name": "x", "chains": [{"name": "A", "sequence": "MK", "numbers": [1], "insertions": "  "}]})",
        R"({"name": "x", "chains": [{"name": "A", "sequence": "m", "numbers": [1], "insertions": " "}]})",
        R"({"name": "x", "chains": [{"name": "A", "sequence": "M", "numbers": ["1"], "insertions": " "}]})"})
    EXPECT_EQ(structure_from_attributes(json).code(), StatusCode::kInvalidArgument) << json;
}

}  // namespace
}  // namespace weft
