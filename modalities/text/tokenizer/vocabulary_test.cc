// Damaged and hostile vocabularies: a clear error, never a crash.
#include "modalities/text/tokenizer/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "modalities/text/tokenizer/gguf_vocabulary.h"
#include "modalities/text/tokenizer/sentencepiece_model.h"
#include "modalities/weights/gguf.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::fresh_folder;
using testing::GgufWriter;
using ::testing::HasSubstr;
using testing::write_file;

Status read_gguf_tokenizer(const GgufWriter& writer) {
  const std::string bytes = writer.bytes();
  const Result<GgufHeader> header = read_gguf(std::as_bytes(std::span(bytes)), "t.gguf");
  if (!header.ok()) return header.status();
  return read_gguf_vocabulary(header->metadata).status();
}

GgufWriter bpe(std::vector<std::string> tokens = {"a", "b", "ab"},
               std::vector<std::string> merges = {"a b"}) {
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "gpt-2");
  writer.add_strings("tokenizer.ggml.tokens", tokens).add_strings("tokenizer.ggml.merges", merges);
  return writer;
}

GgufWriter spm(std::vector<std::string> tokens, std::vector<float> scores, std::vector<int32_t> types) {
  GgufWriter writer;
  writer.add("tokenizer.ggml.model", "llama");
  writer.add_strings("tokenizer.ggml.tokens", tokens)
      .add_f32s("tokenizer.ggml.scores", scores)
      .add_i32s("tokenizer.ggml.token_type", types);
  return writer;
}

TEST(GgufVocabulary, RefusesDamage) {
  const float infinity = std::numeric_limits<float>::infinity();
  const struct {
    const char* name;
    GgufWriter writer;
    const char* says;
  } cases[] = {
      {"no tokenizer", GgufWriter(), "tokenizer.ggml.model"},
      {"unknown kind", GgufWriter().add("tokenizer.ggml.model", "abacus"), "unknown kind"},
      {"unknown pre-tokenizer",
       GgufWriter().add("tokenizer.ggml.model", "gpt2").add("tokenizer.ggml.pre", "x"), "llama-bpe"},
      {"no tokens", GgufWriter().add("tokenizer.ggml.model", "gpt2"), "tokenizer.ggml.tokens"},
      {"empty vocabulary", bpe({}, {}), "out of range"},
      {"merge of one", bpe({"a", "b", "ab"}, {"ab"}), "not a pair"},
      {"empty merge", bpe({"a", "b", "ab"}, {""}), "not a pair"},
      {"merge of strangers", bpe({"a", "b", "ab"}, {"a c"}), "not of tokens"},
      {"merge to a stranger", bpe({"a", "b"}, {"a b"}), "not of tokens"},
      {"types too few", bpe().add_i32s("tokenizer.ggml.token_type", std::vector<int32_t>{1}), "wrong length"},
      {"type 9", bpe().add_i32s("tokenizer.ggml.token_type", std::vector<int32_t>{1, 9, 1}), "unknown type"},
      {"bos beyond the vocabulary", bpe().add_u32("tokenizer.ggml.bos_token_id", 3),
       "outside the vocabulary"},
      {"eos is text", bpe().add("tokenizer.ggml.eos_token_id", "2"), "unusable"},
      {"long token", bpe({std::string(kMaxPieceBytes + 1, 'a')}, {}), "too long"},
      {"bad byte token", spm({"<0xG0>"}, {0}, {6}), "not a byte token"},
      {"byte token of one digit", spm({"<0x0>"}, {0}, {6}), "not a byte token"},
      {"scores too few", spm({"a", "b"}, {0}, {1, 1}), "do not match"},
      {"score that is no number", spm({"a"}, {infinity}, {1}), "not a number"},
  };
  for (const auto& hostile : cases) {
    const Status status = read_gguf_tokenizer(hostile.writer);
    ASSERT_FALSE(status.ok()) << hostile.name;
    EXPECT_THAT(to_string(status.error()), HasSubstr(hostile.says)) << hostile.name;
    EXPECT_THAT(status.error().where, HasSubstr("t.gguf")) << hostile.name;
  }
  EXPECT_TRUE(read_gguf_tokenizer(bpe()).ok());
  EXPECT_TRUE(read_gguf_tokenizer(bpe().add_u32("tokenizer.ggml.bos_token_id", 0xFFFFFFFF)).ok());  // "none"
}

TEST(TokenizerJson, RefusesDamageAndWhatItDoesNotKnow) {
  const std::string model = R"("model": {"type": "BPE", "vocab": {"a": 0}, "merges": []})";
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"{", "not valid JSON"},
      {"[]", "no 'model'"},
      {R"({"model": {"type": "WordLevel"}})", "unknown model"},
      {R"({"model": {"type": "BPE"}})", "'vocab'"},
      {R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})", "out of range"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}})", "used twice"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 2000000000}, "merges": []}})", "out of range"},
      {R"({"model": {"type": "BPE", "vocab": {"a": "x"}, "merges": []}})", "not an integer"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}})", "not a pair"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}})", "not of tokens"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}})",
       "end_of_word_suffix"},
      {R"({"model": {"type": "Unigram", "vocab": [["a"]]}})", "not a pair"},
      {R"({"normalizer": {"type": "Lowercase"}, )" + model + "}", "unknown normalizer"},
      {R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Replace",)"
       R"("pattern": {"String": " "}, "content": "▁"}]}, "added_tokens": [{"id": 0, "content": "<B>",)"
       R"("normalized": true}], )" +
           model + "}",
       "unknown added token"},
      {R"({"pre_tokenizer": {"type": "Whitespace"}, )" + model + "}", "unknown pre_tokenizer"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": ".+"}, "behavior": "Isolated"}, )" +
           model + "}",
       "unknown Split"},
      {R"({"post_processor": {"type": "PairProcessing"}, )" + model + "}", "unknown post_processor"},
      {R"({"added_tokens": [{"id": 0}], )" + model + "}", "added token"},
      {R"({"added_tokens": [{"id": 900000000, "content": "x"}], )" + model + "}", "added token"},
      {"{\"normalizer\": " +
           [] {
             std::string deep = "null";
             for (int i = 0; i < 12; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
             return deep;
           }() +
           ", " + model + "}",
       "Sequence"},
  };
  for (const auto& hostile : cases) {
    const fs::path folder = fresh_folder("bad_tokenizer_json");
    write_file(folder / "tokenizer.json", hostile.text);
    const Result<Tokenizer> tokenizer = Tokenizer::from_folder(folder);
    ASSERT_FALSE(tokenizer.ok()) << hostile.text;
    EXPECT_THAT(to_string(tokenizer.error()), HasSubstr(hostile.says)) << hostile.text;
    EXPECT_THAT(tokenizer.error().where, HasSubstr("tokenizer.json")) << hostile.text;
  }
  EXPECT_EQ(Tokenizer::from_folder(fresh_folder("no_tokenizer")).code(), StatusCode::kNotFound);
}

TEST(SentencePieceModel, RefusesTruncationAndDamageWithoutHarm) {
  const Result<std::string> bytes =
      read_small_file("assets/golden/tokenizer/tiny_sentencepiece_bpe.model", kMaxConfigBytes);
  ASSERT_TRUE(bytes.ok());
  int refused = 0;
  for (size_t size = 0; size < bytes->size(); size += 7) {
    Tokenizer::Vocabulary vocabulary;
    refused += !read_sentencepiece_model(std::string_view(*bytes).substr(0, size), "m", vocabulary).ok();
  }
  EXPECT_GT(refused, 1000);  // a cut between two pieces leaves a model without settings, refused for those
  for (size_t at = 0; at < bytes->size(); at += 5) {
    std::string damaged = *bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0xFF);
    Tokenizer::Vocabulary vocabulary;
    const Status status = read_sentencepiece_model(damaged, "m", vocabulary);
    EXPECT_LE(vocabulary.pieces.size(), bytes->size());
    if (!status.ok()) {
      EXPECT_THAT(status.error().where, HasSubstr("m"));
    }
  }
}

TEST(ByteSpelling, IsGpt2s) {
  std::string spelled;
  append_byte_spelling(spelled, std::string_view("a \n\0\x7F\xAD\xFF", 7));
  EXPECT_EQ(spelled, "aĠĊĀġŃÿ");
  for (int b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    std::string one;
    append_byte_spelling(one, {&byte, 1});
    EXPECT_EQ(bytes_of_spelling(one), std::string(1, byte));
  }
  EXPECT_FALSE(bytes_of_spelling("日").has_value());
  EXPECT_FALSE(bytes_of_spelling("\xFF").has_value());
}

}  // namespace
}  // namespace weft
