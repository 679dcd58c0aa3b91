// What BERT checkpoints may hold, and how others are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/networks/bert/bert.h"
#include "kernels/networks/bert/bert_checkpoint.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// One layer of width 8 with two heads, all zero; `change` may leave out or rename tensors and add to config.json.
struct TinyBert {
  std::string config = {};                          // members, each followed by a comma
  std::map<std::string, std::string> renamed = {};  // to "": left out
  std::string prefix = {};
  std::string model_type = "bert";

  std::filesystem::path save(const std::string& name) const {
    std::string header = "{", data;
    const auto tensor = [&](const std::string& own, const std::string& shape, size_t count) {
      const auto other = renamed.find(own);
      const std::string written = other == renamed.end() ? own : other->second;
      if (written.empty()) return;
      header += (header.size() > 1 ? ", \"" : "\"") + prefix + written +
                "\": {\"dtype\": \"F32\", \"shape\": " + shape + ", \"data_offsets\": [" +
                std::to_string(data.size()) + ", " + std::to_string(data.size() + count * 4) + "]}";
      data.append(count * 4, '\0');
    };
    const auto norm = [&](const std::string& own) {
      tensor(own + ".weight", "[8]", 8);
      tensor(own + ".bias", "[8]", 8);
    };
    const auto dense = [&](const std::string& own, size_t n, size_t k) {
      tensor(own + ".weight", "[" + std::to_string(n) + ", " + std::to_string(k) + "]", n * k);
      tensor(own + ".bias", "[" + std::to_string(n) + "]", n);
    };
    tensor("embeddings.word_embeddings.weight", "[20, 8]", 160);
    tensor("embeddings.position_embeddings.weight", "[12, 8]", 96);
    tensor("embeddings.token_type_embeddings.weight", "[2, 8]", 16);
    norm("embeddings.LayerNorm");
    const std::string layer = "encoder.layer.0.";
    for (const char* part : {"query", "key", "value"}) dense(layer + "attention.self." + part, 8, 8);
    dense(layer + "attention.output.dense", 8, 8);
    norm(layer + "attention.output.LayerNorm");
    dense(layer + "intermediate.dense", 16, 8);
    dense(layer + "output.dense", 8, 16);
    norm(layer + "output.LayerNorm");
    dense("pooler.dense", 8, 8);
    const std::filesystem::path folder = testing::fresh_folder("bert_open_" + name);
    testing::write_file(folder / "model.safetensors", testing::safetensors_bytes(header + "}", data));
    testing::write_file(
        folder / "config.json",
        "{" + config + R"("model_type": ")" + model_type +
            R"(", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,)" +
            R"( "intermediate_size": 16, "max_position_embeddings": 12})");
    return folder;
  }
};

// "" if it opens.
std::string refusal(const TinyBert& model, const std::string& name) {
  const Result<WeightFile> file = WeightFile::open(model.save(name));
  if (!file.ok()) return "not a weight file: " + to_string(file.error());
  const Result<BertConfig> config = read_bert_config(file->metadata());
  if (!config.ok()) return to_string(config.error());
  const Result<Bert> bert = Bert::open(bert_source(*file), *config, DType::kF32);
  return bert.ok() ? "" : to_string(bert.error());
}

TEST(BertOpen, TakesBareModelsModelsWithHeadsAndOldNames) {
  EXPECT_EQ(refusal({}, "bare"), "");
  EXPECT_EQ(refusal({.prefix = "bert."}, "prefix"), "");
  EXPECT_EQ(refusal({.prefix = "roberta.", .model_type = "roberta"}, "roberta"), "");
  EXPECT_EQ(refusal({.renamed = {{"embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma"},
                                 {"embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta"}}},
                    "gamma"),
            "");
}

TEST(BertOpen, ReadsTheConfiguration) {
  const Result<WeightFile> file = WeightFile::open(TinyBert{.model_type = "roberta"}.save("configuration"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(is_bert(file->metadata()));
  const Result<BertConfig> config = read_bert_config(file->metadata());
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->width, 8);
  EXPECT_EQ(config->first_position, 2) << "after the padding's row";
  EXPECT_EQ(config->longest_text(), 10);
  EXPECT_EQ(config->activation, Activation::kGelu);
}

TEST(BertOpen, NamesWhatIsWrong) {
  EXPECT_THAT(
      refusal({.model_type = "mpnet"}, "type"),
      AllOf(HasSubstr("config.json"), HasSubstr("model_type"), HasSubstr("mpnet"), HasSubstr("roberta")));
  EXPECT_THAT(refusal({.config = R"("position_embedding_type": "relative_key",)"}, "relative"),
              AllOf(HasSubstr("position_embedding_type"), HasSubstr("relative_key")));
  EXPECT_THAT(refusal({.config = R"("is_decoder": true,)"}, "decoder"), HasSubstr("is_decoder"));
  EXPECT_THAT(refusal({.config = R"("hidden_act": "mish",)"}, "activation"),
              AllOf(HasSubstr("hidden_act"), HasSubstr("mish"), HasSubstr("gelu")));
  EXPECT_THAT(refusal({.renamed = {{"encoder.layer.0.attention.self.key.bias", ""}}}, "missing"),
              HasSubstr("'encoder.layer.0.attention.self.key.bias' [8]"));
  EXPECT_THAT(
      refusal({.renamed = {{"encoder.layer.0.output.dense.bias", "encoder.layer.0.output.dense.bia"}}},
              "unexpected"),
      HasSubstr("encoder.layer.0.output.dense.bia'"));
  EXPECT_THAT(refusal({.config = R"("layer_norm_eps": 0,)"}, "epsilon"), HasSubstr("layer_norm_eps"));
}

}  // namespace
}  // namespace weft
