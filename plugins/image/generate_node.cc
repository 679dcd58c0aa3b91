#include "plugins/image/generate_node.h"

#include <algorithm>
#include <array>
#include <string>

#include "plugins/image/latent_codec.h"

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
    joined(kOwnParameters, kSamplingParameters, kPromptParameters, kSecondPassParameters);

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

GenerateNode::GenerateNode(const sdk::NodeConfig& config)
    : host_(config.host()),
      model_(config.model<DiffusionModel>("model")),
      parameters_(config.parameters()),
      images_(parameters_.get_int("n")),
      has_picture_(config.input_connected(kImage)),
      has_mask_(config.input_connected(kMask)) {}

GenerateNode::Kept GenerateNode::place(Scratch& scratch, int64_t max_chunks) const {
  const int64_t area = shape_.height * shape_.width, latents = area * model_->latent_channels();
  Kept kept;
  kept.prompts = place_prompts(scratch, *model_, 2, max_chunks);
  kept.latents = scratch.take<float>(images_ * latents);
  kept.first_noise = scratch.take<float>(images_ * latents);
  kept.picture = scratch.take<float>(has_picture_ ? images_ * latents : 0);
  kept.mask = scratch.take<float>(has_mask_ ? area : 0);
  kept.masked_picture = scratch.take<float>(has_mask_ ? images_ * latents : 0);
  const int64_t second = second_ ? images_ * extent_of(second_shape_).count() : 0;
  kept.enlarged = scratch.take<float>(second);
  kept.second_latents = scratch.take<float>(second);
  kept.second_noise = scratch.take<float>(second);
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

  const uint32_t threads = host_.executor().max_threads();
  Scratch measure;
  place(measure, max_chunks_);
  measure_encoding(measure, *model_, 2, max_chunks_, threads);
  measure_denoising(measure, *model_, shape_, threads);
  if (second_) {
    measure_enlarging(measure, *model_, *second_, extent_of(shape_), extent_of(second_shape_), tile_,
                      threads);
    measure_denoising(measure, *model_, second_shape_, threads);
  }
  const LatentExtent last = extent_of(second_ ? second_shape_ : shape_);
  measure_decoding(measure, *model_, last.height, last.width, tile_, threads);
  if (has_picture_) measure_encoding_picture(measure, *model_, shape_.height, shape_.width, tile_, threads);
  plan.set_workspace_bytes(measure.peak_bytes());
  plan.set_output(0, picture_spec(WEFT_DTYPE_U8, images_, last.height * factor, last.width * factor, 3));
  plan.set_cost_seconds(seconds);
  return {};
}

Status GenerateNode::encode_texts(const sdk::Request& request, Kept& kept, Scratch& scratch) const {
  const sdk::Value prompt = request.input(kPrompt), negative = request.input(kNegativePrompt);
  const std::array<PromptText, 2> texts = {
      PromptText{negative ? negative.as_text() : std::string_view(), static_cast<bool>(negative)},
      PromptText{prompt.as_text(), true}};
  PromptOptions options = prompt_options(parameters_);
  options.max_chunks = max_chunks_;
  return encode_prompts(*model_, texts, options, kept.prompts, scratch, host_.executor(),
                        stop_request(request));
}

Status GenerateNode::prepare_latents(const sdk::Request& request,
                                     std::span<diffusion::NoiseGenerator> generators, double strength,
                                     Kept& kept, Scratch& scratch) const {
  const bool has_mask = static_cast<bool>(request.input(kMask));  // its producer may have been skipped
  if (!has_mask) kept.mask = kept.masked_picture = {};
  if (!request.input(kImage)) {
    kept.picture = kept.mask = kept.masked_picture = {};
    draw_first_noise(generators, model_->latent_channels(), scratch, kept.first_noise);
    return {};
  }
  const Result<Picture> picture = input_picture(request, kImage, "image");
  if (!picture.ok()) return picture.status();
  if (Status status = check_picture_size(picture->shape(), size_, "image"); !status.ok()) return status;
  // Where diffusers encodes, it draws from the picture's generator; ComfyUI takes the mean.
  const bool draws = parameters_.get_text("profile") == "diffusers";
  const std::span<diffusion::NoiseGenerator> drawn =
      draws ? generators : std::span<diffusion::NoiseGenerator>();
  if (has_mask && paints_into_pictures(*model_) && strength == 1) {
    kept.picture = {};  // what such a model paints from noise alone needs no picture but the masked one
  } else {
    if (!draws) kept.picture = kept.picture.first(kept.picture.size() / generators.size());
    Status status = encode_picture(*model_, picture->view, 0, nullptr, drawn, tile_, kept.picture, scratch,
                                   host_.executor(), stop_request(request));
    if (!status.ok()) return status;
  }
  draw_first_noise(generators, model_->latent_channels(), scratch, kept.first_noise);
  return has_mask ? encode_masked(request, picture->view, drawn, kept, scratch) : Status();
}

Status GenerateNode::encode_masked(const sdk::Request& request, const ImageView& picture,
                                   std::span<diffusion::NoiseGenerator> generators, Kept& kept,
                                   Scratch& scratch) const {
  const Result<Picture> mask = input_picture(request, kMask, "mask");
  if (!mask.ok()) return mask.status();
  if (Status status = check_picture_size(mask->shape(), size_, "mask"); !status.ok()) return status;
  latent_mask(mask->view, model_->vae().config().factor(), shape_.width, kept.mask);
  if (generators.empty())
    kept.masked_picture =
        kept.masked_picture.first(kept.masked_picture.size() / static_cast<size_t>(images_));
  if (paints_into_pictures(*model_)) {
    return encode_picture(*model_, picture, 0, &mask->view, generators, tile_, kept.masked_picture, scratch,
                          host_.executor(), stop_request(request));
  }
  // diffusers encodes the masked picture for every model: what that draws is gone for later steps.
  if (!generators.empty())
    draw_first_noise(generators, model_->latent_channels(), scratch, kept.masked_picture);
  return {};
}

LatentExtent GenerateNode::extent_of(const DenoisingShape& shape) const {
  return {shape.height, shape.width, model_->latent_channels()};
}

Status GenerateNode::paint(const sdk::Request& request, Kept& kept, Scratch& scratch) const {
  const sdk::Parameters parameters = request.parameters();
  std::vector<diffusion::NoiseGenerator> generators = noise_generators(parameters, images_);
  const bool has_picture = static_cast<bool>(request.input(kImage));
  const double strength = has_picture ? parameters.get_float("strength") : 1;
  if (Status status = prepare_latents(request, generators, strength, kept, scratch); !status.ok())
    return status;
  Result<diffusion::SamplingPlan> plan =
      sampling_plan(*model_, parameters, parameters.get_int("steps"), strength);
  if (!plan.ok()) return plan.status();
  std::optional<diffusion::SamplingPlan> more;
  if (second_) {
    Result<diffusion::SamplingPlan> second =
        sampling_plan(*model_, parameters, second_->steps, parameters.get_float("hires_strength"));
    if (!second.ok()) return second.status();
    more = *std::move(second);
  }
  const int64_t calls = plan->n_calls() + (more ? more->n_calls() : 0);
  Result<Controls> controls = input_controls(request, kControl);
  if (!controls.ok()) return controls.status();
  const Result<diffusion::Prediction> predicts = prediction(*model_, parameters);
  if (!predicts.ok()) return predicts.status();
  Previews previews(request, *model_, *predicts);
  if (Status ready = previews.prepare(scratch, host_.executor(), stop_request(request)); !ready.ok()) {
    return ready;
  }
  const DenoisingInputs inputs{
      .plan = &*plan,
      .guidance = parameters.get_float("cfg"),
      .guidance_rescale = parameters.get_float("guidance_rescale"),
      .generators = generators,
      .first_noise = kept.first_noise,
      .prompts = kept.prompts,
      .picture = kept.picture,
      .mask = kept.mask,
      .masked_picture = kept.masked_picture,
      .starts_from_noise =
          !kept.mask.empty() && strength == 1,  // everything under the mask comes from noise alone
      .controls = *std::move(controls),
      .previews = previews.wanted() ? &previews : nullptr,
      .progress = [&](int64_t done, int64_t) { request.progress(done, calls, "steps"); }};
  Status status =
      denoise(*model_, shape_, inputs, kept.latents, scratch, host_.executor(), stop_request(request));
  return status.ok() && more ? paint_enlarged(request, inputs, *more, kept, scratch) : status;
}

Status GenerateNode::paint_enlarged(const sdk::Request& request, const DenoisingInputs& first,
                                    const diffusion::SamplingPlan& plan, Kept& kept, Scratch& scratch) const {
  const LatentExtent from = extent_of(shape_), to = extent_of(second_shape_);
  const auto from_one = static_cast<size_t>(from.count()), to_one = static_cast<size_t>(to.count());
  for (size_t i = 0; i < static_cast<size_t>(images_); ++i) {
    Status status = enlarge(*model_, *second_, kept.latents.subspan(i * from_one, from_one), from,
                            kept.enlarged.subspan(i * to_one, to_one), to, tile_, scratch, host_.executor(),
                            stop_request(request));
    if (!status.ok()) return status;
  }
  // The same seeds again: noise of another size.
  std::vector<diffusion::NoiseGenerator> generators = noise_generators(request.parameters(), images_);
  draw_first_noise(generators, model_->latent_channels(), scratch, kept.second_noise);
  DenoisingInputs inputs = first;
  inputs.plan = &plan;
  inputs.generators = generators;
  inputs.first_noise = kept.second_noise;
  inputs.picture = kept.enlarged;
  inputs.starts_from_noise = false;
  inputs.controls = {};
  inputs.progress = [&](int64_t done, int64_t total) { first.progress(first.plan->n_calls() + done, total); };
  return denoise(*model_, second_shape_, inputs, kept.second_latents, scratch, host_.executor(),
                 stop_request(request));
}

Status GenerateNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  Kept kept = place(scratch, max_chunks_);
  if (Status status = encode_texts(request, kept, scratch); !status.ok()) return status;
  if (Status status = paint(request, kept, scratch); !status.ok()) return status;
  const LatentExtent extent = extent_of(second_ ? second_shape_ : shape_);
  const std::span<const float> latents = second_ ? kept.second_latents : kept.latents;
  const int64_t factor = model_->vae().config().factor();
  Result<NewPicture> made =
      new_picture(request, execution,
                  {{images_, extent.height * factor, extent.width * factor, 3}, WEFT_DTYPE_U8}, "generated");
  if (!made.ok()) return made.status();
  const auto one = static_cast<size_t>(extent.count());
  for (int64_t i = 0; i < images_; ++i) {
    Status status = decode_picture(*model_, latents.subspan(static_cast<size_t>(i) * one, one), extent.height,
                                   extent.width, tile_, made->view.row<uint8_t>(i, 0), scratch,
                                   host_.executor(), stop_request(request));
    if (!status.ok()) return status;
  }
  return request.set_output(0, finish(request, *made));
}

const weft_node_type kGenerateNode = sdk::node<GenerateNode>({.name = "image.generate",
                                                              .help = "Paints pictures from a prompt.",
                                                              .flags = WEFT_NODE_PURE,
                                                              .inputs = kInputs,
                                                              .outputs = kOutputs,
                                                              .parameters = kParameters});

}  // namespace weft::image
