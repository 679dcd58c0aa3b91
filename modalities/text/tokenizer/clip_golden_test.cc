// CLIP's tokenizer against transformers': assets/golden/tokenizer/clip_ids.json, made by
// scripts/make_golden/clip_tokenizer_ids.py, with the vocabulary of the emoji model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "modalities/text/tokenizer/testing/golden_ids.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using rapidjson::Value;
using testing::fresh_folder;
using ::testing::HasSubstr;

const fs::path kVocabulary = "assets/models/emoji/tokenizer";

Result<Tokenizer> tokenizer_with_padding(const std::string& name, const std::string& padding) {
  const fs::path folder = fresh_folder("clip_" + name);
  fs::copy_file(kVocabulary / "vocab.json", folder / "vocab.json");
  fs::copy_file(kVocabulary / "merges.txt", folder / "merges.txt");
  std::ofstream(folder / "tokenizer_config.json")
      << R"({"tokenizer_class": "CLIPTokenizer", "bos_token": {"content": "<|startoftext|>", "lstrip": false},)"
      << R"("eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": ")" << padding << "\"}";
  return Tokenizer::from_folder(folder);
}

// The same vocabulary as the tokenizers library writes it into one file. normalizers, split: in place of CLIP's.
Result<Tokenizer> tokenizer_of_one_file(
    const std::string& name, const std::string& padding,
    const std::string& normalizers =
        R"({"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"})",
    const std::string& split = R"('s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+)") {
  const auto text_of = [](const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  };
  const Result<rapidjson::Document> vocab = read_json_file(kVocabulary / "vocab.json", kMaxTokenizerBytes);
  if (!vocab.ok()) return vocab.status();
  std::string added, merges;
  const std::set<std::string> special = {"<|startoftext|>", "<|endoftext|>", padding};
  for (const std::string& token : special) {
    if (!added.empty()) added += ", ";
    added += R"({"id": )" + std::to_string((*vocab)[token.c_str()].GetInt()) + R"(, "content": ")" + token +
             R"(", "normalized": true, "special": true})";
  }
  std::istringstream lines(text_of(kVocabulary / "merges.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with("#version")) continue;
    merges += merges.empty() ? "\"" : ", \"";
    for (const char c : line) {
      if (c == '"' || c == '\\') merges += '\\';
      merges += c;
    }
    merges += '"';
  }
  const std::string start = std::to_string((*vocab)["<|startoftext|>"].GetInt()),
                    end = std::to_string((*vocab)["<|endoftext|>"].GetInt());
  const fs::path folder = fresh_folder("clip_json_" + name);
  std::ofstream(folder / "tokenizer.json")
      << R"({"added_tokens": [)" << added << R"(], "normalizer": {"type": "Sequence", "normalizers": [)"
      << normalizers
      << R"(]}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": ")"
      << split
      << R"("}, "behavior": "Removed", "invert": true}, {"type": "ByteLevel", "add_prefix_space": false}]},)"
      << R"("post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", )" << end
      << R"(], "cls": ["<|startoftext|>", )" << start
      << R"(]}, "model": {"type": "BPE", "unk_token": "<|endoftext|>",)"
      << R"("continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "vocab": )"
      << text_of(kVocabulary / "vocab.json") << R"(, "merges": [)" << merges << "]}}";
  std::ofstream(folder / "tokenizer_config.json")
      << R"({"tokenizer_class": "CLIPTokenizer", "pad_token": ")" << padding << "\"}";
  return Tokenizer::from_folder(folder);
}

// As transformers does it: the tokens that stand around a text, and special tokens where a text spells them.
std::vector<TokenId> ids_of(const Tokenizer& tokenizer, const std::string& text) {
  Result<std::vector<TokenId>> ids = tokenizer.encode(
      text, {.add_special = AddSpecial::kAsModelDeclares, .control_text = ControlText::kIsToken});
  EXPECT_TRUE(ids.ok());
  return ids.ok() ? *ids : std::vector<TokenId>();
}

class ClipTokenizer : public ::testing::TestWithParam<const char*> {
 protected:
  static void expect_golden_ids(const std::string& name, const Result<Tokenizer>& tokenizer);
};

void ClipTokenizer::expect_golden_ids(const std::string& name, const Result<Tokenizer>& tokenizer) {
  const Result<rapidjson::Document> golden =
      read_json_file("assets/golden/tokenizer/clip_ids.json", kMaxConfigBytes);
  ASSERT_TRUE(golden.ok()) << to_string(golden.error());
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());

  const Value& expected = (*golden)["cases"][name.c_str()];
  const Value& prompts = (*golden)["prompts"];
  for (rapidjson::SizeType i = 0; i < prompts.Size(); ++i) {
    const std::vector<TokenId> want = testing::ids_of(expected["ids"][i]);
    const std::string prompt(prompts[i].GetString(), prompts[i].GetStringLength());
    EXPECT_EQ(ids_of(*tokenizer, prompt), want) << prompt;
  }

  const std::vector<std::string> hashes = testing::strings_of(expected["hashes"]);
  EXPECT_EQ(testing::hashes_of_lines(hashes.size(),
                                     [&](const std::string& line) { return ids_of(*tokenizer, line); }),
            hashes);
}

TEST_P(ClipTokenizer, GivesTheIdsOfTransformers) {
  const std::string name = GetParam(), padding = name == "pad_is_end" ? "<|endoftext|>" : "!";
  expect_golden_ids(name, tokenizer_with_padding(name, padding));
}

TEST_P(ClipTokenizer, GivesThemFromTokenizerJsonAlone) {
  const std::string name = GetParam(), padding = name == "pad_is_end" ? "<|endoftext|>" : "!";
  expect_golden_ids(name, tokenizer_of_one_file(name, padding));
}

INSTANTIATE_TEST_SUITE_P(Paddings, ClipTokenizer, ::testing::Values("pad_is_end", "pad_is_exclamation_mark"),
                         [](const auto& param) { return std::string(param.param); });

TEST(ClipTokenizerFolder, RefusesHalfOfItsTokenizerJson) {
  const auto refusal = [](const Result<Tokenizer>& tokenizer) {
    return tokenizer.ok() ? std::string("accepted") : to_string(tokenizer.error());
  };
  const std::string lower = R"({"type": "Lowercase"})";
  EXPECT_EQ(refusal(tokenizer_of_one_file("lower", "!", lower)), "accepted");
  EXPECT_THAT(refusal(tokenizer_of_one_file("order", "!", lower + R"(, {"type": "NFC"})")), HasSubstr("NFC"));
  EXPECT_THAT(refusal(tokenizer_of_one_file("split", "!", lower, R"(\\p{N})")), HasSubstr("Lowercase"));
  EXPECT_THAT(refusal(tokenizer_of_one_file(
                  "spaces", "!", R"({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "})",
                  R"(\\p{N})")),
              HasSubstr("white space"));
}

TEST(ClipTokenizerFolder, KnowsItsSpecialTokens) {
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(kVocabulary);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ(tokenizer->special().bos, tokenizer->find_piece("<|startoftext|>"));
  EXPECT_EQ(tokenizer->special().eos, tokenizer->find_piece("<|endoftext|>"));
  EXPECT_EQ(tokenizer->special().padding, tokenizer->special().eos);
  EXPECT_EQ(tokenizer->decode(ids_of(*tokenizer, "A Red\tapple!")), "a red apple ! ");
}

}  // namespace
}  // namespace weft
