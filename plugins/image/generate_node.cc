#include "plugins/image/generate_node.h"

#include <algorithm>
#include <array>
#include <string>

#include "plugins/image/latent_codec.h"

namespace weft::image {
namespace {

enum Input : size_t { kPrompt, kNegativePrompt, kImage, kMask };
constexpr weft_port kInputs[] = {
    sdk::port("prompt", "text", "What to paint."),
    sdk::optional_port("negative_prompt", "text", "What to stay away from."),
    sdk::optional_port("image", "image", "A picture to start from; strength says how much of it changes."),
    sdk::optional_port("mask", "image", "With image: white where it is painted anew; the rest stays.")};
constexpr weft_port kOutputs[] = {sdk::port("image", "image", "The pictures, n of them.")};

constexpr weft_parameter kOwnParameters[] = {kModelParameter,
                                             kProfileParameter,
                                             generated_side_parameter("width"),
                                             generated_side_parameter("height"),
                                             kTileParameter,
                                             kCountParameter,
                                             kSeedParameter,
                                             kRngParameter};
constexpr auto kParameters = joined(kOwnParameters, kSamplingParameters, kPromptParameters);

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
  kept.picture = scratch.take<float>(has_picture_ ? latents : 0);
  kept.mask = scratch.take<float>(has_mask_ ? area : 0);
  kept.masked_picture = scratch.take<float>(has_mask_ ? latents : 0);
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
  Result<diffusion::SamplingPlan> steps = sampling_plan(*model_, parameters_, 1);
  if (!steps.ok()) return steps.status();
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
            .history_slots = steps->history_slots()};

  const uint32_t threads = host_.executor().max_threads();
  Scratch measure;
  place(measure, max_chunks_);
  measure_encoding(measure, *model_, 2, max_chunks_, threads);
  measure_denoising(measure, *model_, shape_, threads);
  measure_decoding(measure, *model_, shape_.height, shape_.width, tile_, threads);
  if (has_picture_) measure_encoding_picture(measure, *model_, shape_.height, shape_.width, tile_, threads);
  plan.set_workspace_bytes(measure.peak_bytes());
  plan.set_output(0, picture_spec(WEFT_DTYPE_U8, images_, size_.height, size_.width, 3));
  plan.set_cost_seconds(unet_seconds(*model_, shape_) * static_cast<double>(steps->n_calls()));
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

Status GenerateNode::encode_pictures(const sdk::Request& request,
                                     std::vector<diffusion::NoiseGenerator>& generators, Kept& kept,
                                     Scratch& scratch) const {
  const Result<Picture> picture = input_picture(request, kImage, "image");
  if (!picture.ok()) return picture.status();
  if (Status status = check_picture_size(picture->shape(), size_, "image"); !status.ok()) return status;
  const StopRequest stop = stop_request(request);
  // Where diffusers encodes, it draws from the first picture's generator; ComfyUI takes the mean.
  const bool draws = parameters_.get_text("profile") == "diffusers";
  if (Status status =
          encode_picture(*model_, picture->view, 0, nullptr, draws ? &generators.front() : nullptr, tile_,
                         kept.picture, scratch, host_.executor(), stop);
      !status.ok()) {
    return status;
  }
  if (!request.input(kMask)) {  // none, or its producer was skipped
    kept.mask = kept.masked_picture = {};
    return {};
  }
  const Result<Picture> mask = input_picture(request, kMask, "mask");
  if (!mask.ok()) return mask.status();
  if (Status status = check_picture_size(mask->shape(), size_, "mask"); !status.ok()) return status;
  latent_mask(mask->view, model_->vae().config().factor(), shape_.width, kept.mask);
  if (model_->unet().config().in_channels == model_->latent_channels()) return {};
  return encode_picture(*model_, picture->view, 0, &mask->view, nullptr, tile_, kept.masked_picture, scratch,
                        host_.executor(), stop);
}

Status GenerateNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  Kept kept = place(scratch, max_chunks_);
  if (Status status = encode_texts(request, kept, scratch); !status.ok()) return status;
  const sdk::Parameters parameters = request.parameters();
  std::vector<diffusion::NoiseGenerator> generators = noise_generators(parameters, images_);
  const bool has_picture = static_cast<bool>(request.input(kImage));  // its producer may have been skipped
  if (has_picture) {
    if (Status status = encode_pictures(request, generators, kept, scratch); !status.ok()) return status;
  } else {
    kept.picture = kept.mask = kept.masked_picture = {};
  }
  const double strength = has_picture ? parameters.get_float("strength") : 1;
  Result<diffusion::SamplingPlan> plan = sampling_plan(*model_, parameters, strength);
  if (!plan.ok()) return plan.status();
  const bool whole = !kept.mask.empty() && strength == 1;  // everything under the mask comes from noise alone
  const DenoisingInputs inputs{
      .plan = &*plan,
      .guidance = parameters.get_float("cfg"),
      .guidance_rescale = parameters.get_float("guidance_rescale"),
      .generators = generators,
      .prompts = kept.prompts,
      .picture = kept.picture,
      .mask = kept.mask,
      .masked_picture = kept.masked_picture,
      .starts_from_noise = whole,
      .progress = [&](int64_t done, int64_t total) { request.progress(done, total, "steps"); }};
  const StopRequest stop = stop_request(request);
  if (Status status = denoise(*model_, shape_, inputs, kept.latents, scratch, host_.executor(), stop);
      !status.ok()) {
    return status;
  }
  Result<NewPicture> made =
      new_picture(request, execution, {{images_, size_.height, size_.width, 3}, WEFT_DTYPE_U8}, "generated");
  if (!made.ok()) return made.status();
  const auto latents_of_one = static_cast<int64_t>(kept.latents.size()) / images_;
  for (int64_t i = 0; i < images_; ++i) {
    Status status = decode_picture(
        *model_,
        kept.latents.subspan(static_cast<size_t>(i * latents_of_one), static_cast<size_t>(latents_of_one)),
        shape_.height, shape_.width, tile_, made->view.row<uint8_t>(i, 0), scratch, host_.executor(), stop);
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
