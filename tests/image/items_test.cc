/// Items of a batch through the painting nodes: they share calls of the UNet, and each gets the picture that it gets alone.
#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

class ImageItems : public ImagePipelineTest {
 protected:
  static Json inputs() {
    return {{"p", {{"type", "text"}}}, {"s", {{"type", "int"}}}, {"cfg", {{"type", "float"}}}};
  }
  /// image.generate with what differs between items taken from inputs.
  static Json generate_pipeline(const Json& more) {
    Json with = {{"model", "m"},
                 {"prompt", "${inputs.p}"},
                 {"seed", "${inputs.s}"},
                 {"cfg", "${inputs.cfg}"},
                 {"steps", 3},
                 {"width", 32},
                 {"height", 32},
                 {"sampler", "euler_ancestral"}};
    with.update(more);
    return {{"inputs", inputs()},
            {"nodes", {{"n", {{"uses", "image.generate"}, {"with", with}}}}},
            {"outputs", {{"image", "n.image"}}}};
  }
  /// Prompts of one and of two chunks, with and without guidance.
  static std::vector<Json> items(size_t n) {
    std::string longer = "red apple";
    for (int i = 0; i < 12; ++i) longer += ", green leaf";
    const char* prompts[] = {"red apple", "blue heart", longer.c_str(), "", "yellow car"};
    std::vector<Json> items;
    for (size_t i = 0; i < n; ++i)
      items.push_back({{"p", prompts[i % 5]},
                       {"s", 7 + 3 * i},
                       {"cfg", i % 3 == 1 ? 1.0 : 4.0 + static_cast<double>(i)}});
    return items;
  }
  Json alone(Json pipeline, const Json& item) {
    for (const auto& [name, value] : item.items()) pipeline["inputs"][name]["default"] = value;
    return outputs(pipeline);
  }
  void expect_as_alone(const Json& pipeline, const std::vector<Json>& items) {
    const std::vector<Json> together = outputs_of_items(pipeline, items);
    for (size_t i = 0; i < items.size(); ++i) EXPECT_EQ(together[i], alone(pipeline, items[i])) << items[i];
  }
};

TEST_F(ImageItems, GetThePicturesThatTheyGetAlone) {
  for (const size_t n : {1, 4, 8}) expect_as_alone(generate_pipeline(Json::object()), items(n));
}

TEST_F(ImageItems, OfSeveralPicturesEach) { expect_as_alone(generate_pipeline({{"n", 2}}), items(4)); }

TEST_F(ImageItems, WithASecondPass) {
  expect_as_alone(generate_pipeline({{"hires_scale", 2.0}, {"hires_steps", 2}}), items(3));
}

TEST_F(ImageItems, WithNetworksThatTakeTurnsInMemory) {
  Json pipeline = generate_pipeline(Json::object());
  pipeline["models"] = {{"m",
                         {{"path", std::filesystem::absolute("assets/models/emoji").string()},
                          {"precision", "f32"},
                          {"residency", "staged"}}}};
  expect_as_alone(pipeline, items(5));
}

TEST_F(ImageItems, FromPicturesWithDifferentNumbersOfSteps) {
  Json pipeline =
      generate_pipeline({{"steps", 6}, {"width", 64}, {"height", 64}, {"strength", "${inputs.strength}"}});
  pipeline["inputs"]["strength"] = {{"type", "float"}};
  pipeline["nodes"]["picture"] = {
      {"uses", "image.load"},
      {"with", {{"path", std::filesystem::absolute("assets/golden/diffusion/emoji_ddim.png").string()}}}};
  pipeline["nodes"]["n"]["in"] = {{"image", "picture.image"}};
  std::vector<Json> all = items(4);
  for (size_t i = 0; i < all.size(); ++i)
    all[i]["strength"] = 0.0 + 0.3 * static_cast<double>(i);  // 0: no step
  expect_as_alone(pipeline, all);
}

TEST_F(ImageItems, SampleLatentsOfDifferentSizes) {
  const auto text = [](const Json& of) {
    return Json{{"uses", "image.text_encode"},
                {"with", {{"model", "m"}, {"text", of}, {"min_chunks", 2}, {"max_chunks", 2}}}};
  };
  const auto latent = [](int side) {
    return Json{{"uses", "image.empty_latent"},
                {"with", {{"model", "m"}, {"width", side}, {"height", side}}}};
  };
  const auto sample = [](const char* from) {
    return Json{
        {"uses", "image.sample"},
        {"in",
         {{"latent", from}, {"positive", "positive.conditioning"}, {"negative", "negative.conditioning"}}},
        {"with",
         {{"model", "m"},
          {"seed", "${inputs.s}"},
          {"cfg", "${inputs.cfg}"},
          {"steps", 2},
          {"strength", 1.0}}}};
  };
  const Json pipeline = {{"inputs", inputs()},
                         {"nodes",
                          {{"positive", text("${inputs.p}")},
                           {"negative", text("")},
                           {"small", latent(32)},
                           {"large", latent(64)},
                           {"a", sample("small.latent")},
                           {"b", sample("large.latent")}}},
                         {"outputs", {{"a", "a.latent"}, {"b", "b.latent"}}}};
  expect_as_alone(pipeline, items(5));
}

TEST_F(ImageItems, OneThatIsCancelledDoesNotHurtTheOthers) {
  const Json pipeline = generate_pipeline({{"steps", 40}});
  const std::vector<Json> all = items(3);
  CancelToken cancel;
  std::vector<Watch> watches(3);
  watches[1].cancel = &cancel;
  watches[1].on_event = [&](const Event& event) {
    if (std::holds_alternative<Progress>(event)) cancel.cancel();  // in the middle of its steps
  };
  const std::vector<Result<Json>> got = run_items(pipeline, all, watches);
  EXPECT_EQ(got[1].code(), StatusCode::kCancelled);
  for (const size_t i : {0, 2}) {
    ASSERT_TRUE(got[i].ok()) << to_string(got[i].error());
    EXPECT_EQ(*got[i], alone(pipeline, all[i]));
  }
}

}  // namespace
}  // namespace weft::testing
