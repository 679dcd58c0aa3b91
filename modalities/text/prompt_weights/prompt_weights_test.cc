#include "modalities/text/prompt_weights/prompt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "modalities/text/prompt_weights/apply.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using Kind = PromptPart::Kind;

PromptPart text(std::string value, float weight = 1) { return {Kind::kText, std::move(value), weight}; }
const PromptPart kBreak{Kind::kBreak, "", 1};

auto a1111(std::string_view prompt) { return parse_prompt(prompt, PromptNotation::kA1111); }
auto novel_ai(std::string_view prompt) { return parse_prompt(prompt, PromptNotation::kNovelAi); }

// The examples of stable-diffusion-webui's documentation of parse_prompt_attention.
TEST(PromptA1111, ReadsWhatItsUsersWrite) {
  EXPECT_THAT(a1111("normal text"), ElementsAre(text("normal text")));
  EXPECT_THAT(a1111("an (important) word"), ElementsAre(text("an "), text("important", 1.1f), text(" word")));
  EXPECT_THAT(a1111("(unbalanced"), ElementsAre(text("unbalanced", 1.1f)));
  EXPECT_THAT(a1111("\\(literal\\]"), ElementsAre(text("(literal]")));
  EXPECT_THAT(a1111("(unnecessary)(parens)"), ElementsAre(text("unnecessaryparens", 1.1f)));
  const auto parts = a1111("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).");
  ASSERT_EQ(parts.size(), 9u);
  const std::vector<std::pair<std::string, double>> want = {
      {"a ", 1.0},    {"house", 1.573}, {" ", 1.1},      {"on", 1.0}, {" a ", 1.1},
      {"hill", 0.55}, {", sun, ", 1.1}, {"sky", 1.4641}, {".", 1.1}};
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(parts[i].text, want[i].first);
    EXPECT_NEAR(parts[i].weight, want[i].second, 1e-4);
  }
}

TEST(PromptA1111, EndsChunksAtBreak) {
  EXPECT_THAT(a1111("one BREAK  two"), ElementsAre(text("one"), kBreak, text("two")));
  EXPECT_THAT(a1111("BREAKFAST, unBREAKable"), ElementsAre(text("BREAKFAST, unBREAKable")));
  EXPECT_THAT(a1111("(a BREAK b:2)"), ElementsAre(text("a", 2), kBreak, text("b", 2)));
}

TEST(PromptA1111, TakesColonsWithoutNumbersAsText) {
  EXPECT_THAT(a1111("ratio 3:4"), ElementsAre(text("ratio 3:4")));
  EXPECT_THAT(a1111("(a:b)"), ElementsAre(text("a:b", 1.1f)));
  EXPECT_THAT(a1111("a:1.5)"), ElementsAre(text("a:1.5)")));
  EXPECT_THAT(a1111("(a: -0.5 )"), ElementsAre(text("a", -0.5f)));
}

TEST(PromptNovelAi, UsesBraces) {
  const auto parts = novel_ai("a {{red}} [apple] (plain) \\{x\\}");
  ASSERT_EQ(parts.size(), 5u);
  EXPECT_EQ(parts[1].text, "red");
  EXPECT_NEAR(parts[1].weight, 1.1025, 1e-5);
  EXPECT_NEAR(parts[3].weight, 1 / 1.05, 1e-5);
  EXPECT_EQ(parts[4], text(" (plain) {x}"));
}

TEST(PromptComfyUi, KnowsParenthesesOnly) {
  EXPECT_THAT(parse_prompt("[a] (b:1.5) BREAK", PromptNotation::kComfyUi),
              ElementsAre(text("[a] "), text("b", 1.5f), text(" BREAK")));
}

TEST(PromptPlain, IsText) {
  EXPECT_THAT(parse_prompt("(a:1.5) [b]", PromptNotation::kPlain), ElementsAre(text("(a:1.5) [b]")));
}

TEST(Prompt, IsOneEmptyPartWhereThereIsNothing) {
  for (const auto notation : {PromptNotation::kPlain, PromptNotation::kA1111, PromptNotation::kNovelAi}) {
    EXPECT_THAT(parse_prompt("", notation), ElementsAre(text("")));
  }
  EXPECT_THAT(a1111("()"), ElementsAre(text("")));
}

class PromptChunking : public ::testing::Test {
 protected:
  static Tokenizer tokenizer() {
    Result<Tokenizer> made = Tokenizer::from_folder("assets/models/emoji/tokenizer");
    EXPECT_TRUE(made.ok()) << to_string(made.error());
    return *made;
  }
  const Tokenizer tokenizer_ = tokenizer();
  const TokenId bos_ = *tokenizer_.special().bos, eos_ = *tokenizer_.special().eos;

  PromptChunks chunk(std::string_view prompt, PromptNotation notation, int64_t length,
                     std::span<const LearnedToken> learned = {}) const {
    const Result<PromptChunks> chunks =
        chunk_prompt(parse_prompt(prompt, notation), notation, tokenizer_, length, learned);
    EXPECT_TRUE(chunks.ok()) << to_string(chunks.error());
    return chunks.ok() ? *chunks : PromptChunks();
  }
  TokenId id(std::string_view word) const { return tokenizer_.encode(word)->front(); }
};

TEST_F(PromptChunking, PutsBeginningEndAndPaddingAround) {
  const PromptChunks chunks = chunk("red (apple:1.5)", PromptNotation::kA1111, 6);
  EXPECT_EQ(chunks.n_chunks, 1);
  EXPECT_THAT(chunks.tokens, ElementsAre(bos_, id("red"), id("apple"), eos_, eos_, eos_));
  EXPECT_THAT(chunks.weights, ElementsAre(1, 1, 1.5f, 1, 1, 1));
  EXPECT_TRUE(chunks.is_weighted());
  EXPECT_FALSE(chunk("red", PromptNotation::kA1111, 6).is_weighted());
}

TEST_F(PromptChunking, GoesOnInFurtherChunks) {
  const PromptChunks chunks = chunk("red red red red apple", PromptNotation::kPlain, 6);
  EXPECT_EQ(chunks.n_chunks, 2);
  const TokenId red = id("red");
  EXPECT_THAT(chunks.tokens,
              ElementsAre(bos_, red, red, red, red, eos_, bos_, id("apple"), eos_, eos_, eos_, eos_));
}

TEST_F(PromptChunking, FillsAChunkExactlyWithoutAnEmptyOneAfterIt) {
  EXPECT_EQ(chunk("red red red red", PromptNotation::kPlain, 6).n_chunks, 1);
  EXPECT_EQ(chunk("", PromptNotation::kPlain, 6).n_chunks, 1);
}

TEST_F(PromptChunking, MovesWhatFollowsTheLastCommaToTheNextChunk) {
  const PromptChunks chunks = chunk("red, apple red apple", PromptNotation::kA1111, 6);
  EXPECT_EQ(chunks.n_chunks, 2);
  EXPECT_THAT(chunks.tokens, ElementsAre(bos_, id("red"), id(","), eos_, eos_, eos_, bos_, id("apple"),
                                         id("red"), id("apple"), eos_, eos_));
}

TEST_F(PromptChunking, StartsAChunkAtBreak) {
  const PromptChunks chunks = chunk("red BREAK apple", PromptNotation::kA1111, 4);
  EXPECT_THAT(chunks.tokens, ElementsAre(bos_, id("red"), eos_, eos_, bos_, id("apple"), eos_, eos_));
}

TEST_F(PromptChunking, PutsLearnedTokensWhereTheirNamesStand) {
  const LearnedToken learned[] = {{"<cat>", 9000, 2}, {"style", 9100, 1}};
  const PromptChunks chunks = chunk("red <cat> styles style", PromptNotation::kPlain, 12, learned);
  EXPECT_EQ(chunks.tokens[2], 9000);
  EXPECT_EQ(chunks.tokens[3], 9001);
  const auto count = std::count(chunks.tokens.begin(), chunks.tokens.end(), 9100);
  EXPECT_EQ(count, 1);
}

TEST_F(PromptChunking, PadsWithEmptyChunks) {
  PromptChunks chunks = chunk("red", PromptNotation::kPlain, 4);
  pad_chunks(chunks, tokenizer_, 4, 2);
  EXPECT_THAT(chunks.tokens, ElementsAre(bos_, id("red"), eos_, eos_, bos_, eos_, eos_, eos_));
}

TEST_F(PromptChunking, RefusesPromptsWithoutEnd) {
  std::string prompt;
  for (int i = 0; i < 1000; ++i) prompt += "red ";
  const Result<PromptChunks> chunks =
      chunk_prompt(parse_prompt(prompt, PromptNotation::kPlain), PromptNotation::kPlain, tokenizer_, 5);
  EXPECT_EQ(chunks.code(), StatusCode::kOutOfRange);
}

TEST(PromptWeights, KeepTheMean) {
  std::vector<float> hidden = {1, 2, 3, 4};
  apply_weights(WeightInterpretation::kMeanKept, hidden, std::vector<float>{1, 2}, {}, 2);
  EXPECT_NEAR(hidden[0] + hidden[1] + hidden[2] + hidden[3], 10, 1e-5);
  EXPECT_NEAR(hidden[2] / hidden[0], 6, 1e-5);
}

TEST(PromptWeights, MoveAwayFromTheEmptyPrompt) {
  std::vector<float> hidden = {1, 2, 3, 4};
  apply_weights(WeightInterpretation::kFromEmpty, hidden, std::vector<float>{1, 1.5f},
                std::vector<float>{0, 0, 1, 2}, 2);
  EXPECT_THAT(hidden, ElementsAre(1, 2, 4, 5));
}

}  // namespace
}  // namespace weft
