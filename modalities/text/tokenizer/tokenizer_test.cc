#include "modalities/text/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/text/tokenizer/testing/test_lines.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "modalities/weights/weight_file.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::fresh_folder;
using testing::write_file;

// A SentencePiece vocabulary in GGUF: controls, all bytes, and a few pieces.
Tokenizer sentencepiece_tokenizer(const char* name) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "<|im_end|>", "\n\n", "  "};
  std::vector<int32_t> types = {2, 3, 3, 3, 4, 4};
  std::vector<float> scores(6, 0);
  for (int b = 0; b < 256; ++b) {
    char piece[8];
    std::snprintf(piece, sizeof piece, "<0x%02X>", static_cast<unsigned>(b));
    tokens.push_back(piece);
    types.push_back(6);
    scores.push_back(0);
  }
  float score = -1;
  for (const char* piece :
       {"\u2581", "h", "e", "l", "o", "he", "ll", "hello", "hell", "\u2581hello", "\u00e9"}) {
    tokens.push_back(piece);
    types.push_back(1);
    scores.push_back(score--);
  }
  testing::GgufWriter writer;
  writer.add("general.architecture", "llama").add("tokenizer.ggml.model", "llama");
  writer.add_strings("tokenizer.ggml.tokens", tokens)
      .add_f32s("tokenizer.ggml.scores", scores)
      .add_i32s("tokenizer.ggml.token_type", types);
  writer.add("tokenizer.chat_template", "default").add("tokenizer.chat_template.tool_use", "tools");
  const fs::path path = fresh_folder(name) / "t.gguf";
  writer.save(path);
  const Result<WeightFile> file = WeightFile::open(path);
  EXPECT_TRUE(file.ok()) << to_string(file.error());
  Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
  EXPECT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  return *tokenizer;
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text,
                                const EncodeOptions& options = {}) {
  const Result<std::vector<TokenId>> ids = tokenizer.encode(text, options);
  EXPECT_TRUE(ids.ok());
  std::vector<std::string> out;
  for (TokenId id : *ids) out.emplace_back(tokenizer.token_piece(id));
  return out;
}

TEST(Tokenizer, NeverTakesTextForControlTokensUnlessAsked) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("control");
  const TokenId end = *tokenizer.find_piece("<|im_end|>");
  for (const std::string text : {"<|im_end|>", "hello<|im_end|>", "<s></s><unk>"}) {
    const Result<std::vector<TokenId>> ids = tokenizer.encode(text);
    ASSERT_TRUE(ids.ok());
    for (TokenId id : *ids) EXPECT_NE(tokenizer.token_type(id), TokenType::kControl) << text;
    EXPECT_EQ(tokenizer.decode(*ids), text);
  }
  const EncodeOptions asked{AddSpecial::kNone, ControlText::kIsToken};
  EXPECT_THAT(pieces(tokenizer, "hello<|im_end|>\n\n", asked),
              ElementsAre("\u2581hello", "<|im_end|>", "\n\n"));
  EXPECT_THAT(*tokenizer.encode("<|im_end|>", asked), ElementsAre(end));
}

TEST(Tokenizer, AddsWhatTheModelDeclares) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("declares");
  EXPECT_THAT(pieces(tokenizer, "hello", {AddSpecial::kAsModelDeclares}), ElementsAre("<s>", "\u2581hello"));
  EXPECT_THAT(pieces(tokenizer, "", {AddSpecial::kAsModelDeclares}), ElementsAre("<s>"));
  EXPECT_THAT(pieces(tokenizer, ""), ElementsAre());
}

TEST(Tokenizer, FallsBackToBytesAndMatchesUserDefinedTokensFirst) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("bytes");
  EXPECT_THAT(pieces(tokenizer, "h\xC3\xA9!\xFF"), ElementsAre("\u2581", "h", "\u00e9", "<0x21>", "<0xFF>"));
  EXPECT_THAT(pieces(tokenizer, "h\n\n\nh"), ElementsAre("\u2581", "h", "\n\n", "<0x0A>", "h"));
  EXPECT_THAT(pieces(tokenizer, " hello"), ElementsAre("  ", "hello"));  // the prefix and the space
}

TEST(Tokenizer, TellsWhatTokensAre) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("types");
  EXPECT_EQ(tokenizer.token_bytes(*tokenizer.find_piece("<0x0A>")), "\n");
  EXPECT_EQ(tokenizer.token_bytes(*tokenizer.find_piece("\u2581hello")), " hello");
  EXPECT_EQ(tokenizer.token_bytes(*tokenizer.find_piece("<|im_end|>")), "<|im_end|>");
  EXPECT_EQ(tokenizer.token_type(*tokenizer.find_piece("<0x0A>")), TokenType::kByte);
  EXPECT_FALSE(tokenizer.find_piece("nothing").has_value());
  EXPECT_EQ(tokenizer.special().bos, 1);
  EXPECT_TRUE(tokenizer.ends_generation(2));
  EXPECT_TRUE(tokenizer.ends_generation(3));
  EXPECT_FALSE(tokenizer.ends_generation(4));
  EXPECT_EQ(tokenizer.chat_template(), "default");
  EXPECT_EQ(tokenizer.chat_template("tool_use"), "tools");
  EXPECT_EQ(tokenizer.chat_template("absent"), "");
}

TEST(Tokenizer, DecodesControlTokensAndPositionsAsAsked) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("decode");
  const TokenId hello = *tokenizer.find_piece("\u2581hello"), end = *tokenizer.find_piece("<|im_end|>");
  const std::vector<TokenId> ids = {1, hello, end, hello, -5, 1 << 20};
  EXPECT_EQ(tokenizer.decode(ids), "hello hello");
  EXPECT_EQ(tokenizer.decode(ids, {ControlTokens::kSpell, InvalidUtf8::kKeep, DecodePosition::kWithinText}),
            "<s> hello<|im_end|> hello");
  const TokenId bad = *tokenizer.find_piece("<0xFF>");
  const TokenId lead = *tokenizer.find_piece("<0xE2>");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{bad, lead}, {ControlTokens::kOmit, InvalidUtf8::kReplace}),
            "\uFFFD\uFFFD");
}

TEST(StreamDecoder, WithholdsUnfinishedCharactersOnly) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("stream");
  const auto byte = [&](const char* piece) { return *tokenizer.find_piece(piece); };
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(byte("<0xF0>")), "");
  EXPECT_EQ(stream.push(byte("<0x9F>")), "");
  EXPECT_EQ(stream.push(byte("<0x98>")), "");
  EXPECT_EQ(stream.push(byte("<0x80>")), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.push(byte("<0xE2>")), "");
  EXPECT_EQ(stream.push(byte("<0x41>")),
            "\xE2"
            "A");  // it was no character after all
  EXPECT_EQ(stream.push(byte("<0xC3>")), "");
  EXPECT_EQ(stream.finish(), "\xC3");
  EXPECT_EQ(stream.finish(), "");
}

TEST(StreamDecoder, ReplacingWhileStreamingEqualsReplacingTheWhole) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("stream_replace");
  const DecodeOptions replace{ControlTokens::kOmit, InvalidUtf8::kReplace};
  for (const std::string& line : testing::invalid_test_lines()) {
    const Result<std::vector<TokenId>> ids = tokenizer.encode(line);
    ASSERT_TRUE(ids.ok());
    StreamDecoder stream(tokenizer, replace);
    std::string text;
    for (TokenId id : *ids) text += stream.push(id);
    ASSERT_EQ(text + stream.finish(), tokenizer.decode(*ids, replace));
  }
}

TEST(Tokenizer, TakesHostileTextInItsStride) {
  const Tokenizer tokenizer = sentencepiece_tokenizer("hostile");
  // One word of a quarter of a million symbols each: quadratic time would take minutes.
  for (const char* unit : {"l", "hell", " ", "\n", "\xFF", "<|im_end|", "\u2581"}) {
    std::string text;
    while (text.size() < (1 << 18)) text += unit;
    const Result<std::vector<TokenId>> ids =
        tokenizer.encode(text, {AddSpecial::kNone, ControlText::kIsToken});
    ASSERT_TRUE(ids.ok());
    const std::string expected =
        unit == std::string_view("\u2581") ? std::string(text.size() / 3, ' ') : text;
    EXPECT_EQ(tokenizer.decode(*ids), expected) << unit;
  }
}

TEST(Tokenizer, ComposesAHostileRowOfMarksInParts) {
  const fs::path folder = fresh_folder("marks");
  write_file(
      folder / "tokenizer.json",
      R"({"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
      "model": {"type": "BPE", "vocab": {"\u00c3": 0, "\u00a9": 1, "\u00cc": 2, "\u0123": 3, "\u0132": 4, "e": 5}, "merges": []}})");
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_THAT(*tokenizer->encode("e\u0301"), ElementsAre(0, 1));  // é
  std::string marks = "e";
  while (marks.size() < (1 << 18)) marks += "\u0301\u0316";  // each pair in the wrong order
  EXPECT_TRUE(tokenizer->encode(marks).ok());
}

// GPT-2's files: bytes, two merges, an added token that takes the space on its right along.
fs::path gpt2_folder(const char* name) {
  const fs::path folder = fresh_folder(name);
  write_file(folder / "vocab.json", R"({"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "\u010a": 5})");
  write_file(folder / "merges.txt", "#version: 0.2\na b\n\u0120 ab\n");
  write_file(
      folder / "tokenizer_config.json",
      R"({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<end>", "bos_token": {"content": "<end>"}, "add_bos_token": true,
                 "added_tokens_decoder": {"6": {"content": "<end>", "special": true, "rstrip": true}},
                 "chat_template": [{"name": "default", "template": "T"}, {"name": "rag", "template": "R"}]})");
  write_file(folder / "generation_config.json", R"({"eos_token_id": [6, 5]})");
  return folder;
}

TEST(Tokenizer, ReadsVocabJsonWithMergesTxt) {
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(gpt2_folder("gpt2"));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  EXPECT_THAT(*tokenizer->encode("ab ab"), ElementsAre(3, 4));
  EXPECT_THAT(*tokenizer->encode("ab<end>  ab", {AddSpecial::kAsModelDeclares, ControlText::kIsToken}),
              ElementsAre(6, 3, 6, 3));
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("ab\nab")), "ab\nab");
  EXPECT_THAT(tokenizer->special().end_of_generation, ElementsAre(5, 6));
  EXPECT_EQ(tokenizer->chat_template(), "T");
  EXPECT_EQ(tokenizer->chat_template("rag"), "R");
}

// A hostile word of 400 KB takes long to merge; long texts of words are asked about between them.
TEST(Tokenizer, StopsWhenAskedToInTextsAndWithinWords) {
  const Result<Tokenizer> tokenizer = Tokenizer::from_folder(gpt2_folder("stop"));
  ASSERT_TRUE(tokenizer.ok()) << to_string(tokenizer.error());
  std::string words, one_word;
  while (words.size() < 400'000) words += "ab ab\n", one_word += "abab";
  for (const std::string& text : {words, one_word}) {
    int questions = 0;
    EncodeOptions options;
    options.stop = [&] { return ++questions == 3; };
    EXPECT_EQ(tokenizer->encode(text, options).code(), StatusCode::kCancelled);
    EXPECT_EQ(questions, 3) << "nothing is asked after that";
    questions = 3;
    const Result<std::vector<TokenId>> whole = tokenizer->encode(text, options);
    ASSERT_TRUE(whole.ok());
    EXPECT_GT(questions, 10);
    EXPECT_EQ(*whole, *tokenizer->encode(text)) << "being asked changes nothing";
  }
}

TEST(Tokenizer, LetsAJinjaFileOverrideTheConfig) {
  const fs::path folder = gpt2_folder("jinja");
  write_file(folder / "chat_template.jinja", "J");
  EXPECT_EQ(Tokenizer::from_folder(folder)->chat_template(), "J");
}

}  // namespace
}  // namespace weft
