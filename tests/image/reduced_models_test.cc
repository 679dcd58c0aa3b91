/// Reduced random models of all kinds against pictures that diffusers paints with them: every option that a picture depends
/// on, through nodes. assets/golden/diffusion/pictures/, made by scripts/make_golden/diffusion_pictures.py.
#include "tests/image/reduced_models.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

class ReducedModelPictures : public ReducedModels, public ::testing::WithParamInterface<const char*> {};

TEST_P(ReducedModelPictures, AreThoseOfDiffusers) {
  const Json all = record();
  ASSERT_TRUE(all["pictures"].contains(GetParam()));
  EXPECT_GE(likeness(GetParam()), all["least_psnr_db"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(Reduced, ReducedModelPictures,
                         ::testing::Values("control_one", "control_two_in_turn", "inpaint_by_mask",
                                           "inpaint_model", "inpaint_model_partly", "from_picture", "lcm",
                                           "velocity", "xl_base", "xl_negative", "xl_refined", "clip_skip",
                                           "embedding", "weights_a1111", "weights_novelai", "long_prompt",
                                           "two_adapters"),
                         [](const auto& param) { return std::string(param.param); });

TEST_F(ReducedModels, EveryGoldenPictureIsCompared) {
  EXPECT_EQ(record()["pictures"].size(), 17u);  // as many as above
}

TEST_F(ReducedModels, ABatchFromAPictureIsThePicturesOfItsSeeds) {
  const auto paint = [&](int seed, int n) {
    Json wanted = record()["pictures"]["inpaint_by_mask"];
    wanted["with"].update({{"seed", seed}, {"n", n}, {"sampler", "euler_ancestral"}});
    Json pipeline = generate_pipeline(wanted);
    pipeline["outputs"] = {{"painted", "painted.image"}};
    return pixels_of(outputs(pipeline)["painted"]);
  };
  std::vector<int> alone = paint(7, 1);
  const std::vector<int> second = paint(8, 1);
  alone.insert(alone.end(), second.begin(), second.end());
  EXPECT_EQ(paint(7, 2), alone);
}

TEST_F(ReducedModels, PartsPaintIntoPicturesAsGenerateDoes) {
  // With ComfyUI's conventions, which take an encoded picture's mean.
  for (const char* unet : {"unet", "unet_inpaint"}) {
    Json wanted = record()["pictures"]["inpaint_model"];
    wanted["unet"] = unet;
    wanted["with"]["profile"] = "comfyui";
    wanted["with"]["strength"] = 1.0;
    Json pipeline = generate_pipeline(wanted);
    const Json size = {{"width", wanted["with"]["width"]}, {"height", wanted["with"]["height"]}};
    const Json profile = {{"profile", "comfyui"}};
    Json text = profile, empty = profile, values = wanted["with"];
    text["text"] = wanted["with"]["prompt"];
    empty["text"] = "";
    for (const char* name : {"prompt", "width", "height"}) values.erase(name);
    Json& nodes = pipeline["nodes"];
    nodes["positive"] = node("image.text_encode", Json::object(), text);
    nodes["negative"] = node("image.text_encode", Json::object(), empty);
    nodes["encoded"] = node("image.vae_encode", {{"image", "image.image"}}, size);
    nodes["hidden"] = node("image.vae_encode", {{"image", "image.image"}, {"mask", "mask.image"}}, size);
    nodes["sampled"] = node("image.sample",
                            {{"latent", "encoded.latent"},
                             {"positive", "positive.conditioning"},
                             {"negative", "negative.conditioning"},
                             {"mask", "mask.image"},
                             {"masked", "hidden.latent"}},
                            values);
    nodes["decoded"] = node("image.vae_decode", {{"latent", "sampled.latent"}}, Json::object());
    pipeline["outputs"] = {{"painted", "painted.image"}, {"decoded", "decoded.image"}};
    const Json got = outputs(pipeline);
    EXPECT_EQ(pixels_of(got["decoded"]), pixels_of(got["painted"])) << unet;
  }
}

TEST_F(ReducedModels, RefuseControlsThatDoNotFit) {
  const Json wanted = record()["pictures"]["control_one"];
  const auto refused = [&](StatusCode code, const std::function<void(Json&)>& change) {
    Json pipeline = generate_pipeline(wanted);
    pipeline["outputs"] = {{"painted", "painted.image"}};
    change(pipeline);
    return refusal(pipeline, code);
  };
  EXPECT_THAT(refused(StatusCode::kNotFound,
                      [](Json& p) { p["nodes"]["control_edges"]["with"]["network"] = "pose"; }),
              HasSubstr("one of: edges, depth"));
  EXPECT_THAT(refused(StatusCode::kInvalidArgument,
                      [](Json& p) {
                        p["nodes"]["control_edges"]["with"]["start"] = 0.6;
                        p["nodes"]["control_edges"]["with"]["end"] = 0.4;
                      }),
              HasSubstr("ends before it starts"));
  EXPECT_THAT(
      refused(StatusCode::kInvalidShape, [](Json& p) { p["nodes"]["painted"]["with"]["width"] = 40; }),
      HasSubstr("40 x 24"));
  const std::string other = refused(StatusCode::kCorruptData, [](Json& p) {
    p["models"]["m"]["control"] =
        Json::array({{{"name", "edges"}, {"path", (golden() / "sd21/controlnet").string()}}});
  });
  EXPECT_THAT(other, HasSubstr("levels of 8 x2, 12 x2, 16 x2"));
  EXPECT_THAT(other, HasSubstr("levels of 8 x1, 16 x1"));
  EXPECT_THAT(refused(StatusCode::kNotFound,
                      [](Json& p) {
                        p["models"]["m"]["control"] =
                            Json::array({{{"name", "edges"}, {"path", (golden() / "sd15/vae").string()}}});
                      }),
              HasSubstr("no control network"));
}

}  // namespace
}  // namespace weft::testing
