/// text.embed with a sentence encoder, MiniLM, against sentence-transformers (scripts/make_golden/sentence_embeddings.py);
/// text.rank.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "modalities/weights/weight_file.h"
#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kMiniLm = "all-MiniLM-L6-v2";
constexpr size_t kWidth = 384;
using Vector = std::vector<float>;

double cosine(const Vector& a, const Vector& b) {
  const auto product = [](const Vector& x, const Vector& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
  };
  return product(a, b) / std::sqrt(product(a, a) * product(b, b));
}

struct TextModels : TextPipelineTest {
  using TextPipelineTest::find_model;
};

class SentenceEmbed : public PluginPipelineTest {
 protected:
  explicit SentenceEmbed(const char* precision = "f32")
      : PluginPipelineTest(weft_plugin_entry(WEFT_ABI_VERSION),
                           {{"path", kMiniLm}, {"precision", precision}}) {}

  void SetUp() override {
    if (!TextModels::find_model(kMiniLm).empty()) return;
    GTEST_SKIP() << "skipped: the model is not there; run scripts/fetch_models minilm";
  }

  std::vector<Vector> embed_all(const std::vector<std::string>& texts,
                                const Json& parameters = Json::object()) {
    Json with = {{"texts", texts}};
    with.update(parameters);
    const Json tensor = run_node("text.embed", with, {"embedding"})["embedding"];
    EXPECT_EQ(tensor["shape"], Json({texts.size(), kWidth}));
    const Vector data = tensor["data"];
    std::vector<Vector> vectors;
    for (size_t i = 0; i < texts.size(); ++i)
      vectors.emplace_back(data.begin() + static_cast<std::ptrdiff_t>(i * kWidth),
                           data.begin() + static_cast<std::ptrdiff_t>((i + 1) * kWidth));
    return vectors;
  }
  Vector embed(const std::string& text, const Json& parameters = Json::object()) {
    Json with = {{"text", text}};
    with.update(parameters);
    const Json tensor = run_node("text.embed", with, {"embedding"})["embedding"];
    EXPECT_EQ(tensor["shape"], Json({kWidth}));
    return tensor["data"];
  }
};

struct Golden {
  explicit Golden(const std::string& folder = "assets/golden") {
    std::stringstream json;
    json << std::ifstream(folder + "/sentence_embeddings.json").rdbuf();
    texts = Json::parse(json.str())["texts"];
    const Result<WeightFile> file = WeightFile::open(folder + "/sentence_embeddings.safetensors");
    if (!file.ok()) throw std::runtime_error(to_string(file.error()));
    const WeightTensor& tensor = **file->tensor("vectors");
    vectors.assign(texts.size(), Vector(kWidth));
    for (size_t i = 0; i < texts.size(); ++i)
      std::memcpy(vectors[i].data(), tensor.data + i * kWidth * 4, kWidth * 4);
  }
  std::vector<std::string> texts;
  std::vector<Vector> vectors;
};

TEST_F(SentenceEmbed, AgreesWithSentenceTransformers) {
  const Golden golden;
  const std::vector<Vector> got = embed_all(golden.texts);
  ASSERT_EQ(got.size(), 32u);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_GT(cosine(got[i], golden.vectors[i]), 0.9999) << golden.texts[i];
    EXPECT_NEAR(std::inner_product(got[i].begin(), got[i].end(), got[i].begin(), 0.0), 1, 1e-5);
  }
}

// Made by the same script; too large to be kept here.
TEST_F(SentenceEmbed, AgreesWithSentenceTransformersOnOneThousandSentences) {
  const char* folder = std::getenv("WEFT_SENTENCES");
  if (folder == nullptr) GTEST_SKIP() << "skipped: WEFT_SENTENCES names no folder";
  const Golden golden(folder);
  ASSERT_EQ(golden.texts.size(), 1000u);
  double least = 1;
  for (size_t begin = 0; begin < golden.texts.size(); begin += 20) {  // larger tensors are not written out
    const auto first = golden.texts.begin() + static_cast<std::ptrdiff_t>(begin);
    const std::vector<Vector> got = embed_all({first, first + 20});
    for (size_t i = 0; i < got.size(); ++i)
      least = std::min(least, cosine(got[i], golden.vectors[begin + i]));
  }
  std::printf("1,000 sentences: cosine at least %.8f\n", least);
  EXPECT_GT(least, 0.9999);
}

class SentenceEmbedBf16 : public SentenceEmbed {
 protected:
  SentenceEmbedBf16() : SentenceEmbed("bf16") {}
};

TEST_F(SentenceEmbedBf16, IsNearSentenceTransformers) {
  const Golden golden;
  const std::vector<Vector> got = embed_all(golden.texts);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_GT(cosine(got[i], golden.vectors[i]), 0.999) << golden.texts[i];
}

TEST_F(SentenceEmbed, ATextGetsTheSameBitsAloneInAListAndBesideOtherRequests) {
  std::vector<std::string> texts = {"A cat sleeps.", "", "word",
                                    "The tax office measures the price of bread; it never rains."};
  for (int i = 0; i < 40; ++i)
    texts.push_back(std::string("Sentence ") + std::to_string(i) +
                    std::string(static_cast<size_t>(7 * i), 'x'));
  const std::vector<Vector> together = embed_all(texts);
  Json each = pipeline_of("text.embed", {{"text", "${inputs.t}"}}, {"embedding"});
  each["inputs"] = {{"t", {{"type", "text"}}}};
  std::vector<Json> items;
  for (const std::string& text : texts) items.push_back({{"t", text}});
  const std::vector<Json> of_items = outputs_of_items(each, items);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(of_items[i]["embedding"]["data"].get<Vector>(), together[i]) << texts[i];
    if (i < 4) {
      EXPECT_EQ(embed(texts[i]), together[i]) << texts[i];
    }
  }
}

TEST_F(SentenceEmbed, PoolsAndScalesAsItIsTold) {
  const Json raw = {{"normalize", false}};
  const auto with = [](const char* pooling) { return Json({{"pooling", pooling}, {"normalize", false}}); };
  const std::string text = "Hello there";
  EXPECT_EQ(embed(text, raw), embed(text, with("mean")));
  EXPECT_EQ(embed(text, with("first")), embed(text, with("cls")));
  EXPECT_NE(embed(text, with("first")), embed(text, with("last")));
  const Vector mean = embed(text, with("mean")), most = embed(text, with("max"));
  for (size_t i = 0; i < kWidth; ++i) EXPECT_GE(most[i], mean[i] - 1e-5);
  EXPECT_GT(std::abs(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0) - 1), 0.01);
  EXPECT_NEAR(cosine(mean, embed(text)), 1, 1e-6);
}

// 256 tokens with the two around it: what comes later does not count.
TEST_F(SentenceEmbed, ATextThatIsTooLongLosesItsEnd) {
  std::string text;
  for (int i = 0; i < 254; ++i) text += "apple ";
  const Vector whole = embed(text);
  EXPECT_EQ(embed(text + "and a very different end"), whole);
  EXPECT_NE(embed(text.substr(6)), whole);
}

TEST_F(SentenceEmbed, TakesAnEmptyTextAndAnEmptyList) {
  EXPECT_NEAR(cosine(embed(""), embed("  \n")), 1, 1e-6);
  EXPECT_EQ(embed_all({}).size(), 0u);
  EXPECT_THAT(refusal("text.embed", {{"text", ""}, {"add_special", false}}, StatusCode::kInvalidArgument),
              HasSubstr("an empty text"));
}

TEST_F(SentenceEmbed, TakesATextAndAListTogether) {
  const Json tensor =
      run_node("text.embed", {{"text", "one"}, {"texts", {"two", "three"}}}, {"embedding"})["embedding"];
  EXPECT_EQ(tensor["shape"], Json({3, kWidth}));
  Vector all;
  for (const Vector& vector : embed_all({"one", "two", "three"}))
    all.insert(all.end(), vector.begin(), vector.end());
  EXPECT_EQ(tensor["data"].get<Vector>(), all);
}

TEST_F(SentenceEmbed, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refusal("text.embed", Json::object(), StatusCode::kInvalidArgument), HasSubstr("got none"));
  for (const char* node : {"text.generate", "text.chat"})
    EXPECT_THAT(refusal(node, {{"prompt", "Hello"}}, StatusCode::kUnsupported), HasSubstr("text.embed"));
  EXPECT_THAT(refusal("text.score", {{"text", "Hello"}}, StatusCode::kUnsupported), HasSubstr("an encoder"));
}

TEST_F(SentenceEmbed, Tokenizes) {
  EXPECT_EQ(run_node("text.tokenize", {{"text", "The CAT!"}}, {"tokens"})["tokens"],
            Json({101, 1996, 4937, 999, 102}));
}

TEST_F(SentenceEmbed, RanksTextsByWhatTheySay) {
  const Json texts = {"The invoice is due on Friday.", "A kitten naps on the cosy couch.",
                      "Bread is made of flour and water."};
  const Json pipeline = {
      {"nodes",
       {{"q",
         {{"uses", "text.embed"}, {"with", {{"model", "m"}, {"text", "Where does the little cat sleep?"}}}}},
        {"t", {{"uses", "text.embed"}, {"with", {{"model", "m"}, {"texts", texts}}}}},
        {"r",
         {{"uses", "text.rank"},
          {"in", {{"query", "q.embedding"}, {"embeddings", "t.embedding"}}},
          {"with", {{"texts", texts}, {"top", 2}}}}}}},
      {"outputs",
       {{"best", "r.best"}, {"texts", "r.texts"}, {"scores", "r.scores"}, {"indices", "r.indices"}}}};
  const Json got = outputs(pipeline);
  EXPECT_EQ(got["best"], texts[1]);
  ASSERT_EQ(got["texts"].size(), 2u);
  EXPECT_EQ(got["texts"][0], texts[1]);
  EXPECT_EQ(got["indices"][0], 1);
  EXPECT_GT(got["scores"][0].get<double>(), got["scores"][1].get<double>());
  EXPECT_GT(got["scores"][0].get<double>(), 0.3);

  Json fewer = pipeline;
  fewer["nodes"]["r"]["with"]["texts"] = {"one"};
  EXPECT_THAT(refusal(fewer, StatusCode::kInvalidShape), HasSubstr("expected [1, 384], got [3, 384]"));
}

}  // namespace
}  // namespace weft::testing
