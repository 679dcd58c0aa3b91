#include "plugins/image/latent_nodes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugins/image/latent.h"
#include "plugins/image/latent_codec.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

// ---- image.text_encode -----------------------------------------------------------------------------------------------

constexpr weft_port kTextInputs[] = {
    sdk::optional_port("text", "text",
                       "A prompt, or a negative one. None: a negative prompt that was not given, which "
                       "SDXL takes for zeros and other models for an empty text.")};
constexpr weft_port kConditionOutputs[] = {
    sdk::port("conditioning", kConditioning,
              "The text's hidden states, and its pooled state where the model wants it.")};
constexpr weft_parameter kTextOwnParameters[] = {
    kModelParameter, kProfileParameter,
    sdk::parameter(
        {.name = "min_chunks",
         .type = "int",
         .default_json = "1",
         .minimum = 1,
         .maximum = 64,
         .help =
             "Empty chunks are appended up to this number: both prompts of a picture need equally many."})};
constexpr auto kTextParameters = sdk::joined(kTextOwnParameters, kPromptParameters);

// ---- image.empty_latent ----------------------------------------------------------------------------------------------

constexpr weft_port kLatentOutputs[] = {sdk::port("latent", kLatent, "Latents of n pictures.")};
constexpr weft_parameter kEmptyParameters[] = {kModelParameter, generated_side_parameter("width"),
                                               generated_side_parameter("height"), kCountParameter};

// ---- image.vae_encode, image.vae_decode ------------------------------------------------------------------------------

constexpr weft_port kImageInputs[] = {
    sdk::port("image", "image", "Pictures, alpha left out."),
    sdk::optional_port("mask", "image",
                       "White where the pictures are hidden, for image.sample's input masked.")};
constexpr weft_parameter kEncodeParameters[] = {kModelParameter, generated_side_parameter("width"),
                                                generated_side_parameter("height"), kTileParameter};
constexpr weft_port kLatentInputs[] = {sdk::port("latent", kLatent, "Latents.")};
constexpr weft_port kImageOutputs[] = {sdk::port("image", "image", "The pictures, u8.")};
constexpr weft_parameter kDecodeParameters[] = {kModelParameter, kTileParameter};

}  // namespace

TextEncodeNode::TextEncodeNode(const sdk::NodeConfig& config)
    : host_(config.host()), model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status TextEncodeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const PromptOptions options = prompt_options(parameters_);
  const int64_t least = parameters_.get_int("min_chunks");
  const int64_t most_bytes = inputs[0].kind == 0 ? 0 : inputs[0].max_bytes;
  max_chunks_ = std::max(least, chunk_bound(*model_, most_bytes, options.max_chunks));
  Scratch measure = measuring_scratch(*model_);
  place_prompts(measure, *model_, 1, max_chunks_);
  measure_encoding(measure, *model_, 1, max_chunks_, host_.executor().max_threads());
  host_bytes_ = plan_memory(*model_, measure, plan);
  const int64_t rows = max_chunks_ * model_->chunk_length() + (model_->pooled_width() > 0 ? 1 : 0);
  plan.set_output(0,
                  sdk::tensor_spec(WEFT_DTYPE_F32, std::array{rows, model_->unet().config().context_width}));
  return {};
}

Status TextEncodeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  EncodedPrompts encoded = place_prompts(compute->scratch(), *model_, 1, max_chunks_);
  PromptOptions options = prompt_options(parameters_);
  options.min_chunks = parameters_.get_int("min_chunks");
  options.max_chunks = max_chunks_;
  const sdk::Value text = request.input(0);
  const PromptText prompt{text ? text.as_text() : std::string_view(), static_cast<bool>(text)};
  Status status = encode_prompts(*compute, {&prompt, 1}, options, encoded, stop_request(request));
  if (!status.ok()) return status;
  const int64_t width = model_->unet().config().context_width, pooled = model_->pooled_width();
  Result<sdk::NewTensor> made = request.host().allocate_tensor(
      WEFT_DTYPE_F32, std::array{encoded.n_tokens + (pooled > 0 ? 1 : 0), width}, execution.stream(),
      "conditioning");
  if (!made.ok()) return made.status();
  float* to = made->data<float>();
  const int64_t count = encoded.n_tokens * width;
  std::copy_n(encoded.hidden.data(), count, to);
  if (pooled > 0) {
    std::copy_n(encoded.pooled.data(), pooled, to + count);
    std::fill_n(to + count + pooled, width - pooled, 0.0f);
  }
  const std::string attributes =
      nlohmann::ordered_json{{"tokens", encoded.n_tokens}, {"pooled", pooled}}.dump();
  return request.set_output(
      0, request.host().make_tensor(made->buffer, made->view, kConditioning, attributes.c_str()));
}

EmptyLatentNode::EmptyLatentNode(const sdk::NodeConfig& config)
    : model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status EmptyLatentNode::prepare(sdk::Specs, sdk::Plan plan) {
  Result<PictureSize> size = picture_size(*model_, parameters_);
  if (!size.ok()) return size.status();
  const int64_t factor = model_->vae().config().factor();
  shape_[0] = parameters_.get_int("n");
  shape_[1] = size->height / factor;
  shape_[2] = size->width / factor;
  shape_[3] = model_->latent_channels();
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, shape_));
  return {};
}

Status EmptyLatentNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Result<sdk::NewTensor> made =
      request.host().allocate_tensor(WEFT_DTYPE_F32, shape_, execution.stream(), "empty latent");
  if (!made.ok()) return made.status();
  std::fill_n(made->data<float>(), sdk::element_count(made->view), 0.0f);
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kLatent));
}

VaeEncodeNode::VaeEncodeNode(const sdk::NodeConfig& config)
    : host_(config.host()), model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status VaeEncodeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  Result<PictureSize> size = picture_size(*model_, parameters_);
  if (!size.ok()) return size.status();
  size_ = *size;
  Result<int64_t> tile = tile_size(*model_, parameters_);
  if (!tile.ok()) return tile.status();
  tile_ = *tile;
  const int64_t factor = model_->vae().config().factor();
  Scratch measure = measuring_scratch(*model_);
  measure_encoding_picture(measure, *model_, size_.height / factor, size_.width / factor, tile_,
                           host_.executor().max_threads());
  host_bytes_ = plan_memory(*model_, measure, plan);
  const weft_spec pictures = picture_spec(inputs[0]);
  plan.set_output(
      0, sdk::tensor_spec(WEFT_DTYPE_F32, std::array{pictures.shape[0], size_.height / factor,
                                                     size_.width / factor, model_->latent_channels()}));
  return {};
}

Status VaeEncodeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  if (Status status = check_picture_size(picture->shape(), size_, "image"); !status.ok()) return status;
  Result<Picture> mask = Picture{};
  const bool has_mask = static_cast<bool>(request.input(1));
  if (has_mask) {
    mask = input_picture(request, 1, "mask");
    if (!mask.ok()) return mask.status();
    if (Status status = check_picture_size(mask->shape(), size_, "mask"); !status.ok()) return status;
  }
  const int64_t factor = model_->vae().config().factor(), count = picture->shape().count;
  Result<sdk::NewTensor> made = request.host().allocate_tensor(
      WEFT_DTYPE_F32,
      std::array{count, size_.height / factor, size_.width / factor, model_->latent_channels()},
      execution.stream(), "latent");
  if (!made.ok()) return made.status();
  const auto one = static_cast<size_t>(sdk::element_count(made->view) / count);
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  for (int64_t i = 0; i < count; ++i) {
    Status status =
        encode_picture(*compute, picture->view, i, has_mask ? &mask->view : nullptr, {}, tile_,
                       {made->data<float>() + static_cast<size_t>(i) * one, one}, stop_request(request));
    if (!status.ok()) return status;
    request.progress(i + 1, count, "pictures");
  }
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kLatent));
}

VaeDecodeNode::VaeDecodeNode(const sdk::NodeConfig& config)
    : host_(config.host()), model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status VaeDecodeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  Result<int64_t> tile = tile_size(*model_, parameters_);
  if (!tile.ok()) return tile.status();
  tile_ = *tile;
  const LatentBounds latent = latent_bounds(inputs[0], *model_);
  const int64_t factor = model_->vae().config().factor();
  Scratch measure = measuring_scratch(*model_);
  measure_decoding(measure, *model_, latent.height, latent.width, tile_, host_.executor().max_threads());
  host_bytes_ = plan_memory(*model_, measure, plan);
  plan.set_output(
      0, picture_spec(WEFT_DTYPE_U8, latent.images, latent.height * factor, latent.width * factor, 3));
  return {};
}

Status VaeDecodeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value value = request.input(0);
  const Result<weft_tensor> latent = latent_of(value, *model_, "latent");
  if (!latent.ok()) return latent.status();
  const int64_t factor = model_->vae().config().factor();
  const auto [count, height, width] = std::array{latent->shape[0], latent->shape[1], latent->shape[2]};
  Result<NewPicture> made = new_picture(
      request, execution, {{count, height * factor, width * factor, 3}, WEFT_DTYPE_U8}, "decoded");
  if (!made.ok()) return made.status();
  Result<ModelCompute> compute = ModelCompute::begin(*model_, host_, execution, host_bytes_);
  if (!compute.ok()) return compute.status();
  const std::span<const float> all = floats_of(*latent);
  const size_t one = all.size() / static_cast<size_t>(count);
  for (int64_t i = 0; i < count; ++i) {
    Status status = decode_picture(*compute, all.subspan(static_cast<size_t>(i) * one, one), height, width,
                                   tile_, made->view.row<uint8_t>(i, 0), stop_request(request));
    if (!status.ok()) return status;
    request.progress(i + 1, count, "pictures");
  }
  return request.set_output(0, finish(request, *made));
}

const weft_node_type kTextEncodeNode =
    sdk::node<TextEncodeNode>({.name = "image.text_encode",
                               .help = "Encodes a prompt for image.sample.",
                               .flags = WEFT_NODE_PURE,
                               .inputs = kTextInputs,
                               .outputs = kConditionOutputs,
                               .parameters = kTextParameters});
const weft_node_type kEmptyLatentNode =
    sdk::node<EmptyLatentNode>({.name = "image.empty_latent",
                                .help = "Latents of a size, to start from noise alone.",
                                .flags = WEFT_NODE_PURE,
                                .outputs = kLatentOutputs,
                                .parameters = kEmptyParameters});
const weft_node_type kVaeEncodeNode = sdk::node<VaeEncodeNode>({.name = "image.vae_encode",
                                                                .help = "Pictures to latents.",
                                                                .flags = WEFT_NODE_PURE,
                                                                .inputs = kImageInputs,
                                                                .outputs = kLatentOutputs,
                                                                .parameters = kEncodeParameters});
const weft_node_type kVaeDecodeNode = sdk::node<VaeDecodeNode>({.name = "image.vae_decode",
                                                                .help = "Latents to pictures.",
                                                                .flags = WEFT_NODE_PURE,
                                                                .inputs = kLatentInputs,
                                                                .outputs = kImageOutputs,
                                                                .parameters = kDecodeParameters});

}  // namespace weft::image
