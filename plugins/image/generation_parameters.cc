#include "plugins/image/generation_parameters.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace weft::image {
namespace {

constexpr int64_t kSideMultiple = 8;  // of pixels; also where an autoencoder's factor is smaller

Status check_side(const char* name, int64_t side, int64_t multiple) {
  if (side > 0 && side % multiple == 0 && side <= static_cast<int64_t>(kMaxGeneratedSide)) return {};
  const int64_t nearest = std::clamp<int64_t>((side + multiple / 2) / multiple * multiple, multiple,
                                              static_cast<int64_t>(kMaxGeneratedSide));
  return Status(StatusCode::kInvalidArgument, std::string(name) + " does not fit the model")
      .at(name)
      .expected("a multiple of " + std::to_string(multiple) + ", at most " +
                std::to_string(static_cast<int64_t>(kMaxGeneratedSide)))
      .got(std::to_string(side))
      .hint(std::to_string(nearest) + " is the nearest");
}

int64_t side_multiple(const DiffusionModel& model) {
  return std::max(kSideMultiple, model.vae().config().factor());
}

Result<PictureSize> checked_size(const DiffusionModel& model, const PictureSize& size) {
  const int64_t multiple = side_multiple(model);
  if (Status status = check_side("width", size.width, multiple); !status.ok()) return status;
  if (Status status = check_side("height", size.height, multiple); !status.ok()) return status;
  return size;
}

diffusion::SigmaSpacing spacing_named(std::string_view name) {
  for (int i = 0; kScheduleChoices[i + 1] != nullptr; ++i) {
    if (name == kScheduleChoices[i + 1]) return static_cast<diffusion::SigmaSpacing>(i);
  }
  return diffusion::SigmaSpacing::kNormal;
}

}  // namespace

PromptOptions prompt_options(const sdk::Parameters& parameters) {
  PromptOptions options;
  const std::string_view notation = parameters.get_text("prompt_weights");
  const bool comfy = parameters.get_text("profile") == "comfyui";
  if (notation == "a1111") options.notation = PromptNotation::kA1111;
  if (notation == "novelai") options.notation = PromptNotation::kNovelAi;
  if (notation == "comfyui" || (notation == "auto" && comfy)) options.notation = PromptNotation::kComfyUi;
  options.clip_skip = parameters.get_int("clip_skip");
  options.max_chunks = parameters.get_int("max_chunks");
  return options;
}

Result<diffusion::Prediction> prediction(const DiffusionModel& model, const sdk::Parameters& parameters) {
  Result<diffusion::SamplerConfig> config =
      model.sampler_config(diffusion::sampler_named(parameters.get_text("sampler")));
  if (!config.ok()) return config.status();
  return config->prediction;
}

Result<diffusion::SamplingPlan> sampling_plan(const DiffusionModel& model, const sdk::Parameters& parameters,
                                              int64_t steps, double strength) {
  Result<diffusion::SamplerConfig> config =
      model.sampler_config(diffusion::sampler_named(parameters.get_text("sampler")));
  if (!config.ok()) return config.status();
  if (const std::string_view schedule = parameters.get_text("schedule"); schedule != "auto") {
    config->sigma_spacing = spacing_named(schedule);
  }
  if (parameters.get_text("profile") == "comfyui") config->profile = diffusion::Profile::kComfyUi;
  if (parameters.is_set("eta")) config->eta = config->tcd_eta = parameters.get_float("eta");
  return diffusion::SamplingPlan::make(*config, steps, strength);
}

std::vector<diffusion::NoiseGenerator> noise_generators(const sdk::Parameters& parameters, int64_t images) {
  const auto source = parameters.get_text("rng") == "philox" ? diffusion::NoiseSource::kPhilox
                                                             : diffusion::NoiseSource::kTorchCpu;
  const auto seed = static_cast<uint64_t>(parameters.get_int("seed"));
  std::vector<diffusion::NoiseGenerator> generators;
  for (int64_t i = 0; i < images; ++i) generators.emplace_back(source, seed + static_cast<uint64_t>(i));
  return generators;
}

Result<PictureSize> picture_size(const DiffusionModel& model, const sdk::Parameters& parameters) {
  const auto side = [&](const char* name) {
    const int64_t given = parameters.get_int(name);
    return given > 0 ? given : model.default_side();
  };
  const PictureSize size{side("height"), side("width")};
  return checked_size(model, size);
}

Result<PictureSize> enlarged_size(const DiffusionModel& model, const PictureSize& from,
                                  const PictureSize& wanted, double scale) {
  const int64_t multiple = side_multiple(model);
  const auto side = [&](int64_t given, int64_t before) {
    if (given > 0) return given;
    const double units = std::round(static_cast<double>(before) * scale / static_cast<double>(multiple));
    return std::max<int64_t>(1, static_cast<int64_t>(units)) * multiple;
  };
  return checked_size(model, {side(wanted.height, from.height), side(wanted.width, from.width)});
}

Result<int64_t> tile_size(const DiffusionModel& model, const sdk::Parameters& parameters) {
  const int64_t pixels = parameters.get_int("tile"), factor = model.vae().config().factor();
  const int64_t least = model.vae().least_tile();
  if (pixels == 0 || pixels / factor >= least) return pixels / factor;
  return Status(StatusCode::kInvalidArgument, "tiles would be mostly overlap")
      .at("tile")
      .expected("0, or at least " + std::to_string(least * factor) + " pixels")
      .got(std::to_string(pixels));
}

Status check_picture_size(const ImageShape& picture, const PictureSize& expected, const char* port) {
  if (picture.height == expected.height && picture.width == expected.width) return {};
  return Status(StatusCode::kInvalidShape, "a picture of another size than the one to make")
      .at(std::string("port '") + port + "'")
      .expected(std::to_string(expected.width) + " x " + std::to_string(expected.height) + " pixels")
      .got(std::to_string(picture.width) + " x " + std::to_string(picture.height))
      .hint("image.resize or image.crop make it fit, or set width and height");
}

StopRequest stop_request(const sdk::Request& request) {
  return {[](void* context) { return static_cast<const sdk::Request*>(context)->cancelled(); },
          const_cast<void*>(static_cast<const void*>(&request))};
}

}  // namespace weft::image
