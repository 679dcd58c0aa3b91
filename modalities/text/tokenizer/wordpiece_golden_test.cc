// WordPiece against Hugging Face's tokenizers: assets/golden/tokenizer/wordpiece.json, made by
// scripts/make_golden/wordpiece_ids.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <filesystem>
#include <string>

#include "modalities/text/tokenizer/testing/golden_ids.h"
#include "modalities/text/tokenizer/testing/test_lines.h"
#include "modalities/text/tokenizer/tokenizer.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/fetched_model.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using rapidjson::Document;
using rapidjson::Value;
using ::testing::AllOf;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::ids_of;
using testing::strings_of;
using testing::write_file;

Document read_golden() {
  Result<Document> document = read_json_file("assets/golden/tokenizer/wordpiece.json", kMaxConfigBytes);
  EXPECT_TRUE(document.ok()) << to_string(document.error());
  return document.ok() ? std::move(*document) : Document();
}

std::string json_of(const Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

std::string json_of(const std::string& text) {
  return json_of(Value(text.data(), static_cast<unsigned>(text.size())));
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, const std::string& text, AddSpecial add_special) {
  Result<std::vector<TokenId>> ids = tokenizer.encode(text, {.add_special = add_special});
  EXPECT_TRUE(ids.ok());
  return ids.ok() ? *ids : std::vector<TokenId>();
}

void expect_ids(const Tokenizer& tokenizer, const Document& golden, const Value& expected) {
  const std::vector<std::string> texts = strings_of(golden["texts"]), hashes = strings_of(expected["hashes"]);
  for (size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(encode(tokenizer, texts[i], AddSpecial::kAsModelDeclares),
              ids_of(expected["ids"][static_cast<rapidjson::SizeType>(i)]))
        << texts[i];
  EXPECT_EQ(
      testing::hashes_of_lines(
          hashes.size(), [&](const std::string& line) { return encode(tokenizer, line, AddSpecial::kNone); }),
      hashes);
}

constexpr const char* kAround = R"({"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]})";

// A folder with a tokenizer.json of the golden vocabulary.
fs::path json_folder(const std::string& name, const Document& golden, const std::string& normalizer,
                     const std::string& model_members = "",
                     const std::string& pre_tokenizer = "BertPreTokenizer",
                     const std::string& further_token = "") {
  std::string vocab, added;
  const std::vector<std::string> pieces = strings_of(golden["vocabulary"]);
  for (size_t i = 0; i < pieces.size(); ++i) {
    vocab += (i > 0 ? ", " : "") + json_of(pieces[i]) + ": " + std::to_string(i);
    if (i < 5)
      added += (i > 0 ? ", " : "") +
               (R"({"special": true, "normalized": false, "id": )" + std::to_string(i)) + R"(, "content": )" +
               json_of(pieces[i]) + "}";
  }
  const fs::path folder = fresh_folder("wordpiece_" + name);
  write_file(folder / "tokenizer.json",
             R"({"added_tokens": [)" + added + further_token + R"(], "normalizer": )" + normalizer +
                 R"(, "pre_tokenizer": {"type": ")" + pre_tokenizer + R"("}, "post_processor": )" + kAround +
                 R"(, "model": {"type": "WordPiece", "unk_token": "[UNK]", )" + model_members +
                 R"("vocab": {)" + vocab + "}}}");
  return folder;
}

class WordPiece : public ::testing::TestWithParam<const char*> {};

TEST_P(WordPiece, GivesTheIdsOfHuggingFaceFromTokenizerJson) {
  const Document golden = read_golden();
  const Value& expected = golden["cases"][GetParam()];
  std::string normalizer = json_of(expected["normalizer"]);
  normalizer.insert(1, R"("type": "BertNormalizer", )");
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(json_folder(GetParam(), golden, normalizer));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  expect_ids(*tokenizer, golden, expected);
  for (const std::string& line : testing::invalid_test_lines())
    for (const TokenId id : encode(*tokenizer, line, AddSpecial::kNone)) EXPECT_GT(id, 0);
}

TEST_P(WordPiece, GivesTheSameIdsFromVocabTxt) {
  const Document golden = read_golden();
  const Value& expected = golden["cases"][GetParam()];
  const Value& normalizer = expected["normalizer"];
  if (!normalizer["clean_text"].GetBool()) GTEST_SKIP() << "skipped: these files cannot ask for it";
  std::string lines;
  for (const std::string& piece : strings_of(golden["vocabulary"])) lines += piece + "\n";
  const fs::path folder = fresh_folder(std::string("wordpiece_txt_") + GetParam());
  write_file(folder / "vocab.txt", lines);
  write_file(folder / "tokenizer_config.json",
             R"({"tokenizer_class": "BertTokenizerFast", "do_lower_case": )" +
                 json_of(normalizer["lowercase"]) + R"(, "tokenize_chinese_chars": )" +
                 json_of(normalizer["handle_chinese_chars"]) + R"(, "strip_accents": )" +
                 json_of(normalizer["strip_accents"]) + R"(, "cls_token": "[CLS]"})");
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  expect_ids(*tokenizer, golden, expected);
}

INSTANTIATE_TEST_SUITE_P(Cases, WordPiece,
                         ::testing::Values("uncased", "cased", "lower_case_with_accents",
                                           "upper_case_without_accents", "chinese_in_words", "not_cleaned"),
                         [](const auto& param) { return std::string(param.param); });

constexpr const char* kUncased = R"({"type": "BertNormalizer"})";

TEST(WordPieceFolder, KnowsItsSpecialTokensAndDecodes) {
  const Document golden = read_golden();
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(json_folder("special", golden, kUncased));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ(tokenizer->special().bos, 2);
  EXPECT_EQ(tokenizer->special().eos, 3);
  EXPECT_EQ(tokenizer->special().unknown, 1);
  const Result<std::vector<TokenId>> marked = tokenizer->encode(
      "The [MASK] sat", {.add_special = AddSpecial::kAsModelDeclares, .control_text = ControlText::kIsToken});
  ASSERT_TRUE(marked.ok());
  EXPECT_EQ(std::ranges::count(*marked, 4), 1);
  EXPECT_EQ(tokenizer->decode(encode(*tokenizer, "  The CAT,\n Sát", AddSpecial::kAsModelDeclares)),
            "the cat , sat");
}

TEST(WordPieceFolder, ALongWordIsUnknown) {
  const Document golden = read_golden();
  const Result<Tokenizer> tokenizer =
      Tokenizer::from_folder(json_folder("longest", golden, kUncased, R"("max_input_chars_per_word": 3, )"));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_EQ(encode(*tokenizer, "xxxx", AddSpecial::kNone), std::vector<TokenId>{1});
  EXPECT_NE(encode(*tokenizer, "xxx", AddSpecial::kNone), std::vector<TokenId>{1});
}

std::string refusal(const fs::path& folder, StatusCode code) {
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
  if (tokenizer.ok()) return "accepted";
  EXPECT_EQ(tokenizer.code(), code);
  return to_string(tokenizer.error());
}

TEST(WordPieceFolder, NamesWhatIsWrong) {
  const Document golden = read_golden();
  EXPECT_THAT(refusal(json_folder("splits", golden, kUncased, "", "Whitespace"), StatusCode::kUnsupported),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("Whitespace"), HasSubstr("BertPreTokenizer")));
  EXPECT_THAT(refusal(json_folder("bytes", golden, "null", "", "ByteLevel"), StatusCode::kCorruptData),
              HasSubstr("BertPreTokenizer"));
  EXPECT_THAT(refusal(json_folder("nfc", golden, R"({"type": "NFC"})"), StatusCode::kCorruptData),
              HasSubstr("BertNormalizer"));
  EXPECT_THAT(refusal(json_folder("length", golden, kUncased, R"("max_input_chars_per_word": -1, )"),
                      StatusCode::kCorruptData),
              HasSubstr("max_input_chars_per_word"));
  EXPECT_THAT(refusal(json_folder("mark", golden, kUncased, R"("continuing_subword_prefix": "", )"),
                      StatusCode::kUnsupported),
              HasSubstr("continuing_subword_prefix"));
  EXPECT_THAT(
      refusal(json_folder("unknown", golden, kUncased, "", "BertPreTokenizer",
                          R"(, {"id": 2000, "content": "new", "special": false, "normalized": true})"),
              StatusCode::kUnsupported),
      AllOf(HasSubstr("added token"), HasSubstr("new")));
}

TEST(WordPieceFolder, VocabTxtNeedsItsTokensAndAKnownClass) {
  const fs::path folder = fresh_folder("wordpiece_txt_wrong");
  write_file(folder / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n");
  EXPECT_THAT(refusal(folder, StatusCode::kCorruptData), AllOf(HasSubstr("vocab.txt"), HasSubstr("[SEP]")));
  write_file(folder / "tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})");
  EXPECT_THAT(refusal(folder, StatusCode::kUnsupported),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("BertJapaneseTokenizer")));
}

TEST(WordPieceModel, MiniLm) {
  const fs::path path = testing::fetched_model("all-MiniLM-L6-v2");
  if (path.empty()) GTEST_SKIP() << "skipped: all-MiniLM-L6-v2 is not here; scripts/fetch_models minilm";
  const Document golden = read_golden();
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(path);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  expect_ids(*tokenizer, golden, golden["minilm"]);
}

}  // namespace
}  // namespace weft
