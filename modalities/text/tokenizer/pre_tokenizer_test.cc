#include "modalities/text/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modalities/text/tokenizer/testing/test_lines.h"

namespace weft {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> split(const char* name, std::string_view text) {
  const std::optional<PreTokenizer> rules = pre_tokenizer_of_gguf(name);
  EXPECT_TRUE(rules.has_value()) << name;
  std::vector<std::string_view> words;
  split_words(*rules, text, words);
  return {words.begin(), words.end()};
}

TEST(PreTokenizer, SplitsAsTheExpressionsSay) {
  EXPECT_THAT(split("gpt-2", "I'll GO'LL  now 123 !? "),
              ElementsAre("I", "'ll", " GO", "'", "LL", " ", " now", " 123", " !?", " "));
  EXPECT_THAT(split("gpt-2", "a \n\n b"), ElementsAre("a", " \n\n", " b"));
  EXPECT_THAT(split("smollm", "x 12"), ElementsAre("x", " ", "1", "2"));
  EXPECT_THAT(split("llama-bpe", "I'LL 12345 (hey)\n\n\tx"),
              ElementsAre("I", "'LL", " ", "123", "45", " (", "hey", ")\n\n", "\tx"));
  EXPECT_THAT(split("llama-bpe", "a  \n \n  b"), ElementsAre("a", "  \n \n", " ", " b"));
  EXPECT_THAT(split("qwen2", "12 a"), ElementsAre("1", "2", " a"));
  EXPECT_THAT(split("tekken", "HelloWorld ABCdef a/b/\n"),
              ElementsAre("Hello", "World", " ABCdef", " a", "/b", "/\n"));
  EXPECT_THAT(split("gpt-4o", "she'll SHE'LL x1234"), ElementsAre("she'll", " SHE'LL", " x", "123", "4"));
  EXPECT_THAT(split("falcon", "a--b 12345"), ElementsAre("a", "--", "b", " ", "123", "45"));
}

TEST(PreTokenizer, WordsJoinToTheTextForAnyBytes) {
  std::vector<std::string> lines = testing::tokenizer_test_lines();
  lines.resize(std::min<size_t>(lines.size(), 1500));
  for (std::string& line : testing::invalid_test_lines()) lines.push_back(std::move(line));
  for (const char* name : {"gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "tekken", "gpt-4o", "falcon"})
    for (const std::string& line : lines) {
      std::string joined;
      for (const std::string& word : split(name, line)) {
        ASSERT_FALSE(word.empty()) << name;
        joined += word;
      }
      ASSERT_EQ(joined, line) << name;
    }
}

TEST(PreTokenizer, GoesOverHostileTextOnce) {
  // Any of these would take minutes if the time were quadratic.
  constexpr size_t kSize = 1 << 18;
  std::string alternating;
  while (alternating.size() < kSize) alternating += "\u01C5\u02B0";  // letters of both cases
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "tekken", "gpt-4o", "falcon"}) {
    for (const std::string& text :
         {std::string(kSize, ' '), std::string(kSize, 'A'), std::string(kSize, '\n'),
          std::string(kSize, '\''), std::string(kSize, '1'), std::string(kSize, '\xFF'), alternating}) {
      size_t size = 0;
      for (const std::string& word : split(name, text)) size += word.size();
      EXPECT_EQ(size, text.size()) << name;
    }
  }
}

TEST(PreTokenizer, KnowsNamesAndExpressions) {
  EXPECT_FALSE(pre_tokenizer_of_gguf("never-heard-of").has_value());
  EXPECT_NE(known_gguf_pre_tokenizers().find("llama-bpe"), std::string::npos);
  EXPECT_EQ(split_rule_of_regex(R"(\p{N})"), SplitRule::kSingleNumbers);
  EXPECT_FALSE(split_rule_of_regex(".*").has_value());
}

}  // namespace
}  // namespace weft
