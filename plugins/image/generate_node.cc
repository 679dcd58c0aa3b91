#include "plugins/image/generate_node.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "plugins/image/control_pass.h"
#include "plugins/image/latent_codec.h"
#include "plugins/image/painting.h"

namespace weft::image {
namespace {

enum Input : size_t { kPrompt, kNegativePrompt, kImage, kMask, kControl };
constexpr weft_port kInputs[] = {
    sdk::port("prompt", "text", "What to paint."),
    sdk::optional_port("negative_prompt", "text", "What to stay away from."),
    sdk::optional_port("image", "image", "A picture to start from; strength says how much of it changes."),
    sdk::optional_port("mask", "image", "With image: white where it is painted anew; the rest stays."),
    kControlPort};
constexpr weft_port kOutputs[] = {sdk::port("image", "image", "The pictures, n of them.")};

constexpr weft_parameter kOwnParameters[] = {kModelParameter,
                                             kProfileParameter,
                                             generated_side_parameter("width"),
                                             generated_side_parameter("height"),
                                             kTileParameter,
                                             kCountParameter,
                                             kSeedParameter,
                                             kRngParameter};
constexpr auto kParameters =
    sdk::joined(kOwnParameters, kSamplingParameters, kPromptParameters, kSecondPassParameters);

/// Whether the UNet sees a mask and a masked picture beside the latents.
bool paints_into_pictures(const DiffusionModel& model) {
  return model.unet().config().in_channels != model.latent_channels();
}

/// Floating-point operations of a UNet call, roughly: twice the parameters a latent, and as much again for attention.
double unet_seconds(const DiffusionModel& model, const DenoisingShape& shape) {
  constexpr double kFlopsPerCore = 1e11;
  return static_cast<double>(model.unet().parameters()) * 2 * static_cast<double>(shape.images * 2) *
         static_cast<double>(shape.height * shape.width) / 8 / kFlopsPerCore;
}

}  // namespace

/// One request: the texts, the first pass, perhaps a second one, the pictures.
class GenerateNode::Job final : public Painting {
 public:
  Job(const GenerateNode& node, sdk::Request& request, const sdk::Execution& execution, const Kept& kept,
      ModelCompute& compute)
      : node_(node),
        model_(*node.model_),
        request_(request),
        execution_(execution),
        kept_(kept),
        compute_(compute) {}

  Result<Denoising*> next() override {
    if (!first_) return begin();
    if (node_.second_ && !second_) return paint_on();
    return finish();
  }

 private:
  Result<Denoising*> begin();
  Result<Denoising*> paint_on();
  Result<Denoising*> finish();
  Status encode_texts();
  /// Draws the first noise, and before and after it, in diffusers' order, what its encoder draws of the pictures.
  Status prepare_latents(double strength);
  Status encode_masked(const ImageView& picture, std::span<diffusion::NoiseGenerator> generators);
  Status make_plans(double strength);
  void tell_progress(int64_t calls) const;
  StopRequest stop() const { return stop_request(request_); }

  const GenerateNode& node_;
  const DiffusionModel& model_;
  sdk::Request& request_;
  const sdk::Execution& execution_;
  Kept kept_;
  ModelCompute& compute_;
  std::vector<diffusion::NoiseGenerator> generators_;
  std::optional<diffusion::SamplingPlan> plan_, second_plan_;
  std::optional<Previews> previews_;
  DenoisingInputs inputs_;
  std::optional<Denoising> first_, second_;
};

GenerateNode::GenerateNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(config.model<DiffusionModel>("model")),
      parameters_(config.parameters()),
      images_(parameters_.get_int("n")),
      has_picture_(config.input_connected(kImage)),
      has_mask_(config.input_connected(kMask)),
      max_requests_(config.max_requests()) {}

GenerateNode::Kept GenerateNode::place(Scratch& scratch) const {
  const int64_t area = shape_.height * shape_.width, latents = area * model_->latent_channels();
  Kept kept;
  kept.prompts = place_prompts(scratch, *model_, 2, max_chunks_);
  kept.latents = scratch.take<float>(images_ * latents);
  kept.first_noise = scratch.take<float>(images_ * latents);
  kept.history = scratch.take<float>(history_count(*model_, shape_));
  kept.picture = scratch.take<float>(has_picture_ ? images_ * latents : 0);
  kept.mask = scratch.take<float>(has_mask_ ? area : 0);
  kept.masked_picture = scratch.take<float>(has_mask_ ? images_ * latents : 0);
  kept.controls = place_control_pictures(scratch, *model_, size_, shape_.controls);
  if (!second_) return kept;
  const int64_t second = images_ * extent_of(second_shape_).count();
  kept.enlarged = scratch.take<float>(second);
  kept.second_latents = scratch.take<float>(second);
  kept.second_noise = scratch.take<float>(second);
  kept.second_history = scratch.take<float>(history_count(*model_, second_shape_));
  return kept;
}

Status GenerateNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  if (has_mask_ && !has_picture_) {
    return Status(StatusCode::kInvalidArgument, "a mask needs a picture that it is for")
        .at("port 'mask'")
        .expected("a link to 'image' too")
        .got("none");
  }
  Result<PictureSize> size = picture_size(*model_, parameters_);
  if (!size.ok()) return size.status();
  size_ = *size;
  Result<int64_t> tile = tile_size(*model_, parameters_);
  if (!tile.ok()) return tile.status();
  tile_ = *tile;
  Result<diffusion::SamplingPlan> steps =
      sampling_plan(*model_, parameters_, parameters_.get_int("steps"), 1);
  if (!steps.ok()) return steps.status();
  Result<std::optional<SecondPass>> second = second_pass(*model_, parameters_, size_);
  if (!second.ok()) return second.status();
  second_ = *second;
  if (second_ && has_mask_) {
    return Status(StatusCode::kUnsupported, "a second pass paints everything anew, also outside of the mask")
        .at("parameter 'hires_scale'")
        .expected("1 with a mask")
        .got("a second pass of " + std::to_string(second_->size.width) + " x " +
             std::to_string(second_->size.height));
  }
  const PromptOptions options = prompt_options(parameters_);
  max_chunks_ = 1;
  for (const size_t port : {kPrompt, kNegativePrompt}) {
    if (inputs[port].kind == 0) continue;  // not connected
    max_chunks_ = std::max(max_chunks_, chunk_bound(*model_, inputs[port].max_bytes, options.max_chunks));
  }
  const int64_t factor = model_->vae().config().factor();
  shape_ = {.images = images_,
            .height = size_.height / factor,
            .width = size_.width / factor,
            .n_context = max_chunks_ * model_->chunk_length(),
            .history_slots = steps->history_slots(),
            .controls = control_bound(inputs[kControl]),
            .watched =
                previews_wanted(host_) ? DenoisingShape::Watched::kByPreviews : DenoisingShape::Watched::kNo};
  double seconds = unet_seconds(*model_, shape_) * static_cast<double>(steps->n_calls());
  if (second_) {
    Result<diffusion::SamplingPlan> more = sampling_plan(*model_, parameters_, second_->steps, 1);
    if (!more.ok()) return more.status();
    second_shape_ = shape_;
    second_shape_.height = second_->size.height / factor;
    second_shape_.width = second_->size.width / factor;
    second_shape_.history_slots = more->history_slots();
    second_shape_.controls = 0;
    seconds += unet_seconds(*model_, second_shape_) * static_cast<double>(more->n_calls());
  }

  slots_ = slots_for(shape_, max_requests_);
  if (second_) slots_ = std::min(slots_, slots_for(second_shape_, max_requests_));
  plan.set_max_batch(static_cast<uint32_t>(slots_));
  Scratch memory = measuring_scratch(*model_);
  measure(memory);
  const LatentExtent last = extent_of(second_ ? second_shape_ : shape_);
  host_bytes_ = plan_memory(*model_, memory, plan);
  plan.set_output(0, picture_spec(WEFT_DTYPE_U8, images_, last.height * factor, last.width * factor, 3));
  plan.set_cost_seconds(seconds);
  return {};
}

void GenerateNode::measure(Scratch& scratch) const {
  const uint32_t threads = host_.executor().max_threads();
  for (int64_t i = 0; i < slots_; ++i) place(scratch);
  measure_encoding(scratch, *model_, 2, max_chunks_, threads);
  UNetCalls::measure(scratch, *model_, shape_, slots_, threads);
  if (second_) {
    measure_enlarging(scratch, *model_, *second_, extent_of(shape_), extent_of(second_shape_), tile_,
                      threads);
    UNetCalls::measure(scratch, *model_, second_shape_, slots_, threads);
  }
  const LatentExtent last = extent_of(second_ ? second_shape_ : shape_);
  measure_decoding(scratch, *model_, last.height, last.width, tile_, threads);
  if (has_picture_) measure_encoding_picture(scratch, *model_, shape_.height, shape_.width, tile_, threads);
}

LatentExtent GenerateNode::extent_of(const DenoisingShape& shape) const {
  return {shape.height, shape.width, model_->latent_channels()};
}

Status GenerateNode::Job::encode_texts() {
  const sdk::Value prompt = request_.input(kPrompt), negative = request_.input(kNegativePrompt);
  const std::array<PromptText, 2> texts = {
      PromptText{negative ? negative.as_text() : std::string_view(), static_cast<bool>(negative)},
      PromptText{prompt.as_text(), true}};
  PromptOptions options = prompt_options(node_.parameters_);
  options.max_chunks = node_.max_chunks_;
  return encode_prompts(compute_, texts, options, kept_.prompts, stop());
}

Status GenerateNode::Job::prepare_latents(double strength) {
  const bool has_mask = static_cast<bool>(request_.input(kMask));  // its producer may have been skipped
  if (!has_mask) kept_.mask = kept_.masked_picture = {};
  if (!request_.input(kImage)) {
    kept_.picture = kept_.mask = kept_.masked_picture = {};
    draw_first_noise(generators_, model_.latent_channels(), compute_.scratch(), kept_.first_noise);
    return {};
  }
  const Result<Picture> picture = input_picture(request_, kImage, "image");
  if (!picture.ok()) return picture.status();
  if (Status status = check_picture_size(picture->shape(), node_.size_, "image"); !status.ok()) return status;
  // Where diffusers encodes, it draws from the picture's generator; ComfyUI takes the mean.
  const bool draws = node_.parameters_.get_text("profile") == "diffusers";
  const std::span<diffusion::NoiseGenerator> drawn =
      draws ? generators_ : std::span<diffusion::NoiseGenerator>();
  if (has_mask && paints_into_pictures(model_) && strength == 1) {
    kept_.picture = {};  // what such a model paints from noise alone needs no picture but the masked one
  } else {
    if (!draws) kept_.picture = kept_.picture.first(kept_.picture.size() / generators_.size());
    Status status =
        encode_picture(compute_, picture->view, 0, nullptr, drawn, node_.tile_, kept_.picture, stop());
    if (!status.ok()) return status;
  }
  draw_first_noise(generators_, model_.latent_channels(), compute_.scratch(), kept_.first_noise);
  return has_mask ? encode_masked(picture->view, drawn) : Status();
}

Status GenerateNode::Job::encode_masked(const ImageView& picture,
                                        std::span<diffusion::NoiseGenerator> generators) {
  const Result<Picture> mask = input_picture(request_, kMask, "mask");
  if (!mask.ok()) return mask.status();
  if (Status status = check_picture_size(mask->shape(), node_.size_, "mask"); !status.ok()) return status;
  latent_mask(mask->view, model_.vae().config().factor(), node_.shape_.width, kept_.mask);
  if (generators.empty())
    kept_.masked_picture =
        kept_.masked_picture.first(kept_.masked_picture.size() / static_cast<size_t>(node_.images_));
  if (paints_into_pictures(model_)) {
    return encode_picture(compute_, picture, 0, &mask->view, generators, node_.tile_, kept_.masked_picture,
                          stop());
  }
  // diffusers encodes the masked picture for every model: what that draws is gone for later steps.
  if (!generators.empty())
    draw_first_noise(generators, model_.latent_channels(), compute_.scratch(), kept_.masked_picture);
  return {};
}

Status GenerateNode::Job::make_plans(double strength) {
  const sdk::Parameters parameters = request_.parameters();
  Result<diffusion::SamplingPlan> plan =
      sampling_plan(model_, parameters, parameters.get_int("steps"), strength);
  if (!plan.ok()) return plan.status();
  plan_ = *std::move(plan);
  if (!node_.second_) return {};
  Result<diffusion::SamplingPlan> second =
      sampling_plan(model_, parameters, node_.second_->steps, parameters.get_float("hires_strength"));
  if (!second.ok()) return second.status();
  second_plan_ = *std::move(second);
  return {};
}

void GenerateNode::Job::tell_progress(int64_t calls) const {
  const int64_t all = plan_->n_calls() + (second_plan_ ? second_plan_->n_calls() : 0);
  request_.progress(calls, all, "steps");
}

Result<Denoising*> GenerateNode::Job::begin() {
  if (Status status = encode_texts(); !status.ok()) return status;
  const sdk::Parameters parameters = request_.parameters();
  generators_ = noise_generators(parameters, node_.images_);
  const double strength = request_.input(kImage) ? parameters.get_float("strength") : 1;
  if (Status status = prepare_latents(strength); !status.ok()) return status;
  if (Status status = make_plans(strength); !status.ok()) return status;
  Result<Controls> controls = bring_controls(compute_, request_, kControl, node_.size_, kept_.controls);
  if (!controls.ok()) return controls.status();
  const Result<diffusion::Prediction> predicts = prediction(model_, parameters);
  if (!predicts.ok()) return predicts.status();
  previews_.emplace(request_, model_, *predicts);
  if (Status ready = previews_->prepare(compute_, stop()); !ready.ok()) return ready;
  inputs_ = {.plan = &*plan_,
             .guidance = parameters.get_float("cfg"),
             .guidance_rescale = parameters.get_float("guidance_rescale"),
             .generators = generators_,
             .first_noise = kept_.first_noise,
             .prompts = kept_.prompts,
             .history = kept_.history,
             .picture = kept_.picture,
             .mask = kept_.mask,
             .masked_picture = kept_.masked_picture,
             // Everything under the mask comes from noise alone.
             .starts_from_noise = !kept_.mask.empty() && strength == 1,
             .controls = *std::move(controls),
             .previews = previews_->wanted() ? &*previews_ : nullptr,
             .progress = [this](int64_t done, int64_t) { tell_progress(done); },
             .stop = stop()};
  return &first_.emplace(model_, node_.shape_, inputs_, kept_.latents);
}

/// The second pass, over what the first one painted.
Result<Denoising*> GenerateNode::Job::paint_on() {
  const LatentExtent from = node_.extent_of(node_.shape_), to = node_.extent_of(node_.second_shape_);
  const auto from_one = static_cast<size_t>(from.count()), to_one = static_cast<size_t>(to.count());
  for (size_t i = 0; i < static_cast<size_t>(node_.images_); ++i) {
    Status status = enlarge(compute_, *node_.second_, kept_.latents.subspan(i * from_one, from_one), from,
                            kept_.enlarged.subspan(i * to_one, to_one), to, node_.tile_, stop());
    if (!status.ok()) return status;
  }
  // The same seeds again: noise of another size.
  generators_ = noise_generators(request_.parameters(), node_.images_);
  draw_first_noise(generators_, model_.latent_channels(), compute_.scratch(), kept_.second_noise);
  inputs_.plan = &*second_plan_;
  inputs_.generators = generators_;
  inputs_.first_noise = kept_.second_noise;
  inputs_.history = kept_.second_history;
  inputs_.picture = kept_.enlarged;
  inputs_.starts_from_noise = false;
  inputs_.controls = {};
  inputs_.progress = [this](int64_t done, int64_t) { tell_progress(plan_->n_calls() + done); };
  return &second_.emplace(model_, node_.second_shape_, inputs_, kept_.second_latents);
}

Result<Denoising*> GenerateNode::Job::finish() {
  const LatentExtent extent = node_.extent_of(second_ ? node_.second_shape_ : node_.shape_);
  const std::span<const float> latents = second_ ? kept_.second_latents : kept_.latents;
  const int64_t factor = model_.vae().config().factor();
  Result<NewPicture> made = new_picture(
      request_, execution_,
      {{node_.images_, extent.height * factor, extent.width * factor, 3}, WEFT_DTYPE_U8}, "generated");
  if (!made.ok()) return made.status();
  const auto one = static_cast<size_t>(extent.count());
  for (int64_t i = 0; i < node_.images_; ++i) {
    Status status =
        decode_picture(compute_, latents.subspan(static_cast<size_t>(i) * one, one), extent.height,
                       extent.width, node_.tile_, made->view.row<uint8_t>(i, 0), stop());
    if (!status.ok()) return status;
  }
  Status status = request_.set_output(0, weft::image::finish(request_, *made));
  if (!status.ok()) return status;
  return nullptr;
}

Status GenerateNode::execute(std::span<sdk::Request> requests, const sdk::Execution& execution) {
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  std::vector<Kept> kept;
  for (int64_t i = 0; i < slots_; ++i) kept.push_back(place(compute->scratch()));
  paint_together(requests, execution, *compute, kept.size(), [&](sdk::Request& request, size_t slot) {
    return std::make_unique<Job>(*this, request, execution, kept[slot], *compute);
  });
  return {};
}

const weft_node_type kGenerateNode = sdk::node<GenerateNode>({.name = "image.generate",
                                                              .help = "Paints pictures from a prompt.",
                                                              .flags = WEFT_NODE_PURE,
                                                              .inputs = kInputs,
                                                              .outputs = kOutputs,
                                                              .parameters = kParameters});

}  // namespace weft::image
