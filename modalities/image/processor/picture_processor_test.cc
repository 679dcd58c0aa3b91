// Preprocessing against transformers' processors, open_clip and Pillow, on the pictures of scripts/make_golden/vision.py.
#include "modalities/image/processor/picture_processor.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>

#include "modalities/image/processor/testing/golden_pictures.h"
#include "modalities/weights/json_file.h"
#include "modalities/weights/testing/model_file_writer.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kGolden = "assets/golden/vision/processors/";

struct Source {
  const char* name;
  int width, height, channels;
};
constexpr Source kSources[] = {{"wide", 97, 61, 3}, {"high", 30, 211, 3}, {"small", 9, 7, 3},
                               {"same", 24, 24, 3}, {"alpha", 50, 33, 4}, {"gray", 41, 65, 1}};

PictureProcessor read(const std::string& name) {
  const Result<PictureProcessor> processor = PictureProcessor::read(kGolden + name + ".json");
  if (!processor.ok()) throw std::runtime_error(to_string(processor.error()));
  return *processor;
}

Picture picture_of(std::vector<uint8_t>& pixels, const Source& source) {
  return {{},
          packed_image_view(pixels.data(), WEFT_DTYPE_U8, {1, source.height, source.width, source.channels}),
          ColorSpace::kSrgb};
}

std::vector<float> run(const PictureProcessor& processor, const Picture& picture, int64_t index = 0) {
  const PictureProcessor::Size size = processor.result_size(picture.shape());
  std::vector<float> values(static_cast<size_t>(size.height * size.width * 3), NAN);
  processor.run(picture, index, values.data(), [] { return false; });
  return values;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double{a[i]} - b[i]));
  return most;
}

class Processors : public ::testing::TestWithParam<const char*> {};

TEST_P(Processors, GiveTheBytesOfTransformersAndPillowWithinOne) {
  PictureProcessor processor = read(GetParam());
  processor.scale = 1;
  processor.mean = {0, 0, 0};
  processor.deviation = {1, 1, 1};
  int64_t other = 0, all = 0;
  for (const Source& source : kSources) {
    std::vector<uint8_t> pixels = testing::golden_picture(source.width, source.height, source.channels);
    const std::vector<float> got = run(processor, picture_of(pixels, source));
    const std::vector<float> expected =
        testing::golden_tensor(kGolden + "expected.safetensors", std::string(GetParam()) + "." + source.name);
    EXPECT_LE(largest_difference(got, expected), 1) << source.name;
    for (size_t i = 0; i < got.size() && i < expected.size(); ++i) other += got[i] != expected[i];
    all += static_cast<int64_t>(got.size());
  }
  EXPECT_LE(other, all / 50);  // where a sum lies between two bytes
}

TEST_P(Processors, NormalizeAsTransformersDoes) {
  std::vector<uint8_t> pixels = testing::golden_picture(97, 61);
  const PictureProcessor processor = read(GetParam());
  const float byte =
      processor.scale / *std::min_element(processor.deviation.begin(), processor.deviation.end());
  EXPECT_LE(largest_difference(run(processor, picture_of(pixels, kSources[0])),
                               testing::golden_tensor(kGolden + "expected.safetensors",
                                                      std::string(GetParam()) + ".values")),
            byte * 1.001);
}

INSTANTIATE_TEST_SUITE_P(All, Processors,
                         ::testing::Values("clip", "clip_bilinear", "padded", "siglip", "vit", "dinov2",
                                           "lanczos", "nearest", "siglip2"),
                         [](const auto& name) { return std::string(name.param); });

// open_clip's, from the JSON of an open_clip_config.json.
Result<PictureProcessor> read_open_clip(const std::string& preprocess) {
  const std::filesystem::path path = ::weft::testing::fresh_folder("open_clip") / "open_clip_config.json";
  ::weft::testing::write_file(path, "{\"preprocess_cfg\": " + preprocess + "}");
  const Result<rapidjson::Document> json = read_json_file(path, kMaxConfigBytes);
  if (!json.ok()) return json.status();
  Metadata metadata(path.string());
  if (Status flat = flatten_json(*json, metadata); !flat.ok()) return flat;
  return PictureProcessor::of_open_clip(metadata, 24);
}

class OpenClip : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  const std::string golden_ = "assets/golden/open_clip/preprocess.safetensors";
};

TEST_P(OpenClip, GivesItsBytesWithinOne) {
  const auto& [mode, filter] = GetParam();
  const Result<PictureProcessor> processor =
      read_open_clip(std::string(R"({"resize_mode": ")") + mode + R"(", "interpolation": ")" + filter +
                     R"(", "mean": 0, "std": [1, 1, 1], "size": 99})");
  ASSERT_TRUE(processor.ok()) << to_string(processor.error());
  int64_t other = 0, all = 0;
  for (const Source& source : kSources) {
    if (source.channels == 4) continue;  // open_clip drops what says how transparent it is
    std::vector<uint8_t> pixels = testing::golden_picture(source.width, source.height, source.channels);
    std::vector<float> got = run(*processor, picture_of(pixels, source));
    for (float& value : got) value = std::round(value * 255);
    const std::vector<float> expected =
        testing::golden_tensor(golden_, std::string(mode) + "." + filter + "." + source.name);
    EXPECT_LE(largest_difference(got, expected), 1) << source.name;
    for (size_t i = 0; i < got.size() && i < expected.size(); ++i) other += got[i] != expected[i];
    all += static_cast<int64_t>(got.size());
  }
  EXPECT_LE(other, all / 50);
}

INSTANTIATE_TEST_SUITE_P(All, OpenClip,
                         ::testing::Combine(::testing::Values("shortest", "longest", "squash"),
                                            ::testing::Values("bicubic", "bilinear")),
                         [](const auto& tested) {
                           return std::string(std::get<0>(tested.param)) + "_" + std::get<1>(tested.param);
                         });

TEST(OpenClipProcessor, HasOpenClipsDefaults) {
  const Result<PictureProcessor> processor = read_open_clip(R"({"mean": null})");
  ASSERT_TRUE(processor.ok()) << to_string(processor.error());
  std::vector<uint8_t> pixels = testing::golden_picture(97, 61);
  EXPECT_LE(
      largest_difference(run(*processor, picture_of(pixels, kSources[0])),
                         testing::golden_tensor("assets/golden/open_clip/preprocess.safetensors", "values")),
      1.001 / 255 / 0.26);
}

TEST(OpenClipProcessor, NamesWhatItCannotDo) {
  const auto refusal = [](const std::string& json) {
    const Result<PictureProcessor> processor = read_open_clip(json);
    return processor.ok() ? std::string("accepted") : to_string(processor.error());
  };
  EXPECT_EQ(refusal(R"({"interpolation": "random", "mode": "RGB", "fill_color": 9, "later": 1})"),
            "accepted");
  EXPECT_THAT(refusal(R"({"interpolation": "nearest"})"),
              AllOf(HasSubstr("'preprocess_cfg.interpolation'"), HasSubstr("open_clip_config.json"),
                    HasSubstr("bilinear")));
  EXPECT_THAT(refusal(R"({"interpolation": 3})"), HasSubstr("preprocess_cfg.interpolation"));
  EXPECT_THAT(refusal(R"({"resize_mode": "crop"})"), HasSubstr("'preprocess_cfg.resize_mode'"));
  EXPECT_THAT(refusal(R"({"resize_mode": "longest", "fill_color": 9})"), HasSubstr("fill_color"));
  EXPECT_THAT(refusal(R"({"mode": "L"})"), HasSubstr("'preprocess_cfg.mode'"));
  for (const char* mean : {"[0.5, 0.5]", "[0, 0, 1e30]", "\"0.5\"", "[[0, 0, 0]]", "[\"a\", \"b\", \"c\"]"})
    EXPECT_THAT(refusal(std::string("{\"mean\": ") + mean + "}"), HasSubstr("preprocess_cfg.mean")) << mean;
  for (const char* deviation : {"[1, 0, 1]", "0", "-1", "[1, 1, 1, 1]"})
    EXPECT_THAT(refusal(std::string("{\"std\": ") + deviation + "}"), HasSubstr("'preprocess_cfg.std'"))
        << deviation;
}

TEST(PictureProcessor, TakesPicturesOfFloatsAndOfLightAsTheirBytes) {
  const PictureProcessor processor = read("clip");
  std::vector<uint8_t> bytes = testing::golden_picture(97, 61);
  std::vector<float> floats;
  for (const uint8_t byte : bytes) floats.push_back(static_cast<float>(byte) / 255 + 0.0005f);
  const ImageShape shape{1, 61, 97, 3};
  const std::vector<float> expected = run(processor, picture_of(bytes, kSources[0]));
  EXPECT_EQ(run(processor, {{}, packed_image_view(floats.data(), WEFT_DTYPE_F32, shape), ColorSpace::kSrgb}),
            expected);
  for (size_t i = 0; i < floats.size(); ++i) {
    const double value = bytes[i] / 255.0;
    floats[i] = static_cast<float>(value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4));
  }
  EXPECT_EQ(
      run(processor, {{}, packed_image_view(floats.data(), WEFT_DTYPE_F32, shape), ColorSpace::kLinear}),
      expected);
}

TEST(PictureProcessor, TakesOnePictureOfABatch) {
  const PictureProcessor processor = read("siglip");
  std::vector<uint8_t> batch = testing::golden_picture(97, 61, 3, 5),
                       second = testing::golden_picture(97, 61);
  batch.insert(batch.end(), second.begin(), second.end());
  EXPECT_EQ(run(processor,
                {{}, packed_image_view(batch.data(), WEFT_DTYPE_U8, {2, 61, 97, 3}), ColorSpace::kSrgb}, 1),
            run(processor, picture_of(second, kSources[0])));
}

TEST(PictureProcessor, HasNoSizeOfItsOwnWherePicturesKeepTheirShapes) {
  const PictureProcessor processor = read("siglip2");  // at most 20 patches of 6 x 6 pixels
  EXPECT_EQ(processor.height, 0);
  EXPECT_EQ(processor.width, 0);
  const std::tuple<ImageShape, int64_t, int64_t> cases[] = {{{1, 61, 97, 3}, 24, 30},
                                                            {{1, 1, 65535, 3}, 6, 120},
                                                            {{1, 65535, 1, 3}, 120, 6},
                                                            {{1, 1, 1, 3}, 24, 24}};
  for (const auto& [shape, height, width] : cases) {
    const PictureProcessor::Size size = processor.result_size(shape);
    EXPECT_EQ(size.height, height) << to_string(shape);
    EXPECT_EQ(size.width, width) << to_string(shape);
  }
}

TEST(PictureProcessor, NamesWhatItCannotDo) {
  const auto refusal = [](const std::string& json) -> std::string {
    const std::filesystem::path path =
        ::weft::testing::fresh_folder("picture_processor") / "preprocessor_config.json";
    ::weft::testing::write_file(path, json);
    const Result<PictureProcessor> processor = PictureProcessor::read(path);
    return processor.ok() ? "accepted" : to_string(processor.error());
  };
  const std::string values = R"("image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5])";
  EXPECT_EQ(
      refusal("{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"size\": 224, \"crop_size\": 224, " +
              values + "}"),
      "accepted");
  EXPECT_THAT(
      refusal(R"({"image_processor_type": "DPTImageProcessor"})"),
      AllOf(HasSubstr("DPTImageProcessor"), HasSubstr("preprocessor_config.json"), HasSubstr("Siglip")));
  EXPECT_THAT(refusal("{\"size\": 224, \"crop_size\": 224, \"resample\": 5, " + values + "}"),
              HasSubstr("resample"));
  EXPECT_THAT(refusal("{\"size\": 224, \"do_center_crop\": false, " + values + "}"),
              HasSubstr("do_center_crop"));
  EXPECT_THAT(refusal("{\"size\": 0, \"crop_size\": 224, " + values + "}"), HasSubstr("'size'"));
  EXPECT_THAT(refusal(R"({"size": 224, "crop_size": 224, "image_mean": [0.5], "image_std": [1, 1, 1]})"),
              HasSubstr("image_mean"));
  EXPECT_THAT(refusal(R"({"size": 224, "crop_size": 224, "image_mean": [0, 0, 0], "image_std": [1, 0, 1]})"),
              HasSubstr("image_std"));
  EXPECT_THAT(refusal("[]"), HasSubstr("preprocessor_config.json"));
}

}  // namespace
}  // namespace weft
