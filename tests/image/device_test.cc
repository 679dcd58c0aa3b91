/// The image plugin's nodes on a device: what diffusers paints with reduced models, and what the CPU paints.
#include "kernels/device/device.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_name.h"
#include "tests/image/reduced_models.h"

namespace weft::testing {
namespace {

Json on_device(Json more = Json::object()) {
  more["device"] = device_name();
  return more;
}

class DevicePictures : public ReducedModels, public ::testing::WithParamInterface<std::string> {};

TEST_P(DevicePictures, AreThoseOfDiffusers) {
  EXPECT_GE(likeness(GetParam(), on_device()), record()["least_psnr_db"].get<double>());
}

/// A step takes seconds on simt:0; a GPU paints them all.
std::vector<std::string> golden_pictures() {
  std::vector<std::string> names = {"velocity", "xl_refined"};
  const auto all = {
      "inpaint_by_mask",    "inpaint_model_partly", "lcm",         "xl_negative",  "clip_skip",
      "embedding",          "weights_a1111",        "long_prompt", "two_adapters", "control_one",
      "control_two_in_turn"};
  if (device_name() != "simt:0") names.insert(names.end(), all.begin(), all.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Reduced, DevicePictures, ::testing::ValuesIn(golden_pictures()),
                         [](const auto& name) { return name.param; });

class DeviceImages : public ReducedModels {
 protected:
  /// image.generate with the quickest model.
  Json apple(const Json& values, const Json& options) const {
    Json with = {{"model", "m"}, {"prompt", "red apple"}, {"steps", 2},   {"cfg", 4.0},
                 {"seed", 7},    {"width", 16},           {"height", 16}, {"sampler", "euler_ancestral"}};
    with.update(values);
    return {{"models", {{"m", model_entry({{"model", "sd21"}}, options)}}},
            {"nodes", {{"n", {{"uses", "image.generate"}, {"with", with}}}}},
            {"outputs", {{"image", "n.image"}}}};
  }
  std::vector<int> paint(const Json& values, const Json& options) {
    return pixels_of(outputs(apple(values, options))["image"]);
  }
};

TEST_F(DeviceImages, AreThoseOfTheCpu) {
  const Json twice = {{"steps", 1}, {"hires_scale", 2.0}, {"hires_enlarge", "pixels"}};
  Json tiled = twice;  // in the second pass, encoded and decoded
  tiled["tile"] = 24;
  for (const Json& values : {Json{{"n", 2}, {"cfg", 1.0}}, twice, tiled})
    EXPECT_GE(peak_signal_to_noise(paint(values, on_device()), paint(values, Json::object())), 45) << values;
}

TEST_F(DeviceImages, AreThoseOfTheCpuWithAdaptersEmbeddingsAndMasks) {
  for (const char* name : {"two_adapters", "embedding", "inpaint_model"}) {
    Json wanted = record()["pictures"][name];
    wanted["with"]["steps"] = 1;
    std::vector<int> painted[2];
    for (int i = 0; i < 2; ++i) {
      Json pipeline = painting_pipeline(wanted, i == 0 ? Json::object() : on_device());
      pipeline["outputs"] = {{"painted", "painted.image"}};
      painted[i] = pixels_of(outputs(pipeline)["painted"]);
    }
    EXPECT_GE(peak_signal_to_noise(painted[1], painted[0]), 45) << name;
  }
}

// Two networks in a call, whose sums the UNet gets; each step of a kind comes again.
TEST_F(DeviceImages, AreThoseOfTheCpuWithControlNetworks) {
  Json wanted = record()["pictures"]["control_two_in_turn"];
  wanted["with"].update({{"steps", 2}, {"cfg", 1.0}, {"sampler", "euler"}});
  for (Json& use : wanted["control"]) use.update({{"start", 0.0}, {"end", 1.0}});
  std::vector<int> painted[3];
  const Json options[] = {Json::object(), on_device(), on_device({{"residency", "staged"}})};
  for (int i = 0; i < 3; ++i) {
    Json pipeline = painting_pipeline(wanted, options[i]);
    pipeline["outputs"] = {{"painted", "painted.image"}};
    painted[i] = pixels_of(outputs(pipeline)["painted"]);
  }
  EXPECT_GE(peak_signal_to_noise(painted[1], painted[0]), 45);
  EXPECT_EQ(painted[2], painted[1]);
}

// A step of a control network takes from the host what the UNet's step does, and no picture.
TEST_F(DeviceImages, HaveTheirControlPicturesOnTheDeviceForAllSteps) {
  const auto device = take(ComputeDevice::open(device_name()));
  Json controlled = record()["pictures"]["control_one"];
  controlled["with"].update({{"cfg", 1.0}, {"sampler", "euler"}});
  for (Json& use : controlled["control"]) use.update({{"start", 0.0}, {"end", 1.0}});
  Json alone = controlled;
  alone.erase("control");
  const auto bytes_to_paint = [&](Json wanted, int steps) {
    wanted["with"]["steps"] = steps;
    Json pipeline = painting_pipeline(wanted, on_device());
    pipeline["outputs"] = {{"painted", "painted.image"}};
    const uint64_t before = device->driver().copies().to_device_bytes;
    outputs(pipeline);
    return device->driver().copies().to_device_bytes - before;
  };
  const auto bytes_of_a_step = [&](const Json& wanted) {
    const uint64_t of_one = bytes_to_paint(wanted, 1);
    return bytes_to_paint(wanted, 2) - of_one;
  };
  bytes_to_paint(alone, 1);  // loads the weights
  const uint64_t of_unet = bytes_of_a_step(alone);
  EXPECT_GT(of_unet, 0u);
  EXPECT_EQ(bytes_of_a_step(controlled), 2 * of_unet);
}

TEST_F(DeviceImages, AreInBf16UnlessToldOtherwise) {
  const std::vector<int> precise = paint(Json::object(), on_device());
  const double likeness =
      peak_signal_to_noise(paint(Json::object(), on_device({{"precision", "auto"}})), precise);
  EXPECT_GE(likeness, 25);
  EXPECT_LT(likeness, 100);
}

TEST_F(DeviceImages, AreTheSameWithWeightsThatTakeTurns) {
  EXPECT_EQ(paint({{"n", 2}}, on_device({{"residency", "staged"}})), paint({{"n", 2}}, on_device()));
}

TEST_F(DeviceImages, OfItemsThatShareCallsAreTheirOwn) {
  Json pipeline = apple({{"prompt", "${inputs.p}"}, {"seed", "${inputs.s}"}}, on_device());
  pipeline["inputs"] = {{"p", {{"type", "text"}}}, {"s", {{"type", "int"}}}};
  const std::vector<Json> items = {
      {{"p", "red apple"}, {"s", 7}}, {{"p", "tree"}, {"s", 8}}, {{"p", ""}, {"s", 9}}};
  const std::vector<Json> together = outputs_of_items(pipeline, items);
  for (size_t i = 0; i < items.size(); ++i) {
    const Json alone = {{"prompt", items[i]["p"]}, {"seed", items[i]["s"]}};
    EXPECT_GE(peak_signal_to_noise(pixels_of(together[i]["image"]), paint(alone, Json::object())), 45) << i;
  }
}

TEST_F(DeviceImages, StopWhenTheyAreCancelled) {
  CancelToken cancel;
  const auto on_event = [&](const Event& event) {
    if (std::holds_alternative<Progress>(event)) cancel.cancel();
  };
  const Result<Json> result =
      run(apple({{"steps", 900}}, on_device()), {.on_event = on_event, .cancel = &cancel});
  EXPECT_EQ(result.code(), StatusCode::kCancelled);
}

// Nothing that is painted depends on them. The last preview, on the device and on the CPU.
TEST_F(DeviceImages, AreWatchedByPreviews) {
  const Json tiny = {{"preview", (golden() / "taesd").string()}};
  for (const Json& options : {Json::object(), tiny}) {
    std::vector<int> shown[2];
    for (int i = 0; i < 2; ++i) {
      const Json model = i == 0 ? options : on_device(options);
      const Result<Json> result =
          run(apple(Json::object(), model), {.on_event = {}, .preview_folder = folder() / "shown"});
      ASSERT_TRUE(result.ok()) << to_string(result.error());
      EXPECT_EQ(pixels_of((*result)["image"]), paint(Json::object(), model));
      const Json load = {{"uses", "image.load"}, {"with", {{"path", (folder() / "shown/n.png").string()}}}};
      shown[i] = pixels_of(outputs({{"models", Json::object()},
                                    {"nodes", {{"load", load}}},
                                    {"outputs", {{"image", "load.image"}}}})["image"]);
    }
    EXPECT_GE(peak_signal_to_noise(shown[1], shown[0]), 45) << options;
  }
}

TEST_F(DeviceImages, AreMeasured) {
  const Json pipeline = {
      {"models", {{"m", model_entry({{"model", "sd21"}}, on_device())}}},
      {"nodes", {{"n", {{"uses", "image.bench"}, {"with", {{"model", "m"}, {"size", 16}}}}}}},
      {"outputs", {{"report", "n.report"}}}};
  const Json report = outputs(pipeline)["report"];
  EXPECT_GT(report["step_s"].get<double>(), 0);
  EXPECT_GT(report["vae_decode_s"].get<double>(), 0);
}

}  // namespace
}  // namespace weft::testing
