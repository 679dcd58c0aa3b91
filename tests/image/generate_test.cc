/// image.generate and its parts on the emoji model: diffusers' pictures, batches, cancelling, memory, refusals.
#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

Json with(Json base, const Json& more) {
  base.update(more);
  return base;
}

const Json kApple = {{"prompt", "red apple"}, {"steps", 3},  {"cfg", 4.0}, {"seed", 7},
                     {"width", 32},           {"height", 32}};

class ImageGenerate : public ImagePipelineTest {};

// assets/golden/diffusion/emoji_*.png, made by scripts/make_golden/emoji_pictures.py.
class DiffusersPictures : public ImagePipelineTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(DiffusersPictures, AreTheSame) {
  const fs::path golden = fs::absolute("assets/golden/diffusion");
  std::ifstream file(golden / "emoji_pictures.json");
  const Json record = Json::parse(file);
  Json parameters = record["pictures"][GetParam()];
  Json pipeline = {{"nodes",
                    {{"golden",
                      {{"uses", "image.load"},
                       {"with", {{"path", (golden / (std::string(GetParam()) + ".png")).string()}}}}}}},
                   {"outputs", {{"painted", "n.image"}, {"golden", "golden.image"}}}};
  Json node = {{"uses", "image.generate"}};
  if (parameters.contains("image")) {
    pipeline["nodes"]["from"] = {
        {"uses", "image.load"},
        {"with", {{"path", (golden / parameters["image"].get<std::string>()).string()}}}};
    node["in"] = {{"image", "from.image"}};
    parameters.erase("image");
  }
  node["with"] = with(parameters, {{"model", "m"}});
  pipeline["nodes"]["n"] = node;
  const Json got = outputs(pipeline);
  EXPECT_GE(peak_signal_to_noise(pixels_of(got["painted"]), pixels_of(got["golden"])),
            record["least_psnr_db"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Emoji, DiffusersPictures,
                         ::testing::Values("emoji_ddim", "emoji_negative", "emoji_ancestral",
                                           "emoji_from_picture"),
                         [](const auto& param) { return std::string(param.param); });

TEST_F(ImageGenerate, ABatchIsThePicturesOfItsSeeds) {
  const std::vector<int> batch = generate(with(kApple, {{"n", 3}, {"sampler", "euler_ancestral"}}));
  std::vector<int> alone;
  for (int i = 0; i < 3; ++i) {
    const std::vector<int> one = generate(with(kApple, {{"seed", 7 + i}, {"sampler", "euler_ancestral"}}));
    alone.insert(alone.end(), one.begin(), one.end());
  }
  EXPECT_EQ(batch.size(), 3u * 32 * 32 * 3);
  EXPECT_EQ(batch, alone);
}

TEST_F(ImageGenerate, ThreadsDoNotChangeIt) {
  const Json pipeline = pipeline_of("image.generate", kApple, {"image"});
  const Result<Json> one = run(pipeline, {.on_event = {}, .threads = 1});
  const Result<Json> three = run(pipeline, {.on_event = {}, .threads = 3});
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(pixels_of((*one)["image"]), pixels_of((*three)["image"]));
}

TEST_F(ImageGenerate, EverySamplerPaints) {
  for (const char* sampler :
       {"ddim", "ddpm", "pndm", "lms", "euler", "euler_ancestral", "heun", "dpm_2", "dpmpp_2m",
        "dpmpp_2m_sde", "dpmpp_sde", "uni_pc", "uni_pc_bh2", "lcm", "tcd", "deis"}) {
    EXPECT_EQ(generate(with(kApple, {{"sampler", sampler}, {"steps", 4}})).size(), 32u * 32 * 3) << sampler;
  }
  for (const char* sampler : {"deis", "ipndm", "ipndm_v"}) {
    const Json got = with(kApple, {{"sampler", sampler}, {"steps", 4}, {"profile", "comfyui"}});
    EXPECT_EQ(generate(got).size(), 32u * 32 * 3) << sampler;
  }
}

TEST_F(ImageGenerate, ProfilesSchedulesAndRandomNumbersDiffer) {
  const Json base = with(kApple, {{"sampler", "euler"}});
  const std::vector<int> plain = generate(base);
  EXPECT_NE(generate(with(base, {{"profile", "comfyui"}})), plain);
  EXPECT_NE(generate(with(base, {{"schedule", "karras"}})), plain);
  EXPECT_NE(generate(with(base, {{"rng", "philox"}})), plain);
  EXPECT_EQ(generate(base), plain);
}

TEST_F(ImageGenerate, PromptsCarryWeightsWhereAskedFor) {
  const auto paint = [&](const char* prompt, const char* weights) {
    return generate(with(kApple, {{"prompt", prompt}, {"prompt_weights", weights}}));
  };
  const std::vector<int> plain = paint("red apple", "none");
  EXPECT_NE(paint("(red:1.4) apple", "a1111"), plain);
  EXPECT_NE(paint("(red:1.4) apple", "comfyui"), paint("(red:1.4) apple", "a1111"));
  EXPECT_NE(paint("{red} apple", "novelai"), plain);
  EXPECT_EQ(paint("(red:1) apple", "a1111"), plain);
}

TEST_F(ImageGenerate, LongPromptsGoOnInFurtherChunks) {
  std::string prompt = "red apple";
  for (int i = 0; i < 20; ++i) prompt += ", green leaf";
  EXPECT_EQ(generate(with(kApple, {{"prompt", prompt}})).size(), 32u * 32 * 3);
  const std::string error =
      refusal(pipeline_of("image.generate", with(kApple, {{"prompt", prompt}, {"max_chunks", 1}}), {}),
              StatusCode::kOutOfRange);
  EXPECT_THAT(error, HasSubstr("max_chunks"));
}

TEST_F(ImageGenerate, KeepsWhatLiesOutsideOfTheMask) {
  // A picture with an empty mask comes back as the autoencoder gives it; under a full one it is painted anew.
  const fs::path golden = fs::absolute("assets/golden/diffusion/emoji_ddim.png");
  const auto painted = [&](const char* mask_color) {
    const Json pipeline = {
        {"nodes",
         {{"picture", {{"uses", "image.load"}, {"with", {{"path", golden.string()}}}}},
          {"one",
           {{"uses", "image.crop"},
            {"in", {{"image", "picture.image"}}},
            {"with", {{"width", 1}, {"height", 1}}}}},
          {"framed",
           {{"uses", "image.pad"},
            {"in", {{"image", "one.image"}}},
            {"with", {{"left", 1}, {"right", 64}, {"top", 1}, {"bottom", 64}, {"color", mask_color}}}}},
          {"mask",
           {{"uses", "image.crop"},
            {"in", {{"image", "framed.image"}}},
            {"with", {{"width", 64}, {"height", 64}, {"x", 2}, {"y", 2}}}}},
          {"n",
           {{"uses", "image.generate"},
            {"in", {{"image", "picture.image"}, {"mask", "mask.image"}}},
            {"with",
             {{"model", "m"}, {"prompt", "blue heart"}, {"steps", 4}, {"seed", 1}, {"strength", 1.0}}}}}}},
        {"outputs", {{"image", "n.image"}, {"picture", "picture.image"}}}};
    const Json got = outputs(pipeline);
    return peak_signal_to_noise(pixels_of(got["image"]), pixels_of(got["picture"]));
  };
  EXPECT_GT(painted("black"), 25);
  EXPECT_LT(painted("white"), 20);
}

TEST_F(ImageGenerate, ItsPartsGiveTheSamePicture) {
  const auto node = [](const char* uses, const Json& in, const Json& values) {
    Json made = {{"uses", uses}, {"with", with(values, {{"model", "m"}})}};
    if (!in.empty()) made["in"] = in;
    return made;
  };
  const Json pipeline = {
      {"nodes",
       {{"positive", node("image.text_encode", Json::object(), {{"text", "red apple"}})},
        {"negative", node("image.text_encode", Json::object(), {{"text", ""}})},
        {"start", node("image.empty_latent", Json::object(), {{"width", 32}, {"height", 32}, {"n", 2}})},
        {"painted", node("image.sample",
                         {{"latent", "start.latent"},
                          {"positive", "positive.conditioning"},
                          {"negative", "negative.conditioning"}},
                         {{"steps", 3}, {"cfg", 4.0}, {"seed", 7}, {"strength", 1.0}})},
        {"picture", node("image.vae_decode", {{"latent", "painted.latent"}}, Json::object())},
        {"back", node("image.vae_encode", {{"image", "picture.image"}}, {{"width", 32}, {"height", 32}})},
        {"again", node("image.vae_decode", {{"latent", "back.latent"}}, Json::object())}}},
      {"outputs", {{"picture", "picture.image"}, {"again", "again.image"}}}};
  const Json got = outputs(pipeline);
  EXPECT_EQ(pixels_of(got["picture"]), generate(with(kApple, {{"n", 2}})));
  EXPECT_GT(peak_signal_to_noise(pixels_of(got["again"]), pixels_of(got["picture"])), 18);
}

TEST_F(ImageGenerate, TellsEachStep) {
  std::vector<int64_t> done;
  const auto on_event = [&](const Event& event) {
    if (const auto* progress = std::get_if<Progress>(&event)) done.push_back(progress->done);
  };
  ASSERT_TRUE(run(pipeline_of("image.generate", kApple, {"image"}), {.on_event = on_event}).ok());
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(ImageGenerate, StopsWhenItIsCancelled) {
  CancelToken cancel;
  int64_t last = 0;
  const auto on_event = [&](const Event& event) {
    const auto* progress = std::get_if<Progress>(&event);
    if (progress == nullptr) return;
    last = progress->done;
    cancel.cancel();
  };
  const Result<Json> result = run(pipeline_of("image.generate", with(kApple, {{"steps", 900}}), {"image"}),
                                  {.on_event = on_event, .cancel = &cancel});
  EXPECT_EQ(result.code(), StatusCode::kCancelled);
  EXPECT_LT(last, 900);
}

TEST_F(ImageGenerate, StagedWeightsGiveTheSamePicture) {
  Json pipeline = pipeline_of("image.generate", with(kApple, {{"n", 2}}), {"image"});
  pipeline["models"] = {{"m",
                         {{"path", fs::absolute("assets/models/emoji").string()},
                          {"precision", "f32"},
                          {"residency", "staged"}}}};
  const std::vector<int> whole = generate(with(kApple, {{"n", 2}}));
  EXPECT_EQ(pixels_of(outputs(pipeline)["image"]), whole);
  EXPECT_EQ(pixels_of(outputs(pipeline)["image"]), whole) << "and its text encoder comes back";
}

// Of the autoencoder's tiles against whole pictures: two steps of 8 bits.
TEST_F(ImageGenerate, TilesLeaveNoSeams) {
  const Json large = with(kApple, {{"width", 192}, {"height", 128}, {"steps", 1}});
  const std::vector<int> whole = generate(large), tiled = generate(with(large, {{"tile", 64}}));
  ASSERT_EQ(whole.size(), tiled.size());
  int apart = 0;
  for (size_t i = 0; i < whole.size(); ++i) apart = std::max(apart, std::abs(whole[i] - tiled[i]));
  EXPECT_LE(apart, 2);
  EXPECT_EQ(generate(with(kApple, {{"tile", 64}})), generate(kApple)) << "one tile is the whole picture";
}

TEST_F(ImageGenerate, RefusesTilesThatAreMostlyOverlap) {
  const std::string error =
      refusal(pipeline_of("image.generate", with(kApple, {{"tile", 40}}), {}), StatusCode::kInvalidArgument);
  EXPECT_THAT(error, HasSubstr("at least 64 pixels"));
}

TEST_F(ImageGenerate, RefusesSizesThatDoNotFit) {
  const auto refused = [&](const Json& more) {
    return refusal(pipeline_of("image.generate", with(kApple, more), {}), StatusCode::kInvalidArgument);
  };
  EXPECT_THAT(refused({{"width", 60}}), HasSubstr("a multiple of 8"));
  EXPECT_THAT(refused({{"width", 60}}), HasSubstr("64 is the nearest"));
  EXPECT_THAT(refused({{"height", 4095}}), HasSubstr("height"));
  EXPECT_THAT(refused({{"sampler", "lcm"}, {"steps", 51}}), HasSubstr("50 steps"));
}

TEST_F(ImageGenerate, RefusesAPictureOfAnotherSize) {
  const fs::path golden = fs::absolute("assets/golden/diffusion/emoji_ddim.png");
  const Json pipeline = {{"nodes",
                          {{"picture", {{"uses", "image.load"}, {"with", {{"path", golden.string()}}}}},
                           {"n",
                            {{"uses", "image.generate"},
                             {"in", {{"image", "picture.image"}}},
                             {"with", with(kApple, {{"model", "m"}})}}}}},
                         {"outputs", {{"image", "n.image"}}}};
  const std::string error = refusal(pipeline, StatusCode::kInvalidShape);
  EXPECT_THAT(error, HasSubstr("32 x 32"));
  EXPECT_THAT(error, HasSubstr("64 x 64"));
}

TEST_F(ImageGenerate, PaintsFromNoiseWhereThePictureIsSkipped) {
  const fs::path golden = fs::absolute("assets/golden/diffusion/emoji_ddim.png");
  const Json pipeline = {
      {"inputs", {{"wanted", {{"type", "bool"}, {"default", false}}}}},
      {"nodes",
       {{"picture",
         {{"uses", "image.load"}, {"when", "inputs.wanted"}, {"with", {{"path", golden.string()}}}}},
        {"n",
         {{"uses", "image.generate"},
          {"in", {{"image", "picture.image"}, {"mask", "picture.image"}}},
          {"with", with(kApple, {{"model", "m"}})}}}}},
      {"outputs", {{"image", "n.image"}}}};
  EXPECT_EQ(pixels_of(outputs(pipeline)["image"]), generate(kApple));
}

TEST_F(ImageGenerate, RefusesGuidanceWithoutANegativePrompt) {
  const auto node = [](const char* uses, const Json& values) {
    return Json{{"uses", uses}, {"with", with(values, {{"model", "m"}})}};
  };
  Json sample = node("image.sample", {{"steps", 2}, {"seed", 1}});
  sample["in"] = {{"latent", "start.latent"}, {"positive", "positive.conditioning"}};
  const Json pipeline = {{"nodes",
                          {{"positive", node("image.text_encode", {{"text", "red apple"}})},
                           {"start", node("image.empty_latent", {{"width", 32}, {"height", 32}})},
                           {"n", sample}}},
                         {"outputs", {{"latent", "n.latent"}}}};
  EXPECT_THAT(refusal(pipeline, StatusCode::kInvalidArgument), HasSubstr("cfg"));
}

}  // namespace
}  // namespace weft::testing
