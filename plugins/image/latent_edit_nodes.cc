#include "plugins/image/latent_edit_nodes.h"

#include <algorithm>
#include <array>
#include <string>

#include "plugins/image/generation_parameters.h"
#include "plugins/image/latent.h"
#include "plugins/image/latent_codec.h"
#include "plugins/image/picture.h"
#include "plugins/image/resize_node.h"

namespace weft::image {
namespace {

Result<sdk::NewTensor> new_latent(const sdk::Request& request, const sdk::Execution& execution,
                                  int64_t images, const LatentExtent& extent) {
  return request.host().allocate_tensor(WEFT_DTYPE_F32,
                                        std::array{images, extent.height, extent.width, extent.channels},
                                        execution.stream(), "latent");
}

std::span<float> values_of(const sdk::NewTensor& tensor) {
  return {tensor.data<float>(), static_cast<size_t>(sdk::element_count(tensor.view))};
}

LatentExtent extent_of(const weft_tensor& latent) {
  return {latent.shape[1], latent.shape[2], latent.shape[3]};
}

weft_spec latent_spec(const LatentBounds& bounds, const DiffusionModel& model) {
  return sdk::tensor_spec(WEFT_DTYPE_F32,
                          std::array{bounds.images, bounds.height, bounds.width, model.latent_channels()});
}

// ---- image.latent_upscale --------------------------------------------------------------------------------------------

constexpr weft_port kUpscaleInputs[] = {sdk::port("latent", kLatent, "Of image.sample or image.vae_encode.")};
constexpr weft_port kLatentOutputs[] = {sdk::port("latent", kLatent, "The latents that were made.")};
constexpr weft_parameter kUpscaleParameters[] = {
    kModelParameter,
    generated_side_parameter("width", "Of the decoded picture, a multiple of 8; 0: by scale."),
    generated_side_parameter("height", "Of the decoded picture, a multiple of 8; 0: by scale."),
    sdk::parameter({.name = "scale",
                    .type = "float",
                    .default_json = "1.5",
                    .minimum = 0.125,
                    .maximum = 8,
                    .help = "Of sides that are not given, to the nearest size that the model takes."}),
    sdk::parameter({.name = "filter",
                    .type = "choice",
                    .default_json = "\"bilinear\"",
                    .choices = kFilterChoices,
                    .help = "How values in between are found."})};

// ---- image.latent_composite ------------------------------------------------------------------------------------------

enum CompositeInput : size_t { kBackground, kOver, kMask };
constexpr weft_port kCompositeInputs[] = {
    sdk::port("background", kLatent, "What lies below, and gives the size."),
    sdk::port("latent", kLatent, "What lies over it; what stands out is cut off."),
    sdk::optional_port("mask", "image", "Of the upper picture's size: white where it covers the lower one.")};
constexpr weft_parameter place_parameter(const char* name) {
  return sdk::parameter({.name = name,
                         .type = "int",
                         .default_json = "0",
                         .minimum = -kMaxGeneratedSide,
                         .maximum = kMaxGeneratedSide,
                         .unit = "pixels",
                         .help = "Where the upper picture's corner lies; taken to the latent below it.",
                         .flags = WEFT_PARAMETER_PER_REQUEST});
}
constexpr weft_parameter kCompositeParameters[] = {kModelParameter, place_parameter("x"),
                                                   place_parameter("y")};

// The latent that a pixel lies in, also left of and above the picture.
int64_t latent_of_pixel(int64_t pixel, int64_t factor) {
  return pixel >= 0 ? pixel / factor : -((-pixel + factor - 1) / factor);
}

// The mean of a mask over a latent's pixels.
float coverage(const ImageView& mask, int64_t factor, int64_t y, int64_t x) {
  float sum = 0;
  for (int64_t j = 0; j < factor; ++j) {
    for (int64_t i = 0; i < factor; ++i) sum += unit_value(mask, 0, y * factor + j, x * factor + i, 0);
  }
  return sum / static_cast<float>(factor * factor);
}

Status different(const char* what, const char* port, const std::string& expected, const std::string& got) {
  return Status(StatusCode::kInvalidShape, what)
      .at(std::string("port '") + port + "'")
      .expected(expected)
      .got(got);
}

std::string size_text(const LatentExtent& extent, int64_t factor) {
  return std::to_string(extent.width * factor) + " x " + std::to_string(extent.height * factor) + " pixels";
}

// ---- image.latent_batch ----------------------------------------------------------------------------------------------

constexpr weft_port kBatchInputs[] = {
    sdk::port("latent", kLatent, "The first ones."),
    sdk::optional_port("more", kLatent, "Those behind them, of the same size.")};
constexpr weft_parameter kBatchParameters[] = {
    kModelParameter, sdk::parameter({.name = "repeat",
                                     .type = "int",
                                     .default_json = "1",
                                     .minimum = 1,
                                     .maximum = kMaxGeneratedImages,
                                     .help = "How often they follow one another."})};

}  // namespace

LatentUpscaleNode::LatentUpscaleNode(const sdk::NodeConfig& config)
    : model_(config.model<DiffusionModel>("model")),
      width_(config.parameters().get_int("width")),
      height_(config.parameters().get_int("height")),
      scale_(config.parameters().get_float("scale")),
      filter_(filter_named(config.parameters().get_text("filter"))) {}

Result<LatentExtent> LatentUpscaleNode::target(const LatentExtent& source) const {
  const int64_t factor = model_->vae().config().factor();
  const Result<PictureSize> size =
      enlarged_size(*model_, {source.height * factor, source.width * factor}, {height_, width_}, scale_);
  if (!size.ok()) return size.status();
  return LatentExtent{size->height / factor, size->width / factor, source.channels};
}

Status LatentUpscaleNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  LatentBounds bounds = latent_bounds(inputs[0], *model_);
  const LatentExtent source{bounds.height, bounds.width, model_->latent_channels()};
  const Result<LatentExtent> made = target(source);
  if (!made.ok()) return made.status();
  Scratch measure(Scratch::Networks::kShare);
  measure_latent_resize(measure, source, *made, filter_);
  plan.set_workspace_bytes(measure.peak_bytes());
  bounds.height = made->height;
  bounds.width = made->width;
  plan.set_output(0, latent_spec(bounds, *model_));
  return {};
}

Status LatentUpscaleNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value value = request.input(0);
  const Result<weft_tensor> latent = latent_of(value, *model_, "latent");
  if (!latent.ok()) return latent.status();
  const LatentExtent from = extent_of(*latent);
  const Result<LatentExtent> to = target(from);
  if (!to.ok()) return to.status();
  Result<sdk::NewTensor> made = new_latent(request, execution, latent->shape[0], *to);
  if (!made.ok()) return made.status();
  Scratch scratch({execution.workspace(), execution.workspace_bytes()});
  const auto from_one = static_cast<size_t>(from.count()), to_one = static_cast<size_t>(to->count());
  for (size_t i = 0; i < static_cast<size_t>(latent->shape[0]); ++i) {
    if (request.cancelled()) return sdk::Request::cancelled_status();
    resize_latents(floats_of(*latent).subspan(i * from_one, from_one), from,
                   values_of(*made).subspan(i * to_one, to_one), *to, filter_, scratch);
  }
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kLatent));
}

LatentCompositeNode::LatentCompositeNode(const sdk::NodeConfig& config)
    : model_(config.model<DiffusionModel>("model")) {}

Status LatentCompositeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan.set_output(0, latent_spec(latent_bounds(inputs[kBackground], *model_), *model_));
  return {};
}

Status LatentCompositeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value below = request.input(kBackground), above = request.input(kOver);
  const Result<weft_tensor> background = latent_of(below, *model_, "background");
  if (!background.ok()) return background.status();
  const Result<weft_tensor> over = latent_of(above, *model_, "latent");
  if (!over.ok()) return over.status();
  const int64_t factor = model_->vae().config().factor(), images = background->shape[0];
  const LatentExtent lower = extent_of(*background), upper = extent_of(*over);
  if (over->shape[0] != 1 && over->shape[0] != images) {
    return different("as many latents above as below, or one for all", "latent", std::to_string(images),
                     std::to_string(over->shape[0]));
  }
  Result<Picture> mask = Picture{};
  const bool has_mask = static_cast<bool>(request.input(kMask));
  if (has_mask) {
    mask = input_picture(request, kMask, "mask");
    if (!mask.ok()) return mask.status();
    if (mask->shape().height != upper.height * factor || mask->shape().width != upper.width * factor) {
      return different("a mask of another size than what it covers", "mask", size_text(upper, factor),
                       to_string(mask->shape()));
    }
  }
  Result<sdk::NewTensor> made = new_latent(request, execution, images, lower);
  if (!made.ok()) return made.status();
  const std::span<const float> from = floats_of(*over), under = floats_of(*background);
  const std::span<float> to = values_of(*made);
  std::copy(under.begin(), under.end(), to.begin());
  const sdk::Parameters parameters = request.parameters();
  const int64_t left = latent_of_pixel(parameters.get_int("x"), factor),
                top = latent_of_pixel(parameters.get_int("y"), factor);
  for (int64_t y = std::max<int64_t>(0, -top); y < std::min(upper.height, lower.height - top); ++y) {
    for (int64_t x = std::max<int64_t>(0, -left); x < std::min(upper.width, lower.width - left); ++x) {
      const float share = has_mask ? coverage(mask->view, factor, y, x) : 1;
      for (int64_t i = 0; i < images; ++i) {
        const int64_t source = over->shape[0] == 1 ? 0 : i;
        const float* a = from.data() + ((source * upper.height + y) * upper.width + x) * upper.channels;
        float* b = to.data() + ((i * lower.height + y + top) * lower.width + x + left) * lower.channels;
        for (int64_t c = 0; c < lower.channels; ++c) b[c] = share * a[c] + (1 - share) * b[c];
      }
    }
  }
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kLatent));
}

LatentBatchNode::LatentBatchNode(const sdk::NodeConfig& config)
    : model_(config.model<DiffusionModel>("model")), repeat_(config.parameters().get_int("repeat")) {}

Status LatentBatchNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  LatentBounds bounds = latent_bounds(inputs[0], *model_);
  if (inputs[1].kind != 0) bounds.images += latent_bounds(inputs[1], *model_).images;
  bounds.images = std::min(bounds.images * repeat_, kMaxGeneratedImages);
  plan.set_output(0, latent_spec(bounds, *model_));
  return {};
}

Status LatentBatchNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value first_value = request.input(0), more_value = request.input(1);
  const Result<weft_tensor> first = latent_of(first_value, *model_, "latent");
  if (!first.ok()) return first.status();
  const Result<weft_tensor> more = more_value ? latent_of(more_value, *model_, "more") : first;
  if (!more.ok()) return more.status();
  const LatentExtent extent = extent_of(*first);
  const int64_t factor = model_->vae().config().factor();
  if (extent_of(*more).height != extent.height || extent_of(*more).width != extent.width) {
    return different("a batch has pictures of one size", "more", size_text(extent, factor),
                     size_text(extent_of(*more), factor));
  }
  const int64_t once = first->shape[0] + (more_value ? more->shape[0] : 0);
  if (once * repeat_ > kMaxGeneratedImages) {
    return Status(StatusCode::kOutOfRange, "too many pictures in a batch")
        .expected("at most " + std::to_string(kMaxGeneratedImages))
        .got(std::to_string(once * repeat_));
  }
  Result<sdk::NewTensor> made = new_latent(request, execution, once * repeat_, extent);
  if (!made.ok()) return made.status();
  float* to = made->data<float>();
  const std::span<const float> a = floats_of(*first),
                               b = more_value ? floats_of(*more) : std::span<const float>();
  for (int64_t i = 0; i < repeat_; ++i) {
    to = std::copy(a.begin(), a.end(), to);
    to = std::copy(b.begin(), b.end(), to);
  }
  return request.set_output(0, request.host().make_tensor(made->buffer, made->view, kLatent));
}

const weft_node_type kLatentUpscaleNode =
    sdk::node<LatentUpscaleNode>({.name = "image.latent_upscale",
                                  .help = "Gives latents another size, for a second pass of image.sample.",
                                  .flags = WEFT_NODE_PURE,
                                  .inputs = kUpscaleInputs,
                                  .outputs = kLatentOutputs,
                                  .parameters = kUpscaleParameters});
const weft_node_type kLatentCompositeNode =
    sdk::node<LatentCompositeNode>({.name = "image.latent_composite",
                                    .help = "Puts latents over others.",
                                    .flags = WEFT_NODE_PURE,
                                    .inputs = kCompositeInputs,
                                    .outputs = kLatentOutputs,
                                    .parameters = kCompositeParameters});
const weft_node_type kLatentBatchNode =
    sdk::node<LatentBatchNode>({.name = "image.latent_batch",
                                .help = "Makes one batch of several latents.",
                                .flags = WEFT_NODE_PURE,
                                .inputs = kBatchInputs,
                                .outputs = kLatentOutputs,
                                .parameters = kBatchParameters});

}  // namespace weft::image
