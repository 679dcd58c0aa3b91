// Ids against the references, on 10,000 varied lines: assets/golden/tokenizer/ids.json says how it was made.
#include <gtest/gtest.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <filesystem>

#include "modalities/text/tokenizer/testing/golden_ids.h"
#include "modalities/text/tokenizer/testing/test_lines.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/fetched_model.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using rapidjson::Document;
using rapidjson::Value;
using testing::fresh_folder;

const fs::path kFolder = "assets/golden/tokenizer";

Document read_golden(const char* name) {
  Result<Document> document = read_json_file(kFolder / name, kMaxConfigBytes);
  EXPECT_TRUE(document.ok()) << to_string(document.error());
  return document.ok() ? std::move(*document) : Document();
}

// Every chunk of lines must hash to its golden value.
void expect_ids(const Tokenizer& tokenizer, const Value& hashes) {
  ASSERT_EQ(testing::tokenizer_test_lines().size(), 10'000u);
  EXPECT_EQ(testing::hashes_of_lines(hashes.Size(),
                                     [&](const std::string& line) {
                                       const Result<std::vector<TokenId>> ids = tokenizer.encode(line);
                                       EXPECT_TRUE(ids.ok());
                                       return ids.ok() ? *ids : std::vector<TokenId>();
                                     }),
            testing::strings_of(hashes));
}

// decode(encode(x)) == x for all lines, valid UTF-8 or not; `expected` gives what the model makes of a line.
template <typename Expected>
void expect_round_trip(const Tokenizer& tokenizer, Expected expected) {
  for (const auto& lines : {testing::tokenizer_test_lines(), testing::invalid_test_lines()})
    for (const std::string& line : lines) {
      const Result<std::vector<TokenId>> ids = tokenizer.encode(line);
      ASSERT_TRUE(ids.ok());
      ASSERT_EQ(tokenizer.decode(*ids), expected(line));
      StreamDecoder stream(tokenizer);
      std::string streamed;
      for (TokenId id : *ids) streamed += stream.push(id);
      ASSERT_EQ(streamed + stream.finish(), expected(line));
    }
}

std::string as_it_is(const std::string& line) { return line; }

// SentencePiece cannot tell U+2581 from a space.
std::string blocks_are_spaces(std::string line) {
  for (size_t at = line.find("\xE2\x96\x81"); at != std::string::npos; at = line.find("\xE2\x96\x81", at))
    line.replace(at, 3, " ");
  return line;
}

std::string text_of(const Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

class Pipelines : public ::testing::TestWithParam<const char*> {};

TEST_P(Pipelines, GivesTheIdsOfHuggingFaceFromTokenizerJson) {
  const Document goldens = read_golden("ids.json");
  const Document model = read_golden("tiny_bpe.json");
  const Value& golden = goldens["pipelines"][GetParam()];
  const fs::path folder = fresh_folder(std::string("pipeline_json_") + GetParam());
  testing::write_file(folder / "tokenizer.json",
                      R"({"added_tokens": [], "normalizer": )" + text_of(golden["normalizer"]) +
                          R"(, "pre_tokenizer": )" + text_of(golden["pre_tokenizer"]) +
                          R"(, "model": {"type": "BPE", "ignore_merges": )" +
                          text_of(golden["ignore_merges"]) + R"(, "vocab": )" + text_of(model["vocab"]) +
                          R"(, "merges": )" + text_of(model["merges"]) + "}}");
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  expect_ids(*tokenizer, golden["hashes"]);
  if (!golden["normalizer"].IsObject()) expect_round_trip(*tokenizer, as_it_is);
}

TEST_P(Pipelines, GivesTheIdsOfHuggingFaceFromGguf) {
  const Document goldens = read_golden("ids.json");
  const Document model = read_golden("tiny_bpe.json");
  std::vector<std::string> tokens(model["vocab"].MemberCount()), merges;
  for (const auto& entry : model["vocab"].GetObject()) tokens[entry.value.GetUint()] = entry.name.GetString();
  for (const Value& merge : model["merges"].GetArray()) merges.push_back(merge.GetString());
  testing::GgufWriter writer;
  writer.add("general.architecture", "llama")
      .add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", GetParam());
  writer.add_strings("tokenizer.ggml.tokens", tokens).add_strings("tokenizer.ggml.merges", merges);
  const fs::path path = fresh_folder(std::string("pipeline_gguf_") + GetParam()) / "tiny.gguf";
  writer.save(path);
  const Result<WeightFile> file = WeightFile::open(path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  expect_ids(*tokenizer, goldens["pipelines"][GetParam()]["hashes"]);
}

INSTANTIATE_TEST_SUITE_P(Gguf, Pipelines,
                         ::testing::Values("gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "tekken",
                                           "gpt-4o", "falcon"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::erase(name, '-');
                           return name;
                         });

// A folder that holds one golden file under the name that Hugging Face gives it.
Result<Tokenizer> tokenizer_of(const char* golden, const char* name) {
  const fs::path folder = fresh_folder(std::string("golden_") + golden);
  fs::copy_file(kFolder / golden, folder / name);
  return Tokenizer::from_folder(folder);
}

TEST(TokenizerGolden, SentencePieceBpeModel) {
  const Result<Tokenizer> tokenizer = tokenizer_of("tiny_sentencepiece_bpe.model", "tokenizer.model");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["files"]["tiny_sentencepiece_bpe.model"]);
  expect_round_trip(*tokenizer, blocks_are_spaces);
}

TEST(TokenizerGolden, SentencePieceBpeGguf) {
  const Result<WeightFile> file = WeightFile::open(kFolder / "tiny_sentencepiece.gguf");
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["files"]["tiny_sentencepiece.gguf"]);
}

TEST(TokenizerGolden, SentencePieceUnigramModel) {
  const Result<Tokenizer> tokenizer = tokenizer_of("tiny_sentencepiece_unigram.model", "tokenizer.model");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["files"]["tiny_sentencepiece_unigram.model"]);
}

TEST(TokenizerGolden, HuggingFaceCharacterBpe) {
  const Result<Tokenizer> tokenizer = tokenizer_of("tiny_character_bpe.json", "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["files"]["tiny_character_bpe.json"]);
  expect_round_trip(*tokenizer, blocks_are_spaces);
}

TEST(TokenizerGolden, HuggingFaceUnigram) {
  const Result<Tokenizer> tokenizer = tokenizer_of("tiny_unigram.json", "tokenizer.json");
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["files"]["tiny_unigram.json"]);
}

TEST(TokenizerGolden, SmolLm2) {
  const fs::path path = testing::fetched_model("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (path.empty())
    GTEST_SKIP() << "skipped: SmolLM2-135M-Instruct.Q4_1.gguf is not here; scripts/fetch_models";
  const Result<WeightFile> file = WeightFile::open(path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["models"]["SmolLM2-135M-Instruct.Q4_1.gguf"]);
  // Its vocabulary has no token for these bytes; Hugging Face leaves them out too.
  const std::string_view absent(
      "\xC0\xC1\xF1\xF2\xF5\xF6\xF7\xF8\xF9\xFA\xFB\xFC\xFD\xFE\xFF\x04\x06\x13\x14\x16\x1D");
  expect_round_trip(*tokenizer, [&](std::string line) {
    std::erase_if(line, [&](char c) { return absent.find(c) != std::string_view::npos; });
    return line;
  });
  EXPECT_EQ(tokenizer->special().eos, tokenizer->find_piece("<|im_end|>"));
  EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find_piece("<|endoftext|>")));
  EXPECT_FALSE(tokenizer->chat_template().empty());
}

TEST(TokenizerGolden, Gemma3) {
  const fs::path path = testing::fetched_model("gemma-3-270m-Q4_K_M.gguf");
  if (path.empty())
    GTEST_SKIP() << "skipped: gemma-3-270m-Q4_K_M.gguf is not here; scripts/fetch_models gemma3";
  const Result<WeightFile> file = WeightFile::open(path);
  ASSERT_TRUE(file.ok()) << to_string(file.error());
  const Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  const Document goldens = read_golden("ids.json");
  expect_ids(*tokenizer, goldens["models"]["gemma-3-270m-Q4_K_M.gguf"]);
  expect_round_trip(*tokenizer, blocks_are_spaces);
  EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find_piece("<end_of_turn>")));
}

}  // namespace
}  // namespace weft
