#include "plugins/image/bench_node.h"

#include <weft/sdk/measure.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugins/image/generation_parameters.h"
#include "plugins/image/latent_codec.h"

namespace weft::image {
namespace {

constexpr weft_port kOutputs[] = {sdk::port(
    "report", "json", "text_encode_s, step_s, vae_decode_s: medians, in seconds; load_ms; parameters.")};

constexpr weft_parameter kParameters[] = {
    kModelParameter,
    generated_side_parameter("size",
                             "Side of the pictures, a multiple of 8; 0: what the model was trained on."),
    sdk::parameter({.name = "steps",
                    .type = "int",
                    .default_json = "2",
                    .minimum = 1,
                    .maximum = 100,
                    .unit = "steps",
                    .help = "Measured calls of the UNet; one more goes before."}),
    kCountParameter, sdk::repetitions_parameter("1", "Measurements of text encoding and decoding.")};

}  // namespace

BenchNode::BenchNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(config.model<DiffusionModel>("model")),
      size_(config.parameters().get_int("size")),
      steps_(config.parameters().get_int("steps")),
      images_(config.parameters().get_int("n")),
      repetitions_(config.parameters().get_int("repetitions")) {}

Status BenchNode::prepare(sdk::Specs, sdk::Plan plan) {
  if (size_ == 0) size_ = model_->default_side();
  const int64_t factor = model_->vae().config().factor();
  if (size_ % std::max<int64_t>(factor, 8) != 0) {
    return Status(StatusCode::kInvalidArgument, "the size does not fit the model")
        .at("size")
        .expected("a multiple of " + std::to_string(std::max<int64_t>(factor, 8)))
        .got(std::to_string(size_));
  }
  shape_ = {.images = images_,
            .height = size_ / factor,
            .width = size_ / factor,
            .n_context = model_->chunk_length(),
            .history_slots = 0};
  const uint32_t threads = host_.executor().max_threads();
  Scratch measure = measuring_scratch(*model_);
  place_prompts(measure, *model_, 2, 1);
  measure.take<float>(images_ * shape_.height * shape_.width * model_->latent_channels());
  measure.take<float>(images_ * shape_.height * shape_.width * model_->latent_channels());
  measure.take<uint8_t>(size_ * size_ * 3);
  measure_encoding(measure, *model_, 2, 1, threads);
  UNetCalls::measure(measure, *model_, shape_, 1, threads);
  measure_decoding(measure, *model_, shape_.height, shape_.width, 0, threads);
  host_bytes_ = plan_memory(*model_, measure, plan);
  plan.set_output(0, sdk::bytes_spec(4096));
  return {};
}

Status BenchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  if (model_->unet().config().in_channels != model_->latent_channels()) {
    return Status(StatusCode::kUnsupported, "an inpainting model is not measured").at(model_->path());
  }
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  Scratch& scratch = compute->scratch();
  EncodedPrompts prompts = place_prompts(scratch, *model_, 2, 1);
  const std::span<float> latents =
      scratch.take<float>(images_ * shape_.height * shape_.width * model_->latent_channels());
  const std::span<float> first_noise = scratch.take<float>(static_cast<int64_t>(latents.size()));
  const std::span<uint8_t> pixels = scratch.take<uint8_t>(size_ * size_ * 3);
  const StopRequest stop = stop_request(request);

  const std::array<PromptText, 2> texts = {PromptText{"", true}, PromptText{"apple", true}};
  const PromptOptions options{.max_chunks = 1};
  const auto text_s = sdk::median_seconds(
      request, repetitions_, [&] { return encode_prompts(*compute, texts, options, prompts, stop); });
  if (!text_s.ok()) return text_s.status();

  Result<diffusion::SamplerConfig> config = model_->sampler_config(diffusion::Sampler::kEuler);
  if (!config.ok()) return config.status();
  Result<diffusion::SamplingPlan> plan = diffusion::SamplingPlan::make(*config, steps_ + 1);
  if (!plan.ok()) return plan.status();
  std::vector<diffusion::NoiseGenerator> generators;
  for (int64_t i = 0; i < images_; ++i) {
    generators.emplace_back(diffusion::NoiseSource::kTorchCpu, static_cast<uint64_t>(i));
  }
  draw_first_noise(generators, model_->latent_channels(), scratch, first_noise);
  std::vector<double> step_s, decode_s;
  sdk::Stopwatch step;
  const DenoisingInputs inputs{.plan = &*plan,
                               .guidance = 7.5,
                               .guidance_rescale = 0,
                               .generators = generators,
                               .first_noise = first_noise,
                               .prompts = prompts,
                               .history = {},
                               .picture = {},
                               .mask = {},
                               .masked_picture = {},
                               .starts_from_noise = false,
                               .controls = {},
                               .previews = nullptr,
                               .progress =
                                   [&](int64_t done, int64_t total) {
                                     if (done > 1) step_s.push_back(step.seconds());
                                     step = {};
                                     request.progress(done, total, "steps");
                                   },
                               .stop = stop};
  if (Status status = denoise(*compute, shape_, inputs, latents); !status.ok()) return status;

  const std::span<const float> first = latents.first(latents.size() / static_cast<size_t>(images_));
  for (int64_t i = 0; i < repetitions_; ++i) {
    const sdk::Stopwatch watch;
    Status status = decode_picture(*compute, first, shape_.height, shape_.width, 0, pixels.data(), stop);
    if (!status.ok()) return status;
    decode_s.push_back(watch.seconds());
  }
  const nlohmann::ordered_json report = {
      {"text_encode_s", text_s->front()},
      {"step_s", sdk::median(step_s)},
      {"vae_decode_s", sdk::median(decode_s)},
      {"load_ms", model_->load_seconds() * 1e3},
      {"precision", model_->unet().compute() == DType::kBF16 ? "bf16" : "f32"},
      {"size", size_},
      {"n", images_},
      {"unet_parameters", model_->unet().parameters()}};
  return request.set_output(0, request.host().make_json(report.dump()));
}

const weft_node_type kBenchNode =
    sdk::node<BenchNode>({.name = "image.bench",
                          .help = "Measures how long a diffusion model takes here.",
                          .flags = WEFT_NODE_NONDETERMINISTIC,
                          .outputs = kOutputs,
                          .parameters = kParameters});

}  // namespace weft::image
