/// Larger pictures in two passes, by image.generate and by the nodes it is made of; and the nodes that change latents.
#include "tests/image/image_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

const Json kApple = {{"prompt", "red apple"}, {"steps", 4},  {"cfg", 4.0}, {"seed", 7},
                     {"width", 32},           {"height", 24}};

Json with(Json base, const Json& more) {
  base.update(more);
  return base;
}

class ImageSecondPass : public ImagePipelineTest {
 protected:
  static Json node(const char* uses, const Json& in, const Json& values) {
    return {{"uses", uses}, {"in", in}, {"with", with(values, {{"model", "m"}})}};
  }
  /// Nodes "positive" and "negative", and "first": sampled latents of kApple.
  static Json first_pass() {
    return {{"positive", node("image.text_encode", Json::object(), {{"text", "red apple"}})},
            {"negative", node("image.text_encode", Json::object(), {{"text", ""}})},
            {"start", node("image.empty_latent", Json::object(), {{"width", 32}, {"height", 24}})},
            {"first", sample("start.latent", 1.0)}};
  }
  static Json sample(const char* latent, double strength) {
    return node(
        "image.sample",
        {{"latent", latent}, {"positive", "positive.conditioning"}, {"negative", "negative.conditioning"}},
        {{"steps", 4}, {"cfg", 4.0}, {"seed", 7}, {"strength", strength}});
  }
};

TEST_F(ImageSecondPass, IsWhatItsNodesGive) {
  struct Way {
    const char* enlarge;
    Json nodes;
  };
  const Way ways[] = {
      {"latent", {{"large", node("image.latent_upscale", {{"latent", "first.latent"}}, {{"scale", 2.0}})}}},
      {"pixels",
       {{"small", node("image.vae_decode", {{"latent", "first.latent"}}, Json::object())},
        {"resized",
         {{"uses", "image.resize"},
          {"in", {{"image", "small.image"}}},
          {"with", {{"width", 64}, {"height", 48}, {"filter", "bilinear"}}}}},
        {"large", node("image.vae_encode", {{"image", "resized.image"}}, {{"width", 64}, {"height", 48}})}}}};
  for (const Way& way : ways) {
    Json nodes = with(first_pass(), way.nodes);
    nodes["second"] = sample("large.latent", 0.5);
    nodes["picture"] = node("image.vae_decode", {{"latent", "second.latent"}}, Json::object());
    const std::vector<int> by_nodes =
        pixels_of(outputs({{"nodes", nodes}, {"outputs", {{"image", "picture.image"}}}})["image"]);
    EXPECT_EQ(by_nodes.size(), 64u * 48 * 3);
    EXPECT_EQ(generate(with(kApple,
                            {{"hires_scale", 2.0}, {"hires_strength", 0.5}, {"hires_enlarge", way.enlarge}})),
              by_nodes)
        << way.enlarge;
  }
}

TEST_F(ImageSecondPass, ABatchIsThePicturesOfItsSeeds) {
  const Json second = {{"hires_scale", 1.5}, {"hires_steps", 6}, {"sampler", "euler_ancestral"}};
  const std::vector<int> batch = generate(with(with(kApple, second), {{"n", 2}}));
  std::vector<int> alone = generate(with(kApple, second));
  const std::vector<int> other = generate(with(with(kApple, second), {{"seed", 8}}));
  alone.insert(alone.end(), other.begin(), other.end());
  EXPECT_EQ(batch.size(), 2u * 48 * 40 * 3);  // 36 rows are no multiple of 8
  EXPECT_EQ(batch, alone);
}

TEST_F(ImageSecondPass, TellsTheStepsOfBoth) {
  std::vector<std::pair<int64_t, int64_t>> told;
  const auto on_event = [&](const Event& event) {
    if (const auto* progress = std::get_if<Progress>(&event))
      told.emplace_back(progress->done, progress->total);
  };
  const Json parameters = with(kApple, {{"sampler", "ddim"}, {"hires_width", 64}, {"hires_strength", 0.5}});
  ASSERT_TRUE(run(pipeline_of("image.generate", parameters, {"image"}), {.on_event = on_event}).ok());
  using Told = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(told, (Told{{1, 6}, {2, 6}, {3, 6}, {4, 6}, {5, 6}, {6, 6}}));
}

TEST_F(ImageSecondPass, RefusesWhatItCannotMake) {
  const auto refused = [&](const Json& more, StatusCode code) {
    return refusal(pipeline_of("image.generate", with(kApple, more), {}), code);
  };
  EXPECT_THAT(refused({{"hires_width", 60}}, StatusCode::kInvalidArgument), HasSubstr("a multiple of 8"));
  EXPECT_THAT(refused({{"width", 2048}, {"hires_scale", 4.0}}, StatusCode::kInvalidArgument),
              HasSubstr("4096"));
}

TEST_F(ImageSecondPass, LatentsAreJoinedAndLaidOverOneAnother) {
  Json nodes = first_pass();
  nodes["two"] =
      node("image.latent_batch", {{"latent", "first.latent"}, {"more", "start.latent"}}, {{"repeat", 2}});
  nodes["over"] = node("image.latent_composite", {{"background", "start.latent"}, {"latent", "first.latent"}},
                       {{"x", 16}, {"y", -8}});
  const Json got =
      outputs({{"nodes", nodes},
               {"outputs", {{"first", "first.latent"}, {"two", "two.latent"}, {"over", "over.latent"}}}});
  const std::vector<int64_t> shape = got["first"]["shape"];
  const auto values = [&](const char* name) { return got[name]["data"].get<std::vector<double>>(); };
  const std::vector<double> first = values("first"), two = values("two"), over = values("over");
  EXPECT_EQ(got["two"]["shape"][0], 4);
  ASSERT_EQ(two.size(), 4 * first.size());
  const std::vector<double> empty(first.size(), 0.0);
  for (size_t i = 0; i < 4; ++i) {
    const auto begin = two.begin() + static_cast<ptrdiff_t>(i * first.size());
    EXPECT_EQ(std::vector<double>(begin, begin + static_cast<ptrdiff_t>(first.size())),
              i % 2 == 0 ? first : empty)
        << i;
  }
  const int64_t rows = shape[1], columns = shape[2], channels = shape[3], factor = 32 / columns;
  const int64_t x = 16 / factor, y = 8 / factor;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns * channels; ++i) {
      const bool covered = i / channels >= x && row + y < rows;
      const double expected =
          covered ? first[static_cast<size_t>((row + y) * columns * channels + i - x * channels)] : 0;
      EXPECT_EQ(over[static_cast<size_t>(row * columns * channels + i)], expected) << row << ", " << i;
    }
  }
}

}  // namespace
}  // namespace weft::testing
