#include "plugins/image/latent_nodes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "plugins/image/latent_codec.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr const char* kLatent = "image.latent";
constexpr const char* kConditioning = "image.conditioning";

std::span<const float> floats_of(const weft_tensor& tensor) {
  return {static_cast<const float*>(tensor.data), static_cast<size_t>(sdk::element_count(tensor))};
}

/// A latent that came in, checked against the model and the bounds that were prepared for.
Result<weft_tensor> latent_of(const sdk::Value& value, const DiffusionModel& model) {
  const weft_tensor tensor = value.as_tensor();
  const bool fits = tensor.rank == 4 && tensor.dtype == WEFT_DTYPE_F32 && sdk::is_contiguous(tensor) &&
                    tensor.shape[3] == model.latent_channels() && sdk::element_count(tensor) > 0;
  if (fits) return tensor;
  return Status(StatusCode::kInvalidShape, "not latents of this model")
      .at("port 'latent'")
      .expected("f32 [pictures, rows, columns, " + std::to_string(model.latent_channels()) + "]")
      .got("rank " + std::to_string(tensor.rank) + " with " +
           std::to_string(tensor.rank > 0 ? tensor.shape[tensor.rank - 1] : 0) + " channels");
}

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

// ---- image.text_encode -----------------------------------------------------------------------------------------------

constexpr weft_port kTextInputs[] = {sdk::port("text", "text", "A prompt, or a negative one.")};
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
constexpr auto kTextParameters = joined(kTextOwnParameters, kPromptParameters);

// ---- image.empty_latent ----------------------------------------------------------------------------------------------

constexpr weft_port kLatentOutputs[] = {sdk::port("latent", kLatent, "Latents of n pictures.")};
constexpr weft_parameter kEmptyParameters[] = {kModelParameter, generated_side_parameter("width"),
                                               generated_side_parameter("height"), kCountParameter};

// ---- image.sample ----------------------------------------------------------------------------------------------------

enum SampleInput : size_t { kSampleLatent, kPositive, kNegative };
constexpr weft_port kSampleInputs[] = {
    sdk::port("latent", kLatent, "How many pictures of which size; with strength below 1, where they start."),
    sdk::port("positive", kConditioning, "What to paint."),
    sdk::optional_port("negative", kConditioning, "What to stay away from; needed with cfg above 1.")};
constexpr weft_parameter kSampleOwnParameters[] = {kModelParameter, kProfileParameter, kSeedParameter,
                                                   kRngParameter};
constexpr auto kSampleParameters = joined(kSampleOwnParameters, kSamplingParameters);

// ---- image.vae_encode, image.vae_decode ------------------------------------------------------------------------------

constexpr weft_port kImageInputs[] = {sdk::port("image", "image", "Pictures, alpha left out.")};
constexpr weft_parameter kEncodeParameters[] = {kModelParameter, generated_side_parameter("width"),
                                                generated_side_parameter("height"), kTileParameter};
constexpr weft_port kLatentInputs[] = {sdk::port("latent", kLatent, "Latents.")};
constexpr weft_port kImageOutputs[] = {sdk::port("image", "image", "The pictures, u8.")};
constexpr weft_parameter kDecodeParameters[] = {kModelParameter, kTileParameter};

/// Of a conditioning of which nothing is known: image.text_encode's default.
constexpr int64_t kUnboundedChunks = 4;

int64_t bound_or(int64_t bound, int64_t otherwise) { return bound == WEFT_UNBOUNDED ? otherwise : bound; }

}  // namespace

TextEncodeNode::TextEncodeNode(const sdk::NodeConfig& config)
    : host_(config.host()), model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status TextEncodeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  const PromptOptions options = prompt_options(parameters_);
  const int64_t least = parameters_.get_int("min_chunks");
  max_chunks_ = std::max(least, chunk_bound(*model_, inputs[0].max_bytes, options.max_chunks));
  Scratch measure;
  place_prompts(measure, *model_, 1, max_chunks_);
  measure_encoding(measure, *model_, 1, max_chunks_, host_.executor().max_threads());
  plan.set_workspace_bytes(measure.peak_bytes());
  const int64_t rows = max_chunks_ * model_->chunk_length() + (model_->pooled_width() > 0 ? 1 : 0);
  plan.set_output(0,
                  sdk::tensor_spec(WEFT_DTYPE_F32, std::array{rows, model_->unet().config().context_width}));
  return {};
}

Status TextEncodeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  EncodedPrompts encoded = place_prompts(scratch, *model_, 1, max_chunks_);
  PromptOptions options = prompt_options(parameters_);
  options.min_chunks = parameters_.get_int("min_chunks");
  options.max_chunks = max_chunks_;
  const sdk::Value text = request.input(0);
  const PromptText prompt{text.as_text(), true};
  Status status = encode_prompts(*model_, {&prompt, 1}, options, encoded, scratch, host_.executor(),
                                 stop_request(request));
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

SampleNode::SampleNode(const sdk::NodeConfig& config)
    : host_(config.host()), model_(config.model<DiffusionModel>("model")), parameters_(config.parameters()) {}

Status SampleNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  Result<diffusion::SamplingPlan> steps = sampling_plan(*model_, parameters_, 1);
  if (!steps.ok()) return steps.status();
  const weft_spec& latent = inputs[kSampleLatent];
  const int64_t side = static_cast<int64_t>(kMaxGeneratedSide) / model_->vae().config().factor();
  const bool known = latent.rank == 4;
  int64_t rows = model_->chunk_length() * kUnboundedChunks;
  for (const size_t port : {kPositive, kNegative}) {
    const weft_spec& condition = inputs[port];
    if (condition.kind == 0 || condition.rank != 2) continue;  // not connected, or nothing known
    const int64_t chunks =
        (bound_or(condition.shape[0], rows) + model_->chunk_length() - 1) / model_->chunk_length();
    rows =
        port == kPositive ? chunks * model_->chunk_length() : std::max(rows, chunks * model_->chunk_length());
  }
  bounds_ = {.images = known ? bound_or(latent.shape[0], kMaxGeneratedImages) : kMaxGeneratedImages,
             .height = known ? bound_or(latent.shape[1], side) : side,
             .width = known ? bound_or(latent.shape[2], side) : side,
             .n_context = rows,
             .history_slots = steps->history_slots()};
  Scratch measure;
  measure.take<float>(2 * rows * model_->unet().config().context_width);
  measure.take<float>(2 * model_->pooled_width());
  measure_denoising(measure, *model_, bounds_, host_.executor().max_threads());
  plan.set_workspace_bytes(measure.peak_bytes());
  plan.set_output(0, sdk::tensor_spec(WEFT_DTYPE_F32, std::array{bounds_.images, bounds_.height,
                                                                 bounds_.width, model_->latent_channels()}));
  return {};
}

Status SampleNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value latent_value = request.input(kSampleLatent);
  const Result<weft_tensor> latent = latent_of(latent_value, *model_);
  if (!latent.ok()) return latent.status();
  const sdk::Parameters parameters = request.parameters();
  const double cfg = parameters.get_float("cfg"), strength = parameters.get_float("strength");
  const sdk::Value positive = request.input(kPositive), negative = request.input(kNegative);
  if (!negative && cfg > 1 && model_->unet().config().guidance_width == 0) {
    return Status(StatusCode::kInvalidArgument, "guidance needs a negative prompt")
        .at("port 'negative'")
        .expected("a conditioning, of an empty text if nothing else")
        .got("none")
        .hint("or set cfg to 1");
  }
  const Result<Condition> with = condition_of(positive, *model_, "positive");
  if (!with.ok()) return with.status();
  Result<Condition> without = negative ? condition_of(negative, *model_, "negative") : with;
  if (!without.ok()) return without.status();
  if (with->n_tokens != without->n_tokens) {
    return Status(StatusCode::kInvalidShape, "the prompts differ in length")
        .at("port 'negative'")
        .expected(std::to_string(with->n_tokens) + " tokens, as the positive one has")
        .got(std::to_string(without->n_tokens))
        .hint("min_chunks of image.text_encode pads the shorter one");
  }
  DenoisingShape shape = bounds_;
  shape.images = latent->shape[0];
  shape.height = latent->shape[1];
  shape.width = latent->shape[2];
  if (with->n_tokens > bounds_.n_context) {
    return Status(StatusCode::kOutOfRange, "a longer prompt than was prepared for").at("port 'positive'");
  }

  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  EncodedPrompts prompts{.n_tokens = with->n_tokens,
                         .hidden = scratch.take<float>(2 * static_cast<int64_t>(with->hidden.size())),
                         .pooled = scratch.take<float>(2 * model_->pooled_width())};
  const Condition* const both[] = {&*without, &*with};
  for (size_t index = 0; index < 2; ++index) {
    const Condition* condition = both[index];
    std::copy(condition->hidden.begin(), condition->hidden.end(),
              prompts.hidden.begin() + static_cast<ptrdiff_t>(index * condition->hidden.size()));
    std::copy_n(condition->pooled.data(), model_->pooled_width(),
                prompts.pooled.data() + static_cast<int64_t>(index) * model_->pooled_width());
  }
  Result<diffusion::SamplingPlan> plan = sampling_plan(*model_, parameters, strength);
  if (!plan.ok()) return plan.status();
  std::vector<diffusion::NoiseGenerator> generators = noise_generators(parameters, shape.images);
  const DenoisingInputs inputs{
      .plan = &*plan,
      .guidance = cfg,
      .guidance_rescale = parameters.get_float("guidance_rescale"),
      .generators = generators,
      .prompts = prompts,
      .picture = floats_of(*latent),
      .mask = {},
      .masked_picture = {},
      .starts_from_noise = strength == 1,
      .progress = [&](int64_t done, int64_t total) { request.progress(done, total, "steps"); }};
  Result<sdk::NewTensor> made = request.host().allocate_tensor(
      WEFT_DTYPE_F32, std::span<const int64_t>(latent->shape, 4), execution.stream(), "latent");
  if (!made.ok()) return made.status();
  const std::span<float> latents(made->data<float>(), static_cast<size_t>(sdk::element_count(made->view)));
  Status status = denoise(*model_, shape, inputs, latents, scratch, host_.executor(), stop_request(request));
  if (!status.ok()) return status;
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
  Scratch measure;
  measure_encoding_picture(measure, *model_, size_.height / factor, size_.width / factor, tile_,
                           host_.executor().max_threads());
  plan.set_workspace_bytes(measure.peak_bytes());
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
  const int64_t factor = model_->vae().config().factor(), count = picture->shape().count;
  Result<sdk::NewTensor> made = request.host().allocate_tensor(
      WEFT_DTYPE_F32,
      std::array{count, size_.height / factor, size_.width / factor, model_->latent_channels()},
      execution.stream(), "latent");
  if (!made.ok()) return made.status();
  const auto one = static_cast<size_t>(sdk::element_count(made->view) / count);
  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  for (int64_t i = 0; i < count; ++i) {
    Status status = encode_picture(*model_, picture->view, i, nullptr, nullptr, tile_,
                                   {made->data<float>() + static_cast<size_t>(i) * one, one}, scratch,
                                   host_.executor(), stop_request(request));
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
  const weft_spec& latent = inputs[0];
  const int64_t factor = model_->vae().config().factor();
  const int64_t side = static_cast<int64_t>(kMaxGeneratedSide) / factor;
  const bool known = latent.rank == 4;
  const int64_t height = known ? bound_or(latent.shape[1], side) : side;
  const int64_t width = known ? bound_or(latent.shape[2], side) : side;
  Scratch measure;
  measure_decoding(measure, *model_, height, width, tile_, host_.executor().max_threads());
  plan.set_workspace_bytes(measure.peak_bytes());
  plan.set_output(0, picture_spec(WEFT_DTYPE_U8, known ? latent.shape[0] : WEFT_UNBOUNDED, height * factor,
                                  width * factor, 3));
  return {};
}

Status VaeDecodeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value value = request.input(0);
  const Result<weft_tensor> latent = latent_of(value, *model_);
  if (!latent.ok()) return latent.status();
  const int64_t factor = model_->vae().config().factor();
  const auto [count, height, width] = std::array{latent->shape[0], latent->shape[1], latent->shape[2]};
  Result<NewPicture> made = new_picture(
      request, execution, {{count, height * factor, width * factor, 3}, WEFT_DTYPE_U8}, "decoded");
  if (!made.ok()) return made.status();
  Scratch scratch(execution.workspace(), execution.workspace_bytes());
  const std::span<const float> all = floats_of(*latent);
  const size_t one = all.size() / static_cast<size_t>(count);
  for (int64_t i = 0; i < count; ++i) {
    Status status =
        decode_picture(*model_, all.subspan(static_cast<size_t>(i) * one, one), height, width, tile_,
                       made->view.row<uint8_t>(i, 0), scratch, host_.executor(), stop_request(request));
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
const weft_node_type kSampleNode = sdk::node<SampleNode>({.name = "image.sample",
                                                          .help = "Paints latents from encoded prompts.",
                                                          .flags = WEFT_NODE_PURE,
                                                          .inputs = kSampleInputs,
                                                          .outputs = kLatentOutputs,
                                                          .parameters = kSampleParameters});
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
