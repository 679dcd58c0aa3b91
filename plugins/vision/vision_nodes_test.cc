// The nodes on reduced random models, against transformers (scripts/make_golden/vision.py); and what they promise on any model.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/testing/tolerance.h"
#include "modalities/image/processor/testing/golden_pictures.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "plugins/vision/encode_nodes.h"
#include "plugins/vision/match_nodes.h"
#include "plugins/vision/testing/vision_nodes.h"

namespace weft::vision {
namespace {

using ::testing::AllOf;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::weft::testing::golden_picture;

const std::string kModels = "assets/golden/vision/models/";
const std::vector<std::string> kTexts = {"a red cat", "cat", "the red, red cat on a mat"};

class VisionNodes : public testing::VisionNodesTest {
 protected:
  VisionNodes() { use_model(kModels + "clip"); }

  Value golden(int size, int salt) {
    return picture<uint8_t>({1, size, size, 3}, golden_picture(size, size, 3, salt));
  }
  Value golden_batch(int size) {
    std::vector<uint8_t> pixels;
    for (const int salt : {0, 60, 130}) {
      const std::vector<uint8_t> one = golden_picture(size, size, 3, salt);
      pixels.insert(pixels.end(), one.begin(), one.end());
    }
    return picture<uint8_t>({3, size, size, 3}, pixels);
  }
};

double error(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return INFINITY;
  return ::weft::testing::relative_error(got.data(), want.data(), static_cast<int64_t>(got.size()));
}

const std::map<std::string, std::string> kAsItIs = {{"normalize", "false"}};

struct GoldenModel {
  const char* name;
  int class_tokens;
  bool has_texts, classifies;
};
class VisionModels : public VisionNodes, public ::testing::WithParamInterface<GoldenModel> {
 protected:
  std::string folder() const { return kModels + GetParam().name; }
  std::vector<float> expected(const char* name) const {
    return ::weft::testing::golden_tensor(folder() + "/expected.safetensors", name);
  }
};

TEST_P(VisionModels, AgreeWithTransformers) {
  for (const auto& [precision, allowed] : {std::pair("f32", 1e-4), std::pair("bf16", 2e-2)}) {
    use_model(folder(), precision);
    const Value pictures = golden_batch(24);
    EXPECT_LT(error(tensor(outputs(kEncodeNode, {pictures}, kAsItIs)[0]).values, expected("pooled")),
              allowed);
    // The states without the class tokens'.
    const std::vector<float> hidden = expected("hidden");
    std::vector<float> patches;
    for (size_t row = 0; row * 32 < hidden.size(); ++row)
      if (static_cast<int>(row % (16 + static_cast<size_t>(GetParam().class_tokens))) >=
          GetParam().class_tokens)
        patches.insert(patches.end(), hidden.begin() + static_cast<std::ptrdiff_t>(row * 32),
                       hidden.begin() + static_cast<std::ptrdiff_t>(row * 32 + 32));
    const Tensor got = tensor(outputs(kEncodeNode, {pictures}, {{"of", "\"patches\""}})[0]);
    EXPECT_EQ(got.shape, (std::vector<int64_t>{3, 4, 4, 32}));
    EXPECT_LT(error(got.values, patches), allowed);
    if (!GetParam().has_texts) continue;
    EXPECT_LT(
        error(tensor(outputs(kEncodeTextNode, {{}, texts(kTexts)}, kAsItIs)[0]).values, expected("texts")),
        allowed);
    const std::vector<Value> similarity = outputs(kSimilarityNode, {pictures, {}, {}, texts(kTexts)});
    EXPECT_EQ(tensor(similarity[0]).shape, (std::vector<int64_t>{3, 3}));
    EXPECT_LT(error(tensor(similarity[1]).values, expected("logits")), allowed);
  }
}

TEST_P(VisionModels, ClassifyAsTheirLogitsSay) {
  if (!GetParam().classifies && !GetParam().has_texts)
    GTEST_SKIP() << "skipped: it neither classifies nor reads texts";
  use_model(folder());
  const bool own = GetParam().classifies, sigmoid = std::string(GetParam().name) == "siglip";
  const std::vector<float> logits = expected(own ? "classes" : "logits");
  const std::vector<Value> got = outputs(kClassifyNode, {golden_batch(24), {}, own ? Value() : texts(kTexts)},
                                         {{"templates", R"(["{}"])"}});
  const std::vector<float> probabilities = tensor(got[3]).values;
  const std::vector<std::string> names = own ? std::vector<std::string>{"cat", "dog", "kite"} : kTexts;
  for (size_t i = 0; i < 3; ++i) {
    const float* row = logits.data() + 3 * i;
    double sum = 0;
    for (size_t k = 0; k < 3; ++k) sum += std::exp(row[k]);
    for (size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(probabilities[3 * i + k], sigmoid ? 1 / (1 + std::exp(-row[k])) : std::exp(row[k]) / sum,
                  1e-4);
    EXPECT_EQ(got[1].item(i).bytes_view(), names[static_cast<size_t>(std::max_element(row, row + 3) - row)]);
  }
}

TEST_P(VisionModels, GiveAPictureTheSameBitsInABatchInAListAndAlone) {
  use_model(folder());
  const auto together = tensor(outputs(kEncodeNode, {golden_batch(24)})[0]);
  const auto listed =
      tensor(outputs(kEncodeNode, {{}, list_of({golden(24, 0), golden(24, 60), golden(24, 130)})})[0]);
  EXPECT_EQ(listed, together);
  std::vector<float> alone;
  for (const int salt : {0, 60, 130}) {
    const auto one = tensor(outputs(kEncodeNode, {golden(24, salt)})[0]);
    alone.insert(alone.end(), one.values.begin(), one.values.end());
  }
  EXPECT_EQ(alone, together.values);
}

INSTANTIATE_TEST_SUITE_P(All, VisionModels,
                         ::testing::Values(GoldenModel{"clip", 1, true, false},
                                           GoldenModel{"siglip", 0, true, false},
                                           GoldenModel{"vit", 1, false, true},
                                           GoldenModel{"dinov2", 1, false, true}),
                         [](const auto& model) { return std::string(model.param.name); });

TEST_F(VisionNodes, ATextGetsTheSameBitsInAListAndAlone) {
  const auto together = tensor(outputs(kEncodeTextNode, {{}, texts(kTexts)})[0]);
  for (size_t i = 0; i < kTexts.size(); ++i) {
    const auto alone = tensor(outputs(kEncodeTextNode, {text(kTexts[i])})[0]);
    EXPECT_TRUE(std::equal(alone.values.begin(), alone.values.end(),
                           together.values.begin() + static_cast<std::ptrdiff_t>(20 * i)));
  }
}

TEST_F(VisionNodes, VectorsHaveLengthOneUnlessTheyAreToStayAsTheyAre) {
  const auto length = [&](std::map<std::string, std::string> with) {
    double square = 0;
    for (const float value : tensor(outputs(kEncodeNode, {golden(24, 0)}, std::move(with))[0]).values)
      square += double{value} * value;
    return std::sqrt(square);
  };
  EXPECT_NEAR(length({}), 1, 1e-6);
  EXPECT_GT(std::abs(length(kAsItIs) - 1), 0.01);
}

TEST_F(VisionNodes, ClassifyGivesProbabilitiesOfLabels) {
  const std::map<std::string, std::string> with = {{"templates", R"(["{}", "a {} and a {}"])"}};
  const std::vector<Value> got =
      outputs(kClassifyNode, {golden_batch(24), {}, texts({"red", "cat", "mat"})}, with);
  const auto all = tensor(got[3]);
  ASSERT_EQ(all.shape, (std::vector<int64_t>{3, 3}));
  const std::vector<double> confidences = numbers(got[2]);
  for (size_t i = 0; i < 3; ++i) {
    const float* row = all.values.data() + 3 * i;
    EXPECT_NEAR(double{row[0]} + row[1] + row[2], 1, 1e-6);
    const auto best = static_cast<size_t>(std::max_element(row, row + 3) - row);
    EXPECT_NEAR(confidences[i], row[best], 1e-6);
    EXPECT_EQ(got[1].item(i).bytes_view(), (std::vector<std::string>{"red", "cat", "mat"})[best]);
  }
  EXPECT_EQ(got[0].bytes_view(), got[1].item(0).bytes_view());
}

TEST_F(VisionNodes, ClassifyWithOneTemplateIsTheSoftmaxOfTheLogits) {
  const auto logits =
      tensor(outputs(kSimilarityNode, {golden(24, 0), {}, {}, texts({"a red", "a cat"})})[1]).values;
  const auto got = tensor(outputs(kClassifyNode, {golden(24, 0), {}, texts({"red", "cat"})},
                                  {{"templates", R"(["a {}"])"}})[3])
                       .values;
  EXPECT_NEAR(got[0], 1 / (1 + std::exp(logits[1] - logits[0])), 1e-6);
}

TEST_F(VisionNodes, RankPutsPicturesInTheOrderOfTheirSimilarity) {
  const auto similarity = tensor(outputs(kSimilarityNode, {golden_batch(24), {}, text("red cat")})[0]).values;
  const std::vector<Value> got = outputs(kRankNode, {golden_batch(24), {}, text("red cat")}, {{"top", "2"}});
  const std::vector<double> scores = numbers(got[2]);
  std::vector<size_t> order = {0, 1, 2};
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return similarity[a] > similarity[b]; });
  ASSERT_EQ(got[1].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(scores[i], similarity[order[i]], 1e-6);
    EXPECT_EQ(value_api()->get_int(got[3].item(i).get()), static_cast<int64_t>(order[i]));
    EXPECT_EQ(pixels<uint8_t>(got[1].item(i)),
              golden_picture(24, 24, 3, static_cast<int>(std::vector<int>{0, 60, 130}[order[i]])));
  }
  EXPECT_EQ(pixels<uint8_t>(got[0]), pixels<uint8_t>(got[1].item(0)));
}

TEST_F(VisionNodes, TakePicturesOfDifferentSizesAndKinds) {
  const Value wide = picture<uint8_t>({1, 61, 97, 3}, golden_picture(97, 61)),
              alpha = picture<uint8_t>({2, 5, 7, 4}, std::vector<uint8_t>(2 * 5 * 7 * 4, 9)),
              gray = picture<float>({1, 3, 3, 1}, std::vector<float>(9, 0.25f));
  EXPECT_EQ(tensor(outputs(kEncodeNode, {wide, list_of({alpha, gray})})[0]).shape,
            (std::vector<int64_t>{4, 20}));
}

TEST_F(VisionNodes, ATextThatIsTooLongLosesItsEnd) {
  const std::string most = "a a a a a a a a a a";  // 12 tokens with the two around it
  const auto vector = [&](const std::string& of) { return tensor(outputs(kEncodeTextNode, {text(of)})[0]); };
  EXPECT_EQ(vector(most + " cat"), vector(most));
  EXPECT_NE(vector("a a a a a a a a a b"), vector(most));
}

TEST_F(VisionNodes, SayWhatIsMissing) {
  const auto refusal = [&](const weft_node_type& type, std::vector<Value> inputs,
                           std::map<std::string, std::string> with = {}) {
    const NodeResult result = run(type, std::move(inputs), std::move(with));
    return result.status.ok() ? std::string("accepted") : to_string(result.status.error());
  };
  EXPECT_THAT(refusal(kEncodeTextNode, {}), HasSubstr("no text"));
  EXPECT_THAT(refusal(kSimilarityNode, {golden(24, 0)}), HasSubstr("nothing to compare with"));
  EXPECT_THAT(refusal(kClassifyNode, {golden(24, 0), {}, texts({})}), HasSubstr("port 'labels'"));
  EXPECT_THAT(refusal(kClassifyNode, {golden(24, 0), {}, texts({"a"})}, {{"templates", R"(["a photo"])"}}),
              HasSubstr("{}"));
  EXPECT_THAT(refusal(kRankNode, {{}, list_of({}), text("a")}), HasSubstr("nothing to rank"));
  EXPECT_THAT(refusal(kEncodeNode, {picture<uint8_t>({1, 1, 1, 3}, {1, 2, 3}, "{\"color_space\":\"lab\"}")}),
              HasSubstr("port 'image'"));
}

TEST_F(VisionNodes, OpenNamesWhatDoesNotFit) {
  const auto copy = [](const std::string& name) {
    const std::filesystem::path folder = ::weft::testing::fresh_folder("vision_" + name);
    for (const auto& entry : std::filesystem::directory_iterator(kModels + "clip"))
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename());
    return folder;
  };
  const auto refusal = [&](const std::filesystem::path& folder) {
    const auto model = open_model<VisionModel>(folder.string(), {{"precision", "f32"}});
    return model.ok() ? std::string("accepted") : to_string(model.error());
  };
  EXPECT_EQ(refusal(copy("whole")), "accepted");
  const std::filesystem::path other_size = copy("size");
  std::filesystem::copy_file("assets/golden/vision/processors/padded.json",
                             other_size / "preprocessor_config.json",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(other_size),
              AllOf(HasSubstr("preprocessor_config.json"), HasSubstr("24 x 24"), HasSubstr("25 x 26")));
  const std::filesystem::path no_processor = copy("processor");
  std::filesystem::remove(no_processor / "preprocessor_config.json");
  EXPECT_THAT(refusal(no_processor), HasSubstr("preprocessor_config.json"));
  const std::filesystem::path no_words = copy("words");
  std::filesystem::remove(no_words / "vocab.json");
  EXPECT_THAT(refusal(no_words), HasSubstr("tokenizer"));
}

TEST_F(VisionNodes, AModelOfPicturesAloneComparesNoTexts) {
  const std::filesystem::path folder = ::weft::testing::fresh_folder("vision_tower");
  std::filesystem::copy("assets/golden/clip_vision/tower", folder);
  ::weft::testing::write_file(
      folder / "preprocessor_config.json",
      R"({"size": 20, "crop_size": 20, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]})");
  use_model(folder.string());
  EXPECT_EQ(tensor(outputs(kEncodeNode, {golden(24, 0)})[0]).shape, (std::vector<int64_t>{1, 24}));
  EXPECT_THAT(to_string(run(kRankNode, {golden(24, 0), {}, text("a")}).status.error()),
              HasSubstr("no encoder of texts"));
}

}  // namespace
}  // namespace weft::vision
