#include "tests/image/reduced_models.h"

#include <fstream>

namespace weft::testing {
namespace fs = std::filesystem;

Json ReducedModels::record() {
  std::ifstream file(golden() / "pictures" / "pictures.json");
  return Json::parse(file);
}

Json ReducedModels::load(const std::string& name) {
  return {{"uses", "image.load"}, {"with", {{"path", (golden() / "pictures" / (name + ".png")).string()}}}};
}

Json ReducedModels::node(const char* uses, const Json& in, const Json& values, const char* model) {
  Json made = {{"uses", uses}, {"in", in}, {"with", values}};
  made["with"]["model"] = model;
  return made;
}

std::string ReducedModels::model_folder(const std::string& model, const std::string& unet) const {
  if (unet == "unet") return (golden() / model).string();
  const fs::path variant = folder() / (model + "_" + unet);
  if (fs::exists(variant)) return variant.string();
  fs::create_directories(variant);
  for (const auto& entry : fs::directory_iterator(golden() / model)) {
    const std::string name = entry.path().filename();
    const bool of_base = unet == "unet_refiner" && (name == "text_encoder" || name == "tokenizer");
    if (name != "unet" && !of_base) fs::create_symlink(entry.path(), variant / name);
  }
  fs::create_symlink(golden() / model / unet, variant / "unet");
  return variant.string();
}

Json ReducedModels::model_entry(const Json& wanted, const Json& more) const {
  Json entry = wanted.value("options", Json::object());
  entry.update({{"path", model_folder(wanted["model"], wanted.value("unet", "unet"))}, {"precision", "f32"}});
  entry.update(more);
  return entry;
}

Json ReducedModels::painting_pipeline(const Json& wanted, const Json& more) const {
  return wanted.contains("base") ? refined_pipeline(wanted, more) : generate_pipeline(wanted, more);
}

Json ReducedModels::generate_pipeline(const Json& wanted, const Json& more) const {
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
  return {{"models", {{"m", model_entry(wanted, more)}}}, {"nodes", nodes}};
}

Json ReducedModels::refined_pipeline(const Json& wanted, const Json& more) const {
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
    nodes[name + "_positive"] = node("image.text_encode", Json::object(), {{"text", first["prompt"]}}, model);
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
  const Json base = model_entry({{"model", "sdxl"}}, more);
  return {{"models", {{"m", model_entry(wanted, more)}, {"base", base}}}, {"nodes", nodes}};
}

double ReducedModels::likeness(const std::string& name, const Json& more) {
  Json pipeline = painting_pipeline(record()["pictures"][name], more);
  pipeline["nodes"]["golden"] = load(name);
  pipeline["outputs"] = {{"painted", "painted.image"}, {"golden", "golden.image"}};
  const Json got = outputs(pipeline);
  return peak_signal_to_noise(pixels_of(got["painted"]), pixels_of(got["golden"]));
}

}  // namespace weft::testing
