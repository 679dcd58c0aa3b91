#include "plugins/image/mix_nodes.h"

#include <algorithm>
#include <cmath>

#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;

// Rows that a loop over rows works with; one set a thread, kept between rows.
std::vector<float>& row_buffer(int which, int64_t values) {
  thread_local std::vector<float> buffers[4];
  std::vector<float>& buffer = buffers[which];
  if (buffer.size() < static_cast<size_t>(values)) buffer.resize(static_cast<size_t>(values));
  return buffer;
}

Status different_sizes(const char* port, const ImageShape& expected, const ImageShape& got) {
  return Status(StatusCode::kInvalidShape, "the pictures do not go together")
      .at(std::string("port '") + port + "'")
      .expected(to_string(expected))
      .got(to_string(got));
}

/// Several pictures, or one that serves for all.
bool counts_match(const ImageShape& many, const ImageShape& other) {
  return other.count == many.count || other.count == 1;
}

// ---- image.composite -------------------------------------------------------------------------------------------------

constexpr weft_port kCompositeInputs[] = {
    sdk::port("image", "image", "What lies on top; transparent where its alpha says so."),
    sdk::port("background", "image", "What lies below."),
    sdk::optional_port(
        "mask", "image",
        "As large as image: white shows it, black hides it. The luma counts, of colours too.")};
constexpr weft_port kCompositeOutputs[] = {
    sdk::port("image", "image", "As large as the background, with its channels and type.")};
constexpr weft_parameter offset_parameter(const char* name, const char* help) {
  return sdk::parameter({.name = name,
                         .type = "int",
                         .default_json = "0",
                         .minimum = -static_cast<double>(kMaxImageSide),
                         .maximum = kMaxImageSide,
                         .unit = "pixels",
                         .help = help,
                         .flags = kPerRequest});
}
constexpr weft_parameter kCompositeParameters[] = {
    sdk::parameter({.name = "anchor",
                    .type = "choice",
                    .default_json = "\"top_left\"",
                    .choices = kAnchors,
                    .help = "Where on the background the image lies, before x and y move it.",
                    .flags = kPerRequest}),
    offset_parameter("x", "Moves the image to the right; what stands out is cut off."),
    offset_parameter("y", "Moves the image down."),
    sdk::parameter({.name = "opacity",
                    .type = "float",
                    .default_json = "1",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "0: invisible; 1: as opaque as its alpha.",
                    .flags = kPerRequest})};

/// One pixel over another, both straight alpha. background: [channels], changed in place; top: RGBA.
void over(const float* top, float alpha, float* background, int64_t channels) {
  if (channels != 4) {
    for (int64_t c = 0; c < channels; ++c) background[c] += (top[c] - background[c]) * alpha;
    return;
  }
  const float below = background[3] * (1 - alpha), sum = alpha + below;
  for (int c = 0; c < 3; ++c) background[c] = sum > 0 ? (top[c] * alpha + background[c] * below) / sum : 0.0f;
  background[3] = sum;
}

// ---- image.blend -----------------------------------------------------------------------------------------------------

enum class Mode : uint8_t {
  kNormal,
  kMultiply,
  kScreen,
  kOverlay,
  kDarken,
  kLighten,
  kDifference,
  kAdd,
  kSubtract
};
constexpr const char* kModes[] = {"normal",  "multiply",   "screen", "overlay",  "darken",
                                  "lighten", "difference", "add",    "subtract", nullptr};
constexpr weft_port kBlendInputs[] = {sdk::port("a", "image", "The first picture."),
                                      sdk::port("b", "image", "The second, as large as the first.")};
constexpr weft_port kBlendOutputs[] = {
    sdk::port("image", "image", "The mixture, with the channels and type of a.")};
constexpr weft_parameter kBlendParameters[] = {
    sdk::parameter(
        {.name = "mode",
         .type = "choice",
         .default_json = "\"normal\"",
         .choices = kModes,
         .help = "How the colours are mixed; normal takes those of b. Alpha is mixed by amount alone.",
         .flags = kPerRequest}),
    sdk::parameter({.name = "amount",
                    .type = "float",
                    .default_json = "0.5",
                    .minimum = 0,
                    .maximum = 1,
                    .help = "0: a; 1: the mixture; between them in proportion.",
                    .flags = kPerRequest})};

float mix(Mode mode, float a, float b) {
  switch (mode) {
    case Mode::kNormal: return b;
    case Mode::kMultiply: return a * b;
    case Mode::kScreen: return 1 - (1 - a) * (1 - b);
    case Mode::kOverlay: return a < 0.5f ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b);
    case Mode::kDarken: return std::min(a, b);
    case Mode::kLighten: return std::max(a, b);
    case Mode::kDifference: return std::abs(a - b);
    case Mode::kAdd: return std::min(a + b, 1.0f);
    case Mode::kSubtract: return std::max(a - b, 0.0f);
  }
  return a;
}

Mode mode_named(std::string_view name) {
  int i = 0;
  while (kModes[i] != nullptr && name != kModes[i]) ++i;
  return static_cast<Mode>(i);
}

}  // namespace

Status CompositeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan.set_output(0, picture_spec(inputs[1]));
  return {};
}

Status CompositeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> top = input_picture(request, 0, "image");
  if (!top.ok()) return top.status();
  const Result<Picture> background = input_picture(request, 1, "background");
  if (!background.ok()) return background.status();
  const ImageShape &shape = background->shape(), &above = top->shape();
  if (!counts_match(shape, above)) return different_sizes("image", shape, above);
  Picture mask;
  if (request.input(2)) {
    Result<Picture> given = input_picture(request, 2, "mask");
    if (!given.ok()) return given.status();
    const ImageShape& of_mask = given->shape();
    if (of_mask.width != above.width || of_mask.height != above.height || !counts_match(shape, of_mask)) {
      return different_sizes("mask", above, of_mask);
    }
    mask = *std::move(given);
  }
  Result<NewPicture> made = new_picture(request, execution, background->type(), "composite");
  if (!made.ok()) return made.status();
  const sdk::Parameters parameters = request.parameters();
  const Anchor anchor = Anchor::parse(parameters.get_text("anchor"));
  const int64_t left = anchor.x(shape.width, above.width) + parameters.get_int("x");
  const int64_t top_edge = anchor.y(shape.height, above.height) + parameters.get_int("y");
  const auto opacity = static_cast<float>(parameters.get_float("opacity"));
  const int64_t first = std::max<int64_t>(left, 0), last = std::min(left + above.width, shape.width);

  Status status = for_each_row(request, shape, [&](int64_t image, int64_t y) {
    float* below = row_buffer(0, shape.width * shape.channels).data();
    read_row(background->view, image, y, below);
    const int64_t from = y - top_edge;
    if (from >= 0 && from < above.height && first < last) {
      float* stored = row_buffer(1, above.width * 4).data();
      float* rgba = row_buffer(2, above.width * 4).data();
      float* shown = row_buffer(3, above.width * 8).data();
      read_row(top->view, above.count == 1 ? 0 : image, from, stored);
      convert_channels(stored, above.channels, rgba, 4, above.width);
      if (mask.value) {
        read_row(mask.view, mask.shape().count == 1 ? 0 : image, from, shown + above.width * 4);
        convert_channels(shown + above.width * 4, mask.shape().channels, shown, 1, above.width);
      }
      for (int64_t x = first; x < last; ++x) {
        const float* pixel = rgba + 4 * (x - left);
        const float alpha = pixel[3] * opacity * (mask.value ? shown[x - left] : 1.0f);
        float gray = 0;
        if (shape.channels == 1) convert_channels(pixel, 4, &gray, 1, 1);
        over(shape.channels == 1 ? &gray : pixel, alpha, below + x * shape.channels, shape.channels);
      }
    }
    write_row(made->view, image, y, below);
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

Status BlendNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan.set_output(0, picture_spec(inputs[0]));
  return {};
}

Status BlendNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> a = input_picture(request, 0, "a"), b = input_picture(request, 1, "b");
  if (!a.ok()) return a.status();
  if (!b.ok()) return b.status();
  const ImageShape &shape = a->shape(), &other = b->shape();
  if (other.width != shape.width || other.height != shape.height || !counts_match(shape, other)) {
    return std::move(different_sizes("b", shape, other)).hint("image.resize gives them one size");
  }
  Result<NewPicture> made = new_picture(request, execution, a->type(), "blend");
  if (!made.ok()) return made.status();
  const Mode mode = mode_named(request.parameters().get_text("mode"));
  const auto amount = static_cast<float>(request.parameters().get_float("amount"));
  const int64_t channels = shape.channels;
  Status status = for_each_row(request, shape, [&](int64_t image, int64_t y) {
    float* of_a = row_buffer(0, shape.width * channels).data();
    float* stored = row_buffer(1, shape.width * other.channels).data();
    float* of_b = row_buffer(2, shape.width * channels).data();
    read_row(a->view, image, y, of_a);
    read_row(b->view, other.count == 1 ? 0 : image, y, stored);
    convert_channels(stored, other.channels, of_b, channels, shape.width);
    for (int64_t i = 0; i < shape.width * channels; ++i) {
      const bool is_alpha = channels == 4 && i % 4 == 3;
      of_a[i] += (mix(is_alpha ? Mode::kNormal : mode, of_a[i], of_b[i]) - of_a[i]) * amount;
    }
    write_row(made->view, image, y, of_a);
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

constexpr weft_node_type kCompositeNode =
    sdk::node<CompositeNode>({.name = "image.composite",
                              .help = "Lays a picture over another one, through its alpha and a mask.",
                              .flags = WEFT_NODE_PURE,
                              .inputs = kCompositeInputs,
                              .outputs = kCompositeOutputs,
                              .parameters = kCompositeParameters});
constexpr weft_node_type kBlendNode = sdk::node<BlendNode>({.name = "image.blend",
                                                            .help = "Mixes two pictures of one size.",
                                                            .flags = WEFT_NODE_PURE,
                                                            .inputs = kBlendInputs,
                                                            .outputs = kBlendOutputs,
                                                            .parameters = kBlendParameters});

}  // namespace weft::image
