// science.embed_protein: AntiBERTy's real weights against its own code (scripts/make_golden/protein_bert.py), where they were
// fetched, and what the node promises and refuses on a reduced random model.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "kernels/networks/testing/golden.h"
#include "modalities/weights/testing/fetched_model.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "plugins/science/embed_protein_node.h"
#include "plugins/testing/node_test.h"

namespace weft::science {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

enum Out : size_t { kEmbedding, kEmbeddings, kPooled, kLogLikelihood, kLogLikelihoods, kByResidue };
constexpr const char* kLetters = "ACDEFGHIKLMNPQRSTVWY";

class EmbedProtein : public weft::testing::NodeTest {
 protected:
  Status open(const fs::path& folder, const char* precision = "f32") {
    Result<std::unique_ptr<ProteinBertModel>> model = open_model<ProteinBertModel>(
        folder.string(), {{"precision", ParameterValue(std::string(precision))}});
    if (!model.ok()) return model.status();
    model_ = *std::move(model);
    models_["model"] = model_.get();
    return model_->load(nullptr);
  }
  /// The model of assets/golden/bert with a vocabulary of residues: X has no token, Z and B have.
  static fs::path reduced(const std::string& name, std::string letters = std::string(kLetters) + "ZB") {
    fs::path folder = weft::testing::fresh_folder("embed_protein_" + name);
    for (const char* file : {"config.json", "model.safetensors"})
      fs::copy(fs::path("assets/golden/bert/bert") / file, folder / file);
    std::ofstream vocabulary(folder / "vocab.txt");
    for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) vocabulary << special << '\n';
    for (const char letter : letters) vocabulary << letter << '\n';
    return folder;
  }

  NodeResult embed(const std::vector<std::string>& sequences, const char* likelihoods = "seen") {
    std::vector<Value> texts;
    std::vector<const weft_value*> handles;
    for (const std::string& sequence : sequences) texts.push_back(*Value::text(sequence));
    for (const Value& value : texts) handles.push_back(value.get());
    weft_value* list = nullptr;
    EXPECT_EQ(value_api()->make_list(handles.data(), handles.size(), "text", &list), WEFT_OK);
    return run(kEmbedProteinNode, {Value(), Value::adopt(list)},
               {{"likelihoods", std::string("\"") + likelihoods + "\""}});
  }
  static std::vector<float> floats(const Value& value) {
    weft_tensor tensor{};
    tensor.struct_size = sizeof tensor;
    EXPECT_EQ(value_api()->get_tensor(value.get(), &tensor, nullptr, nullptr), WEFT_OK);
    int64_t count = 1;
    for (int32_t i = 0; i < tensor.rank; ++i) count *= tensor.shape[i];
    const auto* data = static_cast<const float*>(tensor.data);
    return {data, data + count};
  }
  std::string error_of(const std::vector<std::string>& sequences) {
    const NodeResult result = embed(sequences);
    return result.status.ok() ? "" : to_string(result.status.error());
  }

  std::unique_ptr<ProteinBertModel> model_;
};

/// Largest difference; NaN must be where NaN is wanted.
double difference(const std::vector<float>& got, std::span<const float> want) {
  if (got.size() != want.size()) return INFINITY;
  double most = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(got[i]) != std::isnan(want[i])) return INFINITY;
    if (!std::isnan(want[i])) most = std::max(most, std::abs(double{got[i]} - double{want[i]}));
  }
  return most;
}

class AntiBerty : public EmbedProtein {
 protected:
  void SetUp() override {
    folder_ = weft::testing::fetched_model("antiberty");
    if (folder_.empty()) GTEST_SKIP() << "skipped: scripts/fetch_models antiberty";
    std::ifstream file("assets/golden/antiberty/sequences.txt");
    for (std::string line; std::getline(file, line);) sequences_.push_back(line);
  }
  fs::path folder_;
  std::vector<std::string> sequences_;
  const weft::testing::GoldenTensors expected_{"assets/golden/antiberty"};
};

TEST_F(AntiBerty, AgreesWithItsOwnCode) {
  const Status opened = open(folder_);
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  const NodeResult seen = embed(sequences_);
  ASSERT_TRUE(seen.status.ok()) << to_string(seen.status.error());
  const std::vector<float> pooled = floats(seen.outputs[kPooled]);
  constexpr size_t kWidth = 512;
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const std::string end = "." + std::to_string(i);
    const std::vector<float> all = floats(seen.outputs[kEmbeddings].item(i));
    std::vector<float> hidden;
    for (size_t r = 0; r < sequences_[i].size(); r += 8)
      hidden.insert(hidden.end(), all.begin() + static_cast<std::ptrdiff_t>(r * kWidth),
                    all.begin() + static_cast<std::ptrdiff_t>((r + 1) * kWidth));
    EXPECT_LT(weft::testing::error(hidden, expected_.span<float>(("hidden" + end).c_str())), 1e-4) << i;
    EXPECT_LT(weft::testing::error(std::span(pooled).subspan(i * kWidth, kWidth),
                                   expected_.span<float>(("pooled" + end).c_str())),
              1e-4)
        << i;
    EXPECT_LT(
        difference(floats(seen.outputs[kByResidue].item(i)), expected_.span<float>(("seen" + end).c_str())),
        2e-4)
        << i;
  }
}

TEST_F(AntiBerty, HidesEachResidueAsItsOwnCodeDoes) {
  ASSERT_TRUE(open(folder_).ok());
  const std::vector<std::string> two = {sequences_[2], sequences_[4]};
  const NodeResult masked = embed(two, "masked");
  ASSERT_TRUE(masked.status.ok()) << to_string(masked.status.error());
  EXPECT_LT(difference(floats(masked.outputs[kByResidue].item(0)), expected_.span<float>("masked.2")), 2e-4);
  EXPECT_LT(difference(floats(masked.outputs[kByResidue].item(1)), expected_.span<float>("masked.4")), 2e-4);
  double mean = 0;
  for (const float one : expected_.span<float>("masked.2")) mean += one / static_cast<double>(two[0].size());
  EXPECT_NEAR(number(masked.outputs[kLogLikelihood]), mean, 1e-4);
}

TEST_F(AntiBerty, KeepsToTheStatedErrorInBf16) {
  ASSERT_TRUE(open(folder_, "bf16").ok());
  const NodeResult seen = embed(sequences_);
  ASSERT_TRUE(seen.status.ok()) << to_string(seen.status.error());
  const std::vector<float> pooled = floats(seen.outputs[kPooled]);
  const double of_pooled =
      weft::testing::error(std::span(pooled).first(512), expected_.span<float>("pooled.0"));
  EXPECT_LT(of_pooled, 1e-2);
  EXPECT_GT(of_pooled, 1e-4) << "bf16 was asked for";
  EXPECT_LT(difference(floats(seen.outputs[kByResidue].item(0)), expected_.span<float>("seen.0")), 0.1);
}

TEST_F(EmbedProtein, ASequenceDoesNotDependOnTheOthers) {
  ASSERT_TRUE(open(reduced("alone")).ok());
  std::vector<std::string> many(120, "ACDEFGHIKLMNPQRSTVWYACDEFG");  // more than a pass
  many[7] = "MKV";
  many[119] = "WWY_A";
  const NodeResult together = embed(many);
  ASSERT_TRUE(together.status.ok()) << to_string(together.status.error());
  for (const size_t i : {size_t{7}, size_t{119}}) {
    const NodeResult alone = embed({many[i]});
    EXPECT_EQ(floats(alone.outputs[kEmbedding]), floats(together.outputs[kEmbeddings].item(i)));
    EXPECT_EQ(number(alone.outputs[kLogLikelihood]), number(together.outputs[kLogLikelihoods].item(i)));
  }
  EXPECT_EQ(floats(together.outputs[kEmbeddings].item(119)).size(), 5u * 32u);
}

TEST_F(EmbedProtein, WhatIsHiddenOrUnknownHasNoLikelihood) {
  ASSERT_TRUE(open(reduced("unknown")).ok());
  for (const char* likelihoods : {"seen", "masked"}) {
    const NodeResult result = embed({"aX_Z"}, likelihoods);
    ASSERT_TRUE(result.status.ok()) << to_string(result.status.error());
    const std::vector<float> each = floats(result.outputs[kByResidue].item(0));
    EXPECT_LT(each[0], 0);
    EXPECT_EQ(number(result.outputs[kLogLikelihood]), double{each[0]}) << "the mean of the one";
    EXPECT_TRUE(std::isnan(each[1]) && std::isnan(each[2]) && std::isnan(each[3]));
  }
}

TEST_F(EmbedProtein, NamesWhatASequenceMustNotHave) {
  ASSERT_TRUE(open(reduced("letters")).ok());
  EXPECT_THAT(error_of({"ACD", "AC1"}),
              AllOf(HasSubstr("port 'sequences', element 1"), HasSubstr("residue 3"), HasSubstr("'1'")));
  EXPECT_THAT(error_of({"ACO"}), HasSubstr("'O'"));
  EXPECT_THAT(error_of({"AC/DE"}), HasSubstr("each chain as a sequence of its own"));
  EXPECT_THAT(error_of({"A\xc3\xa9"}), HasSubstr("byte 195"));
  EXPECT_THAT(error_of({""}), HasSubstr("without residues"));
  EXPECT_EQ(error_of({std::string(30, 'A')}), "") << "32 places, two of which are not for residues";
  EXPECT_THAT(error_of({std::string(31, 'A')}), AllOf(HasSubstr("at most 30"), HasSubstr("31")));
  EXPECT_THAT(error_of({}), HasSubstr("there is no sequence"));
}

TEST_F(EmbedProtein, RefusesModelsThatAreNotOfProteins) {
  const Status words = open(reduced("words", "ACDEFGHIKLMNPQRSTVW"));
  ASSERT_FALSE(words.ok());
  EXPECT_THAT(to_string(words.error()), HasSubstr("none for Y"));
  const fs::path folder = reduced("no_vocabulary");
  fs::remove(folder / "vocab.txt");
  EXPECT_EQ(open(folder).code(), StatusCode::kNotFound);
  const Status headless = open("assets/golden/bert/roberta");
  ASSERT_FALSE(headless.ok());
  EXPECT_THAT(to_string(headless.error()), HasSubstr("cls.predictions.transform.dense.weight"));
  EXPECT_THAT(to_string(open(reduced("many", std::string(70, 'A'))).error()),
              HasSubstr("more tokens than the model"));
}

}  // namespace
}  // namespace weft::science
