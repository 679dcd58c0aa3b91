// What sentence-transformers' files may say, and how others are refused.
#include "plugins/text/sentence_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "modalities/weights/testing/model_file_writer.h"

namespace weft::text {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path folder_of(const std::string& name, const std::map<std::string, std::string>& files) {
  const std::filesystem::path folder = testing::fresh_folder("sentence_modules_" + name);
  for (const auto& [file, content] : files) {
    std::filesystem::create_directories((folder / file).parent_path());
    testing::write_file(folder / file, content);
  }
  return folder;
}

SentenceModules read(const std::string& name, const std::map<std::string, std::string>& files) {
  Result<SentenceModules> modules = SentenceModules::read(folder_of(name, files));
  EXPECT_TRUE(modules.ok()) << to_string(modules.error());
  return modules.ok() ? *std::move(modules) : SentenceModules();
}

std::string refusal(const std::string& name, const std::map<std::string, std::string>& files) {
  const Result<SentenceModules> modules = SentenceModules::read(folder_of(name, files));
  return modules.ok() ? "accepted" : to_string(modules.error());
}

std::string modules_of(const std::vector<std::pair<std::string, std::string>>& types_and_paths) {
  std::string list;
  for (const auto& [type, path] : types_and_paths)
    list += (list.empty() ? "" : ", ") + (R"({"type": ")" + type) + R"(", "path": ")" + path + "\"}";
  return "[" + list + "]";
}

constexpr const char* kTransformer = "sentence_transformers.models.Transformer";
constexpr const char* kPooling = "sentence_transformers.models.Pooling";
constexpr const char* kNormalize = "sentence_transformers.models.Normalize";

TEST(SentenceModules, AreMeanAndLengthOneWithoutFiles) {
  const SentenceModules modules = read("none", {});
  EXPECT_EQ(modules.pooling, Pooling::kMean);
  EXPECT_TRUE(modules.normalizes);
  EXPECT_FALSE(modules.max_tokens);
}

TEST(SentenceModules, AreWhatTheFilesSay) {
  const std::string three =
      modules_of({{kTransformer, ""}, {kPooling, "1_Pooling"}, {kNormalize, "2_Normalize"}});
  const SentenceModules first = read(
      "three",
      {{"modules.json", three},
       {"1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})"},
       {"sentence_bert_config.json", R"({"max_seq_length": 77, "do_lower_case": false})"},
       {"tokenizer_config.json", R"({"model_max_length": 512})"}});
  EXPECT_EQ(first.pooling, Pooling::kFirst);
  EXPECT_TRUE(first.normalizes);
  EXPECT_EQ(first.max_tokens, 77);
  EXPECT_EQ(first.files.size(), 1u);

  // Newer names, no third module, the limit of the tokenizer, a prompt.
  const SentenceModules second =
      read("two", {{"modules.json", modules_of({{"a.b.Transformer", ""}, {"c.Pooling", "1_Pooling"}})},
                   {"1_Pooling/config.json", R"({"pooling_mode": "lasttoken"})"},
                   {"sentence_bert_config.json", R"({"max_seq_length": null})"},
                   {"tokenizer_config.json", R"({"model_max_length": 512})"},
                   {"config_sentence_transformers.json",
                    R"({"prompts": {"query": "query: "}, "default_prompt_name": "query"})"}});
  EXPECT_EQ(second.pooling, Pooling::kLast);
  EXPECT_FALSE(second.normalizes);
  EXPECT_EQ(second.max_tokens, 512);
  EXPECT_EQ(second.prompt, "query: ");
}

TEST(SentenceModules, NameWhatIsWrong) {
  EXPECT_THAT(refusal("dense", {{"modules.json", modules_of({{kTransformer, ""}, {"x.Dense", "2_Dense"}})}}),
              AllOf(HasSubstr("modules.json"), HasSubstr("x.Dense")));
  EXPECT_THAT(refusal("order", {{"modules.json", modules_of({{kNormalize, ""}, {kPooling, "1_Pooling"}})}}),
              HasSubstr("Pooling"));
  EXPECT_THAT(
      refusal("outside", {{"modules.json", modules_of({{kTransformer, ""}, {kPooling, "../elsewhere"}})}}),
      AllOf(HasSubstr("outside"), HasSubstr("../elsewhere")));
  EXPECT_THAT(refusal("below", {{"modules.json", modules_of({{kTransformer, "0_Transformer"}})}}),
              HasSubstr("0_Transformer"));
  EXPECT_THAT(
      refusal("two_poolings", {{"modules.json", modules_of({{kTransformer, ""}, {kPooling, "1_Pooling"}})},
                               {"1_Pooling/config.json",
                                R"({"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true})"}}),
      AllOf(HasSubstr("1_Pooling/config.json"), HasSubstr("cls, max")));
  EXPECT_THAT(refusal("no_file", {{"modules.json", modules_of({{kPooling, "1_Pooling"}})}}),
              HasSubstr("1_Pooling/config.json"));
  EXPECT_THAT(refusal("not_json", {{"modules.json", "{"}}), HasSubstr("modules.json"));
  EXPECT_THAT(refusal("no_list", {{"modules.json", R"([{"path": ""}])"}}), HasSubstr("modules.json"));
  EXPECT_THAT(refusal("lower", {{"sentence_bert_config.json", R"({"do_lower_case": true})"}}),
              HasSubstr("do_lower_case"));
  EXPECT_THAT(
      refusal("prompt", {{"config_sentence_transformers.json", R"({"default_prompt_name": "query"})"}}),
      AllOf(HasSubstr("config_sentence_transformers.json"), HasSubstr("query")));
}

}  // namespace
}  // namespace weft::text
