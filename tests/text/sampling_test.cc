/// Every parameter of text.generate that chooses tokens changes what SmolLM2 writes, as its help says.
#include <algorithm>
#include <string>

#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TextSampling : public TextPipelineTest {
 protected:
  /// Goes on with a text that repeats itself, which makes the likeliest continuation repeat it too.
  std::string go_on(const Json& parameters) {
    Json with = {{"prompt", "The cat sat on the mat. The cat sat on the mat. The cat"},
                 {"format", "raw"},
                 {"temperature", 0},
                 {"seed", 1},
                 {"max_tokens", 12}};
    with.update(parameters);
    return run_node("text.generate", with, {"text"})["text"];
  }
};

TEST_F(TextSampling, PenaltiesBreakARepetition) {
  const std::string repeated = go_on(Json::object());
  EXPECT_EQ(repeated, " sat on the mat. The cat sat on the mat.");
  EXPECT_NE(go_on({{"repeat_penalty", 2}}), repeated);
  EXPECT_NE(go_on({{"presence_penalty", 8}}), repeated);
  EXPECT_NE(go_on({{"frequency_penalty", 4}}), repeated);
  EXPECT_NE(go_on({{"dry_multiplier", 4}}), repeated);
}

TEST_F(TextSampling, PenaltiesLookBackNoFurtherThanTheyAreTold) {
  const std::string repeated = go_on(Json::object());
  EXPECT_EQ(go_on({{"repeat_penalty", 2}, {"repeat_last_n", 0}}), repeated);
  EXPECT_EQ(go_on({{"presence_penalty", 8}, {"frequency_penalty", 4}, {"repeat_last_n", 0}}), repeated);
  EXPECT_EQ(go_on({{"dry_multiplier", 4}, {"dry_last_n", 0}}), repeated);
  EXPECT_EQ(go_on({{"dry_multiplier", 4}, {"dry_allowed_length", 100}}), repeated);
  EXPECT_EQ(go_on({{"dry_multiplier", 4}, {"dry_breakers", {" "}}}), repeated);
}

TEST_F(TextSampling, NarrowDrawsAreTheLikeliestTokens) {
  const std::string likeliest = go_on(Json::object());
  EXPECT_EQ(go_on({{"temperature", 1}, {"top_k", 1}}), likeliest);
  EXPECT_EQ(go_on({{"temperature", 1}, {"top_p", 0}}), likeliest);
  EXPECT_EQ(go_on({{"temperature", 1}, {"min_p", 1}}), likeliest);
}

TEST_F(TextSampling, WideDrawsAreNot) {
  const Json wide = {{"temperature", 1.5}, {"top_k", 0}, {"top_p", 1}, {"min_p", 0}};
  const std::string drawn = go_on(wide);
  EXPECT_NE(drawn, go_on(Json::object()));
  for (const Json& narrower : {Json{{"top_k", 2}}, Json{{"top_p", 0.3}}, Json{{"min_p", 0.3}},
                               Json{{"typical_p", 0.2}}, Json{{"temperature", 0.1}}, Json{{"seed", 2}}}) {
    Json parameters = wide;
    parameters.update(narrower);
    EXPECT_NE(go_on(parameters), drawn) << narrower.dump();
  }
}

TEST_F(TextSampling, LogitBiasForbidsAndForcesTokens) {
  const std::string id = std::to_string(tokens_of(" sat").front());
  for (const std::string& key : {std::string(" sat"), id}) {
    EXPECT_THAT(go_on({{"logit_bias", {{key, "-inf"}}}}), Not(HasSubstr(" sat"))) << key;
  }
  EXPECT_EQ(go_on({{"logit_bias", {{" dog", 1000}}}, {"max_tokens", 3}}), " dog dog dog");
  EXPECT_THAT(refusal("text.generate", {{"prompt", "x"}, {"logit_bias", {{"many tokens here", 1}}}},
                      StatusCode::kInvalidArgument),
              HasSubstr("expected a text that is one token, or a token's id, got 3 tokens"));
}

}  // namespace
}  // namespace weft::testing
