#include "plugins/image/sample_node.h"

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/image/control_pass.h"
#include "plugins/image/latent.h"
#include "plugins/image/latent_codec.h"
#include "plugins/image/painting.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

enum Input : size_t { kLatentPort, kPositive, kNegative, kControl, kMask, kMasked };
constexpr weft_port kInputs[] = {
    sdk::port("latent", kLatent, "How many pictures of which size; with strength below 1, where they start."),
    sdk::port("positive", kConditioning, "What to paint."),
    sdk::optional_port("negative", kConditioning, "What to stay away from; needed with cfg above 1."),
    kControlPort,
    sdk::optional_port("mask", "image", "White where it is painted anew; the rest of the latent stays."),
    sdk::optional_port(
        "masked", kLatent,
        "With mask, for models made for inpainting: the picture from image.vae_encode with that mask.")};
constexpr weft_parameter kOwnParameters[] = {kModelParameter, kProfileParameter, kSeedParameter,
                                             kRngParameter};
constexpr auto kParameters = sdk::joined(kOwnParameters, kSamplingParameters);
constexpr weft_port kOutputs[] = {sdk::port("latent", kLatent, "The painted latents.")};

/// Of a conditioning of which nothing is known: image.text_encode's default.
constexpr int64_t kUnboundedChunks = 4;

struct Condition {
  std::span<const float> hidden, pooled;
  int64_t n_tokens = 0;
};
Result<Condition> condition_of(const sdk::Value& value, const DiffusionModel& model, const char* port) {
  const weft_tensor tensor = value.as_tensor();
  const nlohmann::json attributes = nlohmann::json::parse(value.attributes(), nullptr, false);
  const auto number = [&](const char* key) -> int64_t {
    return attributes.is_object() && attributes.contains(key) && attributes[key].is_number_integer()
               ? attributes[key].get<int64_t>()
               : -1;
  };
  const int64_t width = model.unet().config().context_width, tokens = number("tokens"),
                pooled = number("pooled");
  const bool fits = tensor.rank == 2 && tensor.dtype == WEFT_DTYPE_F32 && sdk::is_contiguous(tensor) &&
                    tensor.shape[1] == width && tokens > 0 && pooled == model.pooled_width() &&
                    tensor.shape[0] == tokens + (pooled > 0 ? 1 : 0);
  if (!fits) {
    return Status(StatusCode::kInvalidShape, "not a text encoded for this model")
        .at(std::string("port '") + port + "'")
        .expected("f32 [tokens, " + std::to_string(width) + "] of image.text_encode")
        .got("rank " + std::to_string(tensor.rank) + ", " + std::string(value.attributes()));
  }
  const std::span<const float> all = floats_of(tensor);
  return Condition{all.first(static_cast<size_t>(tokens * width)),
                   all.last(static_cast<size_t>(pooled > 0 ? width : 0)), tokens};
}

}  // namespace

/// One request.
class SampleNode::Job final : public Painting {
 public:
  Job(const SampleNode& node, sdk::Request& request, const sdk::Execution& execution, const Kept& kept,
      ModelCompute& compute)
      : node_(node),
        model_(*node.model_),
        request_(request),
        execution_(execution),
        kept_(kept),
        compute_(compute) {}

  Result<Denoising*> next() override {
    if (!denoising_) return begin();
    Status status =
        request_.set_output(0, request_.host().make_tensor(std::move(made_->buffer), made_->view, kLatent));
    if (!status.ok()) return status;
    return nullptr;
  }

 private:
  Result<Denoising*> begin();
  /// Both prompts, the negative one first.
  Result<EncodedPrompts> prompts() const;
  /// For the latents; empty without a mask.
  Result<std::span<const float>> mask(const DenoisingShape& shape) const;
  Result<std::span<const float>> masked_picture(const DenoisingShape& shape) const;

  const SampleNode& node_;
  const DiffusionModel& model_;
  sdk::Request& request_;
  const sdk::Execution& execution_;
  const Kept kept_;
  ModelCompute& compute_;
  std::vector<diffusion::NoiseGenerator> generators_;
  std::optional<diffusion::SamplingPlan> plan_;
  std::optional<Previews> previews_;
  std::optional<sdk::NewTensor> made_;
  std::optional<Denoising> denoising_;
};

SampleNode::SampleNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(config.model<DiffusionModel>("model")),
      parameters_(config.parameters()),
      has_mask_(config.input_connected(kMask)),
      max_requests_(config.max_requests()) {}

SampleNode::Kept SampleNode::place(Scratch& scratch) const {
  Kept kept;
  kept.prompts = {
      .n_tokens = bounds_.n_context,
      .hidden = scratch.take<float>(2 * bounds_.n_context * model_->unet().config().context_width),
      .pooled = scratch.take<float>(2 * model_->pooled_width())};
  const int64_t area = bounds_.height * bounds_.width;
  kept.first_noise = scratch.take<float>(bounds_.images * area * model_->latent_channels());
  kept.history = scratch.take<float>(history_count(*model_, bounds_));
  kept.mask = scratch.take<float>(has_mask_ ? area : 0);
  kept.controls = place_control_pictures(scratch, *model_, pixels_of(bounds_), bounds_.controls);
  return kept;
}

PictureSize SampleNode::pixels_of(const DenoisingShape& shape) const {
  const int64_t factor = model_->vae().config().factor();
  return {shape.height * factor, shape.width * factor};
}

Status SampleNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  Result<diffusion::SamplingPlan> steps =
      sampling_plan(*model_, parameters_, parameters_.get_int("steps"), 1);
  if (!steps.ok()) return steps.status();
  const LatentBounds latent = latent_bounds(inputs[kLatentPort], *model_);
  bounds_ = {.images = latent.images,
             .height = latent.height,
             .width = latent.width,
             .n_context = most_tokens(inputs),
             .history_slots = steps->history_slots(),
             .controls = control_bound(inputs[kControl]),
             .watched = previews_wanted(host_) ? DenoisingShape::Watched::kByPreviews
                                               : DenoisingShape::Watched::kNo};
  slots_ = slots_for(bounds_, max_requests_);
  plan.set_max_batch(static_cast<uint32_t>(slots_));
  Scratch measure = measuring_scratch(*model_);
  for (int64_t i = 0; i < slots_; ++i) place(measure);
  UNetCalls::measure(measure, *model_, bounds_, slots_, host_.executor().max_threads());
  host_bytes_ = plan_memory(*model_, measure, plan);
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, std::array{bounds_.images, bounds_.height,
                                                                 bounds_.width, model_->latent_channels()}));
  return {};
}

int64_t SampleNode::most_tokens(sdk::Specs inputs) const {
  const int64_t length = model_->chunk_length();
  int64_t rows = length * kUnboundedChunks;
  for (const size_t port : {kPositive, kNegative}) {
    const weft_spec& condition = inputs[port];
    if (condition.kind == 0 || condition.rank != 2) continue;  // not connected, or nothing known
    const int64_t chunks = (bound_or(condition.shape[0], rows) + length - 1) / length;
    rows = port == kPositive ? chunks * length : std::max(rows, chunks * length);
  }
  return rows;
}

Result<EncodedPrompts> SampleNode::Job::prompts() const {
  const sdk::Value positive = request_.input(kPositive), negative = request_.input(kNegative);
  if (!negative && request_.parameters().get_float("cfg") > 1 && model_.unet().config().guidance_width == 0) {
    return Status(StatusCode::kInvalidArgument, "guidance needs a negative prompt")
        .at("port 'negative'")
        .expected("a conditioning, of an empty text if nothing else")
        .got("none")
        .hint("or set cfg to 1");
  }
  const Result<Condition> with = condition_of(positive, model_, "positive");
  if (!with.ok()) return with.status();
  const Result<Condition> without = negative ? condition_of(negative, model_, "negative") : with;
  if (!without.ok()) return without.status();
  if (with->n_tokens != without->n_tokens) {
    return Status(StatusCode::kInvalidShape, "the prompts differ in length")
        .at("port 'negative'")
        .expected(std::to_string(with->n_tokens) + " tokens, as the positive one has")
        .got(std::to_string(without->n_tokens))
        .hint("min_chunks of image.text_encode pads the shorter one");
  }
  if (with->n_tokens > node_.bounds_.n_context) {
    return Status(StatusCode::kOutOfRange, "a longer prompt than was prepared for").at("port 'positive'");
  }
  EncodedPrompts prompts{.n_tokens = with->n_tokens,
                         .hidden = kept_.prompts.hidden.first(2 * with->hidden.size()),
                         .pooled = kept_.prompts.pooled};
  const Condition* const both[] = {&*without, &*with};
  for (size_t index = 0; index < 2; ++index) {
    const Condition& condition = *both[index];
    std::copy(condition.hidden.begin(), condition.hidden.end(),
              prompts.hidden.begin() + static_cast<ptrdiff_t>(index * condition.hidden.size()));
    std::copy_n(condition.pooled.data(), model_.pooled_width(),
                prompts.pooled.data() + static_cast<int64_t>(index) * model_.pooled_width());
  }
  return prompts;
}

Result<std::span<const float>> SampleNode::Job::mask(const DenoisingShape& shape) const {
  if (!request_.input(kMask)) return std::span<const float>();
  const Result<Picture> picture = input_picture(request_, kMask, "mask");
  if (!picture.ok()) return picture.status();
  const int64_t factor = model_.vae().config().factor();
  Status status = check_picture_size(picture->shape(), node_.pixels_of(shape), "mask");
  if (!status.ok()) return status;
  const std::span<float> mask = kept_.mask.first(static_cast<size_t>(shape.height * shape.width));
  latent_mask(picture->view, factor, shape.width, mask);
  return std::span<const float>(mask);
}

Result<std::span<const float>> SampleNode::Job::masked_picture(const DenoisingShape& shape) const {
  const sdk::Value value = request_.input(kMasked);
  if (!value) return std::span<const float>();
  const Result<weft_tensor> given = latent_of(value, model_, "masked");
  if (!given.ok()) return given.status();
  const int64_t images = given->shape[0];
  if (given->shape[1] == shape.height && given->shape[2] == shape.width &&
      (images == 1 || images == shape.images)) {
    return floats_of(*given);  // the request holds it until it is complete
  }
  return Status(StatusCode::kInvalidShape, "a masked picture of another size than the latents")
      .at("port 'masked'")
      .expected(shape_text({shape.images, shape.height, shape.width, given->shape[3]}))
      .got(shape_text({images, given->shape[1], given->shape[2], given->shape[3]}));
}

Result<Denoising*> SampleNode::Job::begin() {
  const sdk::Value value = request_.input(kLatentPort);
  const Result<weft_tensor> latent = latent_of(value, model_, "latent");
  if (!latent.ok()) return latent.status();
  DenoisingShape shape = node_.bounds_;
  shape.images = latent->shape[0];
  shape.height = latent->shape[1];
  shape.width = latent->shape[2];
  const Result<std::span<const float>> mask = this->mask(shape);
  if (!mask.ok()) return mask.status();
  const Result<std::span<const float>> masked = masked_picture(shape);
  if (!masked.ok()) return masked.status();
  const Result<EncodedPrompts> prompts = this->prompts();
  if (!prompts.ok()) return prompts.status();
  Result<Controls> controls =
      bring_controls(compute_, request_, kControl, node_.pixels_of(shape), kept_.controls);
  if (!controls.ok()) return controls.status();

  const sdk::Parameters parameters = request_.parameters();
  const double strength = parameters.get_float("strength");
  Result<diffusion::SamplingPlan> plan =
      sampling_plan(model_, parameters, parameters.get_int("steps"), strength);
  if (!plan.ok()) return plan.status();
  plan_ = *std::move(plan);
  generators_ = noise_generators(parameters, shape.images);
  const auto count = static_cast<size_t>(sdk::element_count(*latent));
  const std::span<float> first_noise = kept_.first_noise.first(count);
  draw_first_noise(generators_, model_.latent_channels(), compute_.scratch(), first_noise);
  const Result<diffusion::Prediction> predicts = prediction(model_, parameters);
  if (!predicts.ok()) return predicts.status();
  previews_.emplace(request_, model_, *predicts);
  if (Status ready = previews_->prepare(compute_, stop_request(request_)); !ready.ok()) return ready;
  DenoisingInputs inputs{
      .plan = &*plan_,
      .guidance = parameters.get_float("cfg"),
      .guidance_rescale = parameters.get_float("guidance_rescale"),
      .generators = generators_,
      .first_noise = first_noise,
      .prompts = *prompts,
      .history = kept_.history,
      .picture = floats_of(*latent),  // the request holds it until it is complete
      .mask = *mask,
      .masked_picture = *masked,
      .starts_from_noise = strength == 1,
      .controls = *std::move(controls),
      .previews = previews_->wanted() ? &*previews_ : nullptr,
      .progress = [this](int64_t done, int64_t total) { request_.progress(done, total, "steps"); },
      .stop = stop_request(request_)};
  Result<sdk::NewTensor> made = request_.host().allocate_tensor(
      WEFT_DTYPE_F32, std::span<const int64_t>(latent->shape, 4), execution_.stream(), "latent");
  if (!made.ok()) return made.status();
  made_ = *std::move(made);
  const std::span<float> latents(made_->data<float>(), count);
  return &denoising_.emplace(model_, shape, std::move(inputs), latents);
}

Status SampleNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  std::vector<Kept> kept;
  for (int64_t i = 0; i < slots_; ++i) kept.push_back(place(compute->scratch()));
  paint_together(requests, execution, *compute, kept.size(), [&](sdk::Request& request, size_t slot) {
    return std::make_unique<Job>(*this, request, execution, kept[slot], *compute);
  });
  return {};
}

const weft_node_type kSampleNode = sdk::node<SampleNode>({.name = "image.sample",
                                                          .help = "Paints latents from encoded prompts.",
                                                          .flags = WEFT_NODE_PURE,
                                                          .inputs = kInputs,
                                                          .outputs = kOutputs,
                                                          .parameters = kParameters});

}  // namespace weft::image
