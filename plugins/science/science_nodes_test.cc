// The nodes on a reduced random model: what they promise on any model, and what they say where something does not fit.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/networks/protein_mpnn/testing/reduced_file.h"
#include "modalities/structure/structure_file.h"
#include "plugins/science/design_node.h"
#include "plugins/science/score_node.h"
#include "plugins/science/structure_nodes.h"
#include "plugins/science/testing/small_structures.h"
#include "plugins/testing/node_test.h"

namespace weft::science {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using Parameters = std::map<std::string, std::string>;

class ScienceNodes : public weft::testing::NodeTest {
 protected:
  ScienceNodes() : folder_(weft::testing::fresh_folder("science_nodes")) {
    model_ = load_model<ProteinMpnnModel>(weft::testing::ReducedFile().save("science_nodes_model"));
    models_.clear();  // only some nodes have one
    in_folder_ = out_folder_ = folder_;
    write("two.cif", to_mmcif(testing::two_chains()));
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  NodeResult load(const std::string& name) {
    return run(kLoadStructureNode, {}, {{"path", "\"" + name + "\""}});
  }
  Value structure() { return load("two.cif").outputs.at(0); }
  NodeResult on_model(const weft_node_type& type, std::vector<Value> inputs, Parameters parameters) {
    models_["model"] = model_.get();
    NodeResult result = run(type, std::move(inputs), std::move(parameters));
    models_.clear();
    return result;
  }
  NodeResult design(Parameters parameters) {
    parameters.try_emplace("seed", "7");
    return on_model(kDesignSequenceNode, {structure()}, std::move(parameters));
  }
  static std::string text(const Value& value) {
    uint64_t size = 0;
    const auto* data = static_cast<const char*>(value_api()->get_bytes(value.get(), &size, nullptr));
    return {data, static_cast<size_t>(size)};
  }
  static std::vector<std::string> texts(const Value& list) {
    std::vector<std::string> all;
    for (size_t i = 0; i < list.size(); ++i) all.push_back(text(list.item(i)));
    return all;
  }
  static std::vector<double> numbers(const Value& list) {
    std::vector<double> all;
    for (size_t i = 0; i < list.size(); ++i) all.push_back(number(list.item(i)));
    return all;
  }
  std::string error_of(const NodeResult& result) {
    return result.status.ok() ? "" : to_string(result.status.error());
  }

  std::filesystem::path folder_;
  std::unique_ptr<ProteinMpnnModel> model_;
};

TEST_F(ScienceNodes, LoadsAStructureWithItsSequence) {
  const NodeResult result = load("two.cif");
  ASSERT_TRUE(result.status.ok()) << error_of(result);
  EXPECT_EQ(text(result.outputs[1]), "MKVLXG/ACD");
  EXPECT_EQ(number(result.outputs[2]), 8);
}

TEST_F(ScienceNodes, SaysWhyAFileIsNoStructure) {
  write("text.pdb", "hello\n");
  EXPECT_THAT(error_of(load("text.pdb")), HasSubstr("text.pdb"));
  EXPECT_EQ(load("missing.pdb").status.code(), StatusCode::kNotFound);
}

TEST_F(ScienceNodes, SavesAStructureWithAnotherSequence) {
  const NodeResult saved =
      run(kSaveStructureNode, {structure(), *Value::text("AAAAXC/DEF")}, {{"path", "\"new.cif\""}});
  ASSERT_TRUE(saved.status.ok()) << error_of(saved);
  EXPECT_EQ(text(load("new.cif").outputs[1]), "AAAAXC/DEF");
  EXPECT_THAT(
      error_of(run(kSaveStructureNode, {structure(), *Value::text("AAA/DEF")}, {{"path", "\"x.cif\""}})),
      HasSubstr("chain 'A'"));
  EXPECT_THAT(error_of(run(kSaveStructureNode, {structure(), Value()}, {{"path", "\"x.pdb\""}})),
              HasSubstr("chain 'BB'"));
  EXPECT_THAT(error_of(run(kSaveStructureNode, {structure(), Value()}, {{"path", "\"x.txt\""}})),
              HasSubstr(".mmcif"));
}

TEST_F(ScienceNodes, DesignsSequencesThatKeepToTheParameters) {
  const NodeResult result = design({{"n", "20"},
                                    {"temperature", "1.0"},
                                    {"chains", R"(["A", "BB"])"},
                                    {"fixed", R"(["A:0-1"])"},
                                    {"tied", R"(["A:3 = BB:10"])"},
                                    {"omit", "\"XC\""},
                                    {"omit_at", R"(["BB:12 ADEFGHIKLMNPQRSTVW"])"}});
  ASSERT_TRUE(result.status.ok()) << error_of(result);
  const std::vector<std::string> sequences = texts(result.outputs[1]);
  ASSERT_EQ(sequences.size(), 20u);
  for (const std::string& sequence : sequences) {
    ASSERT_EQ(sequence.size(), 10u);
    EXPECT_EQ(sequence.substr(1, 2), "KV") << "fixed";
    EXPECT_EQ(sequence[4], 'X') << "the gap";
    EXPECT_EQ(sequence[5], sequence[7]) << "tied";
    EXPECT_EQ(sequence[9], 'Y') << "all else is omitted there";
    EXPECT_EQ(sequence.find('C'), std::string::npos);
  }
  EXPECT_NE(sequences[0], sequences[1]);
  const std::vector<double> scores = numbers(result.outputs[2]);
  const auto best = static_cast<size_t>(std::min_element(scores.begin(), scores.end()) - scores.begin());
  EXPECT_EQ(text(result.outputs[0]), sequences[best]);
  EXPECT_THAT(scores, Each(::testing::Gt(0)));
  EXPECT_THAT(text(result.outputs[5]), HasSubstr(">structure\nMKVLXG/ACD\n>design_1 score="));
}

TEST_F(ScienceNodes, ASequenceDependsOnItsSeedAndItsIndexAlone) {
  const std::vector<std::string> many = texts(design({{"n", "18"}, {"temperature", "1.0"}}).outputs[1]);
  const std::vector<std::string> few = texts(design({{"n", "2"}, {"temperature", "1.0"}}).outputs[1]);
  EXPECT_EQ(few, std::vector<std::string>(many.begin(), many.begin() + 2));
  EXPECT_NE(texts(design({{"n", "2"}, {"temperature", "1.0"}, {"seed", "8"}}).outputs[1]), few);
}

TEST_F(ScienceNodes, ADesignsScoreIsWhatScoringSays) {
  const NodeResult designs = design({{"n", "3"}});
  const NodeResult scored =
      on_model(kScoreSequenceNode, {structure(), Value(), designs.outputs[1]}, {{"seed", "7"}});
  ASSERT_TRUE(scored.status.ok()) << error_of(scored);
  // The first one is scored in the same order: that of index 0.
  EXPECT_DOUBLE_EQ(numbers(scored.outputs[1])[0], numbers(designs.outputs[2])[0]);
  EXPECT_EQ(number(scored.outputs[0]), numbers(scored.outputs[1])[0]);
  const NodeResult own =
      on_model(kScoreSequenceNode, {structure(), Value(), Value()}, {{"seed", "7"}, {"orders", "3"}});
  const NodeResult named = on_model(kScoreSequenceNode, {structure(), *Value::text("MKVLXG/ACD"), Value()},
                                    {{"seed", "7"}, {"orders", "3"}});
  EXPECT_EQ(number(own.outputs[0]), number(named.outputs[0])) << "without a sequence, the structure's own";
}

TEST_F(ScienceNodes, SaysWhichParameterDoesNotFit) {
  const struct {
    Parameters parameters;
    const char* part;
  } cases[] = {{{{"chains", R"(["C"])"}}, "parameter 'chains'"},
               {{{"fixed", R"(["A:99"])"}}, "parameter 'fixed'"},
               {{{"fixed", R"(["A", "BB"])"}}, "nothing is left to design"},
               {{{"tied", R"(["A = BB"])"}}, "parameter 'tied'"},
               {{{"tied", R"(["A:2 = BB:10"])"}}, "A:2"},
               {{{"omit", "\"abc\""}}, "parameter 'omit'"},
               {{{"omit_at", R"(["A:1"])"}}, "parameter 'omit_at'"},
               {{{"omit", "\"ACDEFGHIKLMNPQRSTVWYX\""}}, "every residue is forbidden"}};
  for (const auto& c : cases) EXPECT_THAT(error_of(design(c.parameters)), HasSubstr(c.part));
  EXPECT_THAT(
      error_of(on_model(kScoreSequenceNode, {structure(), *Value::text("MKV"), Value()}, {{"seed", "1"}})),
      HasSubstr("port 'sequence'"));
}

}  // namespace
}  // namespace weft::science
