// The nodes on reduced random models, against transformers and open_clip (scripts/make_golden/vision.py, open_clip_models.py); and what
// they promise on any model.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kernels/testing/tolerance.h"
#include "modalities/image/processor/testing/golden_pictures.h"
#include "modalities/weights/testing/model_file_writer.h"
#include "plugins/vision/bench_node.h"
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

const std::string kModels = "assets/golden/vision/models/",
                  kOpenClipModels = "assets/golden/open_clip/models/";
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
  bool is_open_clip = false;
};
class VisionModels : public VisionNodes, public ::testing::WithParamInterface<GoldenModel> {
 protected:
  std::string folder() const {
    return (GetParam().is_open_clip ? kOpenClipModels : kModels) + GetParam().name;
  }
  std::vector<float> expected(const char* name) const {
    return ::weft::testing::golden_tensor(folder() + "/expected.safetensors", name);
  }
};

TEST_P(VisionModels, AgreeWithTheirReference) {
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
  const bool own = GetParam().classifies, sigmoid = std::string(GetParam().name).starts_with("siglip");
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

INSTANTIATE_TEST_SUITE_P(
    All, VisionModels,
    ::testing::Values(GoldenModel{"clip", 1, true, false}, GoldenModel{"siglip", 0, true, false},
                      GoldenModel{"siglip2", 0, true, false}, GoldenModel{"vit", 1, false, true},
                      GoldenModel{"dinov2", 1, false, true}, GoldenModel{"dinov2_swiglu", 1, false, true},
                      GoldenModel{"plain", 1, true, false, true},
                      GoldenModel{"custom", 1, true, false, true}),
    [](const auto& model) {
      return std::string(model.param.is_open_clip ? "open_clip_" : "") + model.param.name;
    });

// Texts of any case, and a file of the tokenizer that lower-cases by itself, as Siglip2Tokenizer saves it.
TEST_F(VisionNodes, SiglipTwoGivesTheIdsOfTransformers) {
  const std::filesystem::path published = kModels + "siglip2",
                              saved = ::weft::testing::fresh_folder("vision_siglip2");
  const nlohmann::json words = nlohmann::json::parse(std::ifstream(published / "words.json"));
  const auto said = words["texts"].get<std::vector<std::string>>();
  for (const auto& entry : std::filesystem::directory_iterator(published))
    std::filesystem::copy_file(entry.path(), saved / entry.path().filename());
  nlohmann::ordered_json tokenizer =
      nlohmann::ordered_json::parse(std::ifstream(published / "tokenizer.json"));
  tokenizer["normalizer"] = {{"type", "Sequence"},
                             {"normalizers", {{{"type", "Lowercase"}}, tokenizer["normalizer"]}}};
  std::ofstream(saved / "tokenizer.json") << tokenizer;
  for (const std::filesystem::path& folder : {published, saved}) {
    for (const auto& [precision, allowed] : {std::pair("f32", 1e-4), std::pair("bf16", 2e-2)}) {
      use_model(folder.string(), precision);
      EXPECT_LT(error(tensor(outputs(kEncodeTextNode, {{}, texts(said)}, kAsItIs)[0]).values,
                      ::weft::testing::golden_tensor((published / "expected.safetensors").string(), "words")),
                allowed);
    }
    for (size_t i = 0; i < said.size(); ++i) {
      int64_t n_cut = 0;
      const auto ids = model_->texts()->tokens_of(
          said[i], [] { return false; }, &n_cut);
      ASSERT_TRUE(ids.ok()) << to_string(ids.error());
      EXPECT_EQ(*ids, words["ids"][i].get<std::vector<TokenId>>()) << said[i];
    }
  }
}

// Pictures of their own shapes: the first three of PICTURES in scripts/make_golden/vision.py.
class NaflexNodes : public VisionNodes {
 protected:
  NaflexNodes() { use_model(kFolder); }
  Value shaped(size_t i) {
    const auto [width, height] = kSizes[i];
    return picture<uint8_t>({1, height, width, 3}, golden_picture(width, height));
  }
  Value all() { return list_of({shaped(0), shaped(1), shaped(2)}); }
  static std::vector<float> expected(const char* name) {
    return ::weft::testing::golden_tensor(kFolder + "/expected.safetensors", name);
  }
  static inline const std::string kFolder = kModels + "siglip2_naflex";
  static constexpr std::pair<int, int> kSizes[] = {{97, 61}, {30, 211}, {9, 7}};
};

TEST_F(NaflexNodes, AgreeWithTransformers) {
  for (const auto& [precision, allowed] : {std::pair("f32", 1e-4), std::pair("bf16", 2e-2)}) {
    use_model(kFolder, precision);
    EXPECT_LT(error(tensor(outputs(kEncodeNode, {{}, all()}, kAsItIs)[0]).values, expected("pooled")),
              allowed);
    const std::vector<Value> similarity = outputs(kSimilarityNode, {{}, all(), {}, texts(kTexts)});
    EXPECT_LT(error(tensor(similarity[1]).values, expected("logits")), allowed);
    EXPECT_LT(
        error(tensor(outputs(kEncodeTextNode, {{}, texts(kTexts)}, kAsItIs)[0]).values, expected("texts")),
        allowed);
    std::vector<float> hidden;
    for (size_t i = 0; i < 3; ++i) {
      const Tensor got = tensor(outputs(kEncodeNode, {shaped(i)}, {{"of", "\"patches\""}})[0]);
      EXPECT_EQ(got.shape[1] > got.shape[2], i == 1);  // one is higher than wide
      hidden.insert(hidden.end(), got.values.begin(), got.values.end());
    }
    EXPECT_LT(error(hidden, expected("hidden")), allowed);
  }
}

TEST_F(NaflexNodes, GiveAPictureTheSameBitsBesideOthersAndAlone) {
  const Tensor together = tensor(outputs(kEncodeNode, {{}, all()})[0]);
  std::vector<float> alone;
  for (size_t i = 0; i < 3; ++i) {
    const Tensor one = tensor(outputs(kEncodeNode, {shaped(i)})[0]);
    alone.insert(alone.end(), one.values.begin(), one.values.end());
  }
  EXPECT_EQ(alone, together.values);
}

TEST_F(NaflexNodes, GivePatchesOfPicturesOfOneShapeAlone) {
  const std::map<std::string, std::string> patches = {{"of", "\"patches\""}};
  EXPECT_EQ(tensor(outputs(kEncodeNode, {shaped(0), list_of({shaped(0)})}, patches)[0]).shape[0], 2);
  EXPECT_THAT(to_string(run(kEncodeNode, {shaped(0), list_of({shaped(1)})}, patches).status.error()),
              AllOf(HasSubstr("different shapes"), HasSubstr("patches")));
}

TEST_F(NaflexNodes, AreMeasuredByTheLargestSquare) {
  const std::vector<Value> report = outputs(kBenchNode, {}, {{"batch", "2"}, {"repetitions", "1"}});
  EXPECT_THAT(std::string(report[0].bytes_view()),
              AllOf(HasSubstr("\"size\":24"), HasSubstr("images_per_s")));
}

TEST_F(NaflexNodes, OpenNamesWhatDoesNotFit) {
  const auto with = [&](const std::string& from, const std::string& to) {
    const std::filesystem::path folder = ::weft::testing::fresh_folder("vision_naflex");
    for (const auto& entry : std::filesystem::directory_iterator(kFolder))
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename());
    for (const char* name : {"config.json", "preprocessor_config.json"}) {
      std::ostringstream text;
      text << std::ifstream(folder / name).rdbuf();
      std::string json = text.str();
      const size_t at = json.find(from);
      if (at != std::string::npos)
        ::weft::testing::write_file(folder / name, json.replace(at, from.size(), to));
    }
    const auto model = open_model<VisionModel>(folder.string(), {{"precision", "f32"}});
    return model.ok() ? std::string("accepted") : to_string(model.error());
  };
  EXPECT_EQ(with("\"max_num_patches\": 20", "\"max_num_patches\": 50"), "accepted");
  EXPECT_THAT(with("\"num_patches\": 16", "\"num_patches\": 15"), HasSubstr("a square"));
  EXPECT_THAT(with("\"num_patches\": 16", "\"num_patches\": 25"),
              HasSubstr("'embeddings.position_embedding.weight' is [16, 32], not [25, 32]"));
  EXPECT_THAT(with("\"max_num_patches\": 20,\n  \"patch_size\": 6", "\"patch_size\": 7"),
              AllOf(HasSubstr("preprocessor_config.json"), HasSubstr("6 pixels a side")));
  EXPECT_THAT(with("\"max_num_patches\": 20", "\"max_num_patches\": 7456541"), HasSubstr("max_num_patches"));
  EXPECT_THAT(with("\"Siglip2ImageProcessor\"", "\"SiglipImageProcessor\", \"size\": 24"),
              AllOf(HasSubstr("preprocessor_config.json"), HasSubstr("pictures that keep their shapes")));
}

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
  std::filesystem::copy_file("assets/golden/vision/processors/siglip2.json",
                             other_size / "preprocessor_config.json",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(other_size),
              AllOf(HasSubstr("preprocessor_config.json"), HasSubstr("pictures of one size")));
  const std::filesystem::path no_processor = copy("processor");
  std::filesystem::remove(no_processor / "preprocessor_config.json");
  EXPECT_THAT(refusal(no_processor), HasSubstr("preprocessor_config.json"));
  const std::filesystem::path no_words = copy("words");
  std::filesystem::remove(no_words / "vocab.json");
  EXPECT_THAT(refusal(no_words), HasSubstr("tokenizer"));
}

// Golden folders of OpenCLIP's, and what open() says of a changed copy.
class OpenClipModels : public VisionNodes {
 protected:
  static std::filesystem::path copy(const std::string& of, const std::string& name) {
    const std::filesystem::path folder = ::weft::testing::fresh_folder("vision_" + name);
    for (const auto& entry : std::filesystem::directory_iterator(kOpenClipModels + of))
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename());
    return folder;
  }
  static void change(const std::filesystem::path& folder, const std::string& from, const std::string& to) {
    std::ostringstream text;
    text << std::ifstream(folder / "open_clip_config.json").rdbuf();
    std::string config = text.str();
    const size_t at = config.rfind(from);  // the text tower's are the last
    ASSERT_NE(at, std::string::npos) << from;
    ::weft::testing::write_file(folder / "open_clip_config.json", config.replace(at, from.size(), to));
  }
  std::string refusal(const std::filesystem::path& path) {
    const auto model = open_model<VisionModel>(path.string(), {{"precision", "f32"}});
    return model.ok() ? std::string("accepted") : to_string(model.error());
  }
  std::string changed(const std::string& from, const std::string& to) {
    const std::filesystem::path folder = copy("custom", "changed");
    change(folder, from, to);
    return refusal(folder);
  }
};

TEST_F(OpenClipModels, OpenByTheirFolderOrTheirFile) {
  EXPECT_EQ(refusal(copy("plain", "plain")), "accepted");
  EXPECT_EQ(refusal(copy("custom", "file") / "open_clip_model.safetensors"), "accepted");
}

TEST_F(OpenClipModels, NameTheKeyOfWhatTheirTextTowerCannotDo) {
  EXPECT_EQ(changed("\"heads\": 3", "\"heads\": 3, \"hf_tokenizer_name\": \"me/mine\", \"embed_cls\": false"),
            "accepted");
  const std::pair<const char*, const char*> cases[] = {
      {R"("hf_model_name": "roberta-base", "hf_proj_type": "mlp")", "hf_model_name"},
      {R"("pool_type": "eos")", "pool_type"},
      {R"("pool_type": "last")", "pool_type"},
      {R"("proj_type": "none")", "proj_type"},
      {R"("proj_bias": true)", "proj_bias"},
      {R"("no_causal_mask": true)", "no_causal_mask"},
      {R"("embed_cls": true)", "embed_cls"},
      {R"("tokenizer_mode": "clips")", "tokenizer_mode"},
      {R"("tokenizer_kwargs": {"clean": "canonicalize"})", "tokenizer_kwargs.clean"},
      {R"("ls_init_value": 0.1)", "ls_init_value"},
      {R"("context_length": 0)", "context_length"}};
  for (const auto& [keys, key] : cases) {
    const bool own = std::string(keys).find("context") != std::string::npos;
    const std::string from = own ? "\"context_length\": 12" : "\"heads\": 3",
                      to = own ? keys : from + ", " + keys;
    EXPECT_THAT(changed(from, to), HasSubstr("'model_cfg.text_cfg." + std::string(key) + "'")) << keys;
  }
  EXPECT_THAT(changed("\"heads\": 3", "\"heads\": 5"), HasSubstr("heads must divide the width"));
  EXPECT_THAT(changed("\"layers\": 2", "\"layers\": 3"),
              AllOf(HasSubstr("missing"), HasSubstr("text_model.encoder.layers.2.")));
  EXPECT_THAT(changed("\"vocab_size\": 60", "\"vocab_size\": 61"),
              HasSubstr("'text_model.embeddings.token_embedding.weight' is [60, 24], not [61, 24]"));
  EXPECT_THAT(changed("\"squash\"", "\"crop\""), HasSubstr("'preprocess_cfg.resize_mode'"));
}

// Tensors in the place of others: the golden file's header with a name or a shape changed, of the same length.
TEST_F(OpenClipModels, NameTensorsThatAreMissingOrMisshapen) {
  const auto with_header = [&](const std::string& from, const std::string& to) {
    const std::filesystem::path folder = copy("plain", "header"),
                                path = folder / "open_clip_model.safetensors";
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    std::string bytes = text.str();
    const size_t at = bytes.find(from);
    if (at == std::string::npos || from.size() != to.size()) return "there is no " + from;
    ::weft::testing::write_file(path, bytes.replace(at, from.size(), to));
    return refusal(folder);
  };
  EXPECT_THAT(with_header("\"visual.proj\"", "\"visual.prox\""),
              AllOf(HasSubstr("missing: 'visual_projection.weight'"), HasSubstr("unexpected: 'prox'")));
  EXPECT_THAT(with_header("\"text_projection\"", "\"text_projectiox\""),
              HasSubstr("missing: 'text_projection.weight'"));
  EXPECT_THAT(with_header("\"logit_scale\"", "\"logit_scalx\""), HasSubstr("logit_scalx"));
  // Queries, keys and values of other widths, and what does not divide into them.
  EXPECT_THAT(with_header("[96,32]", "[48,64]"),
              AllOf(HasSubstr("self_attn.q_proj.weight'"), HasSubstr("is [16, 64], not [32, 32]")));
  EXPECT_THAT(with_header("[96,32]", "[32,96]"), HasSubstr("attn.in_proj_weight' [32, 96]"));
}

// Every value of the configuration in turn is another. Of sizes none of these is right; whatever the rest is, opening ends.
TEST_F(OpenClipModels, SurviveAnyValueOfTheirConfiguration) {
  const std::filesystem::path folder = copy("custom", "values"), path = folder / "open_clip_config.json";
  const nlohmann::json whole = nlohmann::json::parse(std::ifstream(path)), leaves = whole.flatten();
  const std::set<std::string> sizes = {"embed_dim",  "width",      "layers",    "heads",         "head_width",
                                       "patch_size", "vocab_size", "mlp_ratio", "context_length"};
  int n_refused = 0;
  for (const auto& leaf : leaves.items())
    for (const char* other :
         {"0", "-1", "1e300", "9223372036854775807", "\"x\"", "[]", "[7, 5]", "[{\"a\": 1}]", "null"}) {
      const std::string pointer = leaf.key(), name = pointer.substr(pointer.rfind('/') + 1);
      nlohmann::json changed = whole;
      changed[nlohmann::json::json_pointer(pointer)] = nlohmann::json::parse(other);
      std::ofstream(path) << changed;
      const std::string got = refusal(folder);
      n_refused += got != "accepted";
      if (sizes.contains(name) && std::string(other) != "null") {
        EXPECT_NE(got, "accepted") << pointer << " = " << other;
      }
    }
  EXPECT_GT(n_refused, 100);
  for (const char* config : {"", "{", "[]", "{}", R"({"model_cfg": 3})", R"({"model_cfg": {}})"}) {
    ::weft::testing::write_file(path, config);
    EXPECT_THAT(refusal(folder), HasSubstr("open_clip_config.json")) << config;
  }
}

TEST_F(OpenClipModels, RefuseAnotherTokenizer) {
  const std::filesystem::path no_class = copy("plain", "class");
  std::filesystem::remove(no_class / "tokenizer_config.json");
  EXPECT_THAT(refusal(no_class), AllOf(HasSubstr("not CLIP's"), HasSubstr("puts none around it")));
  const std::filesystem::path none = copy("custom", "none");
  std::filesystem::remove(none / "tokenizer.json");
  EXPECT_THAT(refusal(none), HasSubstr("tokenizer"));
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
