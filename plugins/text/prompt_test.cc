#include "plugins/text/prompt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "modalities/weights/weight_file.h"
#include "plugins/text/testing/smollm2.h"

namespace weft::text {
namespace {

TEST(ConversationJson, PutsSystemFirstAndPromptLast) {
  PromptSource source;
  source.system = "Be brief.";
  source.messages_json = R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}])";
  source.prompt = "Bye";
  Result<std::string> json = conversation_json(source);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json, R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},)"
                   R"({"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}])");
}

TEST(ConversationJson, KeepsTheOrderOfMembers) {
  PromptSource source;
  source.messages_json = R"([{"role":"assistant","tool_calls":[{"arguments":{"z":1,"a":[2.0]}}]}])";
  Result<std::string> json = conversation_json(source);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json, source.messages_json);
}

TEST(ConversationJson, RefusesMessagesThatNestTooDeeply) {
  const std::string deep =
      R"([{"role":"user","content":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}]";
  const std::string brackets = R"([{"role":"user","content":"\")" + std::string(500, '[') + "\"}]";
  PromptSource source;
  source.messages_json = deep;
  EXPECT_EQ(conversation_json(source).code(), StatusCode::kOutOfRange);
  source.messages_json = brackets;
  EXPECT_EQ(*conversation_json(source), brackets);
}

TEST(ConversationJson, ReplacesBytesThatAreNotUtf8) {
  PromptSource source;
  source.prompt = "a\xFF";
  Result<std::string> json = conversation_json(source);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json, "[{\"role\":\"user\",\"content\":\"a\xEF\xBF\xBD\"}]");
}

TEST(ConversationJson, RefusesWhatIsNoListOfMessages) {
  for (const char* json : {"{}", "[1]", "[{}]", "not json", R"(["text"])"}) {
    PromptSource source;
    source.messages_json = json;
    Result<std::string> result = conversation_json(source);
    ASSERT_FALSE(result.ok()) << json;
    EXPECT_EQ(result.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(result.error().got, json);
  }
}

class FitPrompt : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string path = testing::smollm2_path();
    if (path.empty()) GTEST_SKIP() << "skipped: the model is not there; run scripts/fetch_models smollm2";
    Result<WeightFile> file = WeightFile::open(path);
    ASSERT_TRUE(file.ok());
    Result<Tokenizer> tokenizer = Tokenizer::from_weights(*file);
    ASSERT_TRUE(tokenizer.ok());
    tokenizer_.emplace(*std::move(tokenizer));
    bos_ = *tokenizer_->special().bos;
  }
  std::optional<Tokenizer> tokenizer_;
  TokenId bos_ = 0;
};

TEST_F(FitPrompt, LeavesWhatFits) {
  std::vector<TokenId> tokens = {10, 11, 12};
  EXPECT_TRUE(fit_prompt(tokens, 3, Truncation::kError, *tokenizer_).ok());
  EXPECT_EQ(tokens, (std::vector<TokenId>{10, 11, 12}));
}

TEST_F(FitPrompt, NamesBothNumbersInTheError) {
  std::vector<TokenId> tokens = {10, 11, 12};
  const Status status = fit_prompt(tokens, 2, Truncation::kError, *tokenizer_);
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(status.error().expected, "at most 2 tokens");
  EXPECT_EQ(status.error().got, "3 tokens");
}

TEST_F(FitPrompt, DropsTheBeginningButKeepsBos) {
  std::vector<TokenId> tokens = {10, 11, 12, 13, 14};
  EXPECT_TRUE(fit_prompt(tokens, 3, Truncation::kLeft, *tokenizer_).ok());
  EXPECT_EQ(tokens, (std::vector<TokenId>{12, 13, 14}));
  tokens = {bos_, 11, 12, 13, 14};
  EXPECT_TRUE(fit_prompt(tokens, 3, Truncation::kLeft, *tokenizer_).ok());
  EXPECT_EQ(tokens, (std::vector<TokenId>{bos_, 13, 14}));
}

TEST_F(FitPrompt, DropsTheMiddle) {
  std::vector<TokenId> tokens = {10, 11, 12, 13, 14, 15};
  EXPECT_TRUE(fit_prompt(tokens, 3, Truncation::kMiddle, *tokenizer_).ok());
  EXPECT_EQ(tokens, (std::vector<TokenId>{10, 14, 15}));
}

TEST_F(FitPrompt, ReadsControlTokensOnlyWithinTheGivenRanges) {
  const std::string text = "<|im_start|>user\n<|im_start|>";
  const TokenId start = *tokenizer_->find_piece("<|im_start|>");
  const TextRange head{0, 17};
  Result<std::vector<TokenId>> ids =
      tokenizer_->encode(text, {.control_text = ControlText::kIsToken, .control_ranges = {&head, 1}});
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(std::ranges::count(*ids, start), 1);
  EXPECT_EQ(ids->front(), start);
  EXPECT_EQ(tokenizer_->decode(*ids, {.control_tokens = ControlTokens::kSpell}), text);
}

}  // namespace
}  // namespace weft::text
