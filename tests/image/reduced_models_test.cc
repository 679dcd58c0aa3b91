/// Reduced random models of all kinds against pictures that diffusers paints with them: every option that a picture depends
/// on, through nodes. assets/golden/diffusion/pictures/, made by scripts/make_golden/diffusion_pictures.py.
#include <fstream>

#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ReducedModels : public ImagePipelineTest {
 protected:
  static fs::path golden() { return fs::absolute("assets/golden/diffusion"); }
  static Json record() {
    std::ifstream file(golden() / "pictures" / "pictures.json");
    return Json::parse(file);
  }
  static Json load(const std::string& name) {
    return {{"uses", "image.load"}, {"with", {{"path", (golden() / "pictures" / (name + ".png")).string()}}}};
  }
  static Json node(const char* uses, const Json& in, const Json& values, const char* model = "m") {
    Json made = {{"uses", uses}, {"in", in}, {"with", values}};
    made["with"]["model"] = model;
    return made;
  }
  /// The model's folder; with another UNet than its own, a folder of links into it.
  std::string model_folder(const std::string& model, const std::string& unet) const {
    if (unet == "unet") return (golden() / model).string();
    const fs::path variant = folder() / (model + "_" + unet);
    fs::create_directories(variant);
    for (const auto& entry : fs::directory_iterator(golden() / model)) {
      const std::string name = entry.path().filename();
      const bool of_base = unet == "unet_refiner" && (name == "text_encoder" || name == "tokenizer");
      if (name != "unet" && !of_base) fs::create_symlink(entry.path(), variant / name);
    }
    fs::create_symlink(golden() / model / unet, variant / "unet");
    return variant.string();
  }
  Json model_entry(const Json& wanted) const {
    Json entry = wanted.value("options", Json::object());
    entry.update(
        {{"path", model_folder(wanted["model"], wanted.value("unet", "unet"))}, {"precision", "f32"}});
    return entry;
  }
  /// image.generate with the pictures and controls of a case.
  Json generate_pipeline(const Json& wanted) const {
    Json nodes = Json::object(), in = Json::object();
    for (const char* port : {"image", "mask"}) {
      if (!wanted.contains(port)) continue;
      nodes[port] = load(wanted[port]);
      in[port] = std::string(port) + ".image";
    }
    std::string before;
    for (const Json& use : wanted.value("control", Json::array())) {
      const std::string name = "control_" + use["network"].get<std::string>();
      nodes[name + "_picture"] = load(use["picture"]);
      Json values = use, ports = {{"image", name + "_picture.image"}};
      values.erase("picture");
      if (!before.empty()) ports["control"] = before;
      nodes[name] = node("image.control", ports, values);
      before = name + ".control";
    }
    if (!before.empty()) in["control"] = before;
    nodes["painted"] = node("image.generate", in, wanted["with"]);
    return {{"models", {{"m", model_entry(wanted)}}}, {"nodes", nodes}};
  }
  /// The base's latents, and the refiner that goes on with them.
  Json refined_pipeline(const Json& wanted) const {
    const auto of = [](const Json& all, std::initializer_list<const char*> names) {
      Json some = Json::object();
      for (const char* name : names)
        if (all.contains(name)) some[name] = all[name];
      return some;
    };
    const Json &first = wanted["base"], &second = wanted["with"];
    const auto sampling = {"steps", "cfg", "seed", "sampler", "strength"};
    Json first_values = of(first, sampling);
    first_values["strength"] = 1.0;
    Json nodes = {
        {"start", node("image.empty_latent", Json::object(), of(second, {"width", "height"}), "base")}};
    for (const char* model : {"base", "m"}) {
      const std::string name = model;
      nodes[name + "_positive"] =
          node("image.text_encode", Json::object(), {{"text", first["prompt"]}}, model);
      // No negative prompt: zeros for the base, an empty text for the refiner.
      const Json none = name == "base" ? Json::object() : Json{{"text", ""}};
      nodes[name + "_negative"] = node("image.text_encode", Json::object(), none, model);
    }
    const auto sample = [&](const std::string& model, const char* latent, const Json& values) {
      return node("image.sample",
                  {{"latent", latent},
                   {"positive", model + "_positive.conditioning"},
                   {"negative", model + "_negative.conditioning"}},
                  values, model.c_str());
    };
    nodes["first"] = sample("base", "start.latent", first_values);
    nodes["second"] = sample("m", "first.latent", of(second, sampling));
    nodes["painted"] = node("image.vae_decode", {{"latent", "second.latent"}}, Json::object());
    const Json base = model_entry({{"model", "sdxl"}});
    return {{"models", {{"m", model_entry(wanted)}, {"base", base}}}, {"nodes", nodes}};
  }
};

class ReducedModelPictures : public ReducedModels, public ::testing::WithParamInterface<const char*> {};

TEST_P(ReducedModelPictures, AreThoseOfDiffusers) {
  const Json all = record();
  ASSERT_TRUE(all["pictures"].contains(GetParam()));
  const Json wanted = all["pictures"][GetParam()];
  Json pipeline = wanted.contains("base") ? refined_pipeline(wanted) : generate_pipeline(wanted);
  pipeline["nodes"]["golden"] = load(GetParam());
  pipeline["outputs"] = {{"painted", "painted.image"}, {"golden", "golden.image"}};
  const Json got = outputs(pipeline);
  EXPECT_GE(peak_signal_to_noise(pixels_of(got["painted"]), pixels_of(got["golden"])),
            all["least_psnr_db"].get<double>());
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
