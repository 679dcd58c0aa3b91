/// The nodes that read a text with a model: text.tokenize, text.score, text.choose, text.embed.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TextTokenize : public TextPipelineTest {};

TEST_F(TextTokenize, GivesIdsAndTheirCount) {
  const Json got = run_node("text.tokenize", {{"text", "The capital of France"}}, {"tokens", "count"});
  EXPECT_EQ(got["tokens"], Json({504, 3575, 282, 4649}));
  EXPECT_EQ(got["count"], 4);
  EXPECT_EQ(run_node("text.tokenize", {{"text", ""}}, {"tokens", "count"}),
            Json({{"count", 0}, {"tokens", Json::array()}}));
}

TEST_F(TextTokenize, ReadsControlTokensOnlyWhenAsked) {
  EXPECT_THAT(tokens_of("<|im_end|>", true), ElementsAre(2));
  EXPECT_EQ(tokens_of("a<|im_start|>b<|im_end|>", true).size(), 4u);
  EXPECT_THAT(tokens_of("a<|im_start|>b<|im_end|>"), ::testing::Each(::testing::Gt(2)));
}

class TextScore : public TextPipelineTest {};

TEST_F(TextScore, GivesEachTokenItsLogProbabilityAfterThoseBefore) {
  const std::string text = "One, two, three, four, five";
  const Json got = run_node("text.score", {{"text", text}}, {"scores", "perplexity"});
  const Json& logprobs = got["scores"]["logprobs"];
  EXPECT_EQ(got["scores"]["tokens"].get<std::vector<int32_t>>(), tokens_of(text));
  ASSERT_EQ(logprobs.size(), got["scores"]["tokens"].size());
  EXPECT_TRUE(logprobs[0].is_null());
  double sum = 0;
  for (size_t i = 1; i < logprobs.size(); ++i) {
    EXPECT_LE(logprobs[i], 0);
    sum += logprobs[i].get<double>();
  }
  EXPECT_NEAR(got["perplexity"], std::exp(-sum / static_cast<double>(logprobs.size() - 1)), 1e-6);
  // A token's score does not depend on what follows.
  const Json shorter =
      run_node("text.score", {{"text", "One, two, three"}}, {"scores"})["scores"]["logprobs"];
  for (size_t i = 0; i < shorter.size(); ++i) EXPECT_EQ(shorter[i], logprobs[i]) << i;
}

TEST_F(TextScore, TakesTextsOfNoneAndOneToken) {
  EXPECT_EQ(run_node("text.score", {{"text", ""}}, {"scores", "perplexity"}),
            Json::parse(R"({"perplexity": 1.0, "scores": {"tokens": [], "logprobs": []}})"));
  EXPECT_EQ(run_node("text.score", {{"text", "Hello"}}, {"scores"})["scores"],
            Json::parse(R"({"tokens": [19556], "logprobs": [null]})"));
}

TEST_F(TextScore, KeysAndValuesOfEveryTypeGiveNearlyTheSame) {
  const auto perplexity = [&](const char* type) -> double {
    return run_node("text.score",
                    {{"text", "The rain in Spain stays mainly in the plain."}, {"kv_type", type}},
                    {"perplexity"})["perplexity"];
  };
  const double exact = perplexity("f32");
  for (const char* type : {"f16", "bf16", "q8_0"}) {
    EXPECT_NEAR(perplexity(type), exact, 0.1 * exact) << type;
    EXPECT_NE(perplexity(type), exact) << type;
  }
}

TEST_F(TextScore, RefusesATextBeyondTheModelsContext) {
  std::string text;
  for (int i = 0; i < 9000; ++i) text += " apple";
  EXPECT_THAT(refusal("text.score", {{"text", text}}, StatusCode::kOutOfRange),
              HasSubstr("expected at most 8192 tokens, got 9000 tokens"));
}

class TextChoose : public TextPipelineTest {};

TEST_F(TextChoose, GivesProbabilitiesOfAllOptionsAndTheLikeliest) {
  const Json options = {"Berlin", "Paris", "a small village"};
  const Json got =
      run_node("text.choose",
               {{"prompt", "The capital of France is the city of "}, {"format", "raw"}, {"options", options}},
               {"choice", "probabilities", "index"});
  double sum = 0;
  for (const auto& [option, probability] : got["probabilities"].items()) {
    EXPECT_THAT(options, Contains(option));
    sum += probability.get<double>();
  }
  EXPECT_EQ(got["probabilities"].size(), 3u);
  EXPECT_NEAR(sum, 1, 1e-6);
  EXPECT_EQ(got["choice"], "Paris");
  EXPECT_EQ(got["index"], 1);
}

// An option's probability is that of its tokens and of the end after them: what text.score finds for the same tokens.
TEST_F(TextChoose, AgreesWithScore) {
  const std::string prompt = "Question: Is water wet? Answer:";
  const Json options = {" yes", " no, it is not"};
  std::vector<double> sums, means;
  for (const std::string option : options) {
    const Json scores =
        run_node("text.score", {{"text", prompt + option + "<|im_end|>"}, {"parse_special", true}},
                 {"scores"})["scores"];
    const size_t count = tokens_of(option).size() + 1;
    ASSERT_EQ(scores["tokens"].size(), tokens_of(prompt).size() + count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
      sum += scores["logprobs"][scores["logprobs"].size() - 1 - i].get<double>();
    sums.push_back(sum);
    means.push_back(sum / static_cast<double>(count));
  }
  const auto first = [](const std::vector<double>& logs) { return 1 / (1 + std::exp(logs[1] - logs[0])); };
  const auto chosen = [&](const char* normalize) -> double {
    return run_node("text.choose",
                    {{"prompt", prompt}, {"format", "raw"}, {"options", options}, {"normalize", normalize}},
                    {"probabilities"})["probabilities"][" yes"];
  };
  EXPECT_NEAR(chosen("sum"), first(sums), 1e-5);
  EXPECT_NEAR(chosen("mean"), first(means), 1e-5);
}

TEST_F(TextChoose, SteersAWhen) {
  Json pipeline = pipeline_of(
      "text.choose", {{"prompt", "Red, red, red, red,"}, {"format", "raw"}, {"options", {" red", " blue"}}},
      {"choice"});
  pipeline["nodes"]["r"] = {{"uses", "text.template"},
                            {"with", {{"template", "warm"}}},
                            {"when", {{"port", "n.choice"}, {"equals", " red"}}}};
  pipeline["nodes"]["b"] = {{"uses", "text.template"},
                            {"with", {{"template", "cold"}}},
                            {"when", {{"port", "n.choice"}, {"equals", " blue"}}}};
  pipeline["outputs"]["red"] = "r.text";
  pipeline["outputs"]["blue"] = "b.text";
  EXPECT_EQ(outputs(pipeline), Json({{"choice", " red"}, {"red", "warm"}}));
}

TEST_F(TextChoose, RefusesAnEmptyListOfOptions) {
  EXPECT_THAT(
      refusal("text.choose", {{"prompt", "x"}, {"options", Json::array()}}, StatusCode::kInvalidArgument),
      HasSubstr("parameter 'options'"));
}

class TextEmbed : public TextPipelineTest {
 protected:
  std::vector<double> embed(const std::string& text, const Json& parameters = Json::object()) {
    Json with = {{"text", text}};
    with.update(parameters);
    const Json tensor = run_node("text.embed", with, {"embedding"})["embedding"];
    EXPECT_EQ(tensor["shape"], Json({576}));
    EXPECT_EQ(tensor["dtype"], "f32");
    return tensor["data"];
  }
  static double product(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }
};

TEST_F(TextEmbed, VectorsHaveLengthOneAndPointWhereTheMeaningDoes) {
  const std::vector<double> cat = embed("A cat sleeps on the warm sofa."),
                            kitten = embed("A kitten naps on the cosy couch."),
                            tax = embed("def parse(tokens): return tokens[0]");
  EXPECT_NEAR(product(cat, cat), 1, 1e-5);
  EXPECT_NEAR(product(tax, tax), 1, 1e-5);
  EXPECT_GT(product(cat, kitten), product(cat, tax));
}

TEST_F(TextEmbed, PoolsAsItIsTold) {
  const auto raw = [&](const std::string& text, const char* pooling) {
    return embed(text, {{"pooling", pooling}, {"normalize", false}});
  };
  // The first token sees itself alone; of two tokens, the mean is that of the first and the last.
  const std::vector<double> first = raw("Hello there", "first"), last = raw("Hello there", "last"),
                            mean = raw("Hello there", "mean");
  EXPECT_EQ(first, raw("Hello", "mean"));
  EXPECT_NE(first, last);
  for (size_t i = 0; i < mean.size(); ++i) EXPECT_NEAR(mean[i], (first[i] + last[i]) / 2, 1e-4) << i;
}

TEST_F(TextEmbed, RefusesAnEmptyText) {
  EXPECT_THAT(refusal("text.embed", {{"text", ""}}, StatusCode::kInvalidArgument),
              HasSubstr("an empty text"));
}

}  // namespace
}  // namespace weft::testing
