// CLIP's tokenizer against transformers': assets/golden/tokenizer/clip_ids.json, made by
// scripts/make_golden/clip_tokenizer_ids.py, with the vocabulary of the emoji model.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
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

// As transformers does it: the tokens that stand around a text, and special tokens where a text spells them.
std::vector<TokenId> ids_of(const Tokenizer& tokenizer, const std::string& text) {
  Result<std::vector<TokenId>> ids = tokenizer.encode(
      text, {.add_special = AddSpecial::kAsModelDeclares, .control_text = ControlText::kIsToken});
  EXPECT_TRUE(ids.ok());
  return ids.ok() ? *ids : std::vector<TokenId>();
}

class ClipTokenizer : public ::testing::TestWithParam<const char*> {};

TEST_P(ClipTokenizer, GivesTheIdsOfTransformers) {
  const Result<rapidjson::Document> golden =
      read_json_file("assets/golden/tokenizer/clip_ids.json", kMaxConfigBytes);
  ASSERT_TRUE(golden.ok()) << to_string(golden.error());
  const std::string name = GetParam();
  const Result<Tokenizer> tokenizer =
      tokenizer_with_padding(name, name == "pad_is_end" ? "<|endoftext|>" : "!");
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

INSTANTIATE_TEST_SUITE_P(Paddings, ClipTokenizer, ::testing::Values("pad_is_end", "pad_is_exclamation_mark"),
                         [](const auto& param) { return std::string(param.param); });

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
