#include "plugins/image/frame_nodes.h"

#include <algorithm>
#include <cstring>

#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {

const char* const kAnchors[10] = {"top_left", "top",         "top_right", "left",         "center",
                                  "right",    "bottom_left", "bottom",    "bottom_right", nullptr};

Anchor Anchor::parse(std::string_view name) {
  for (int i = 0; kAnchors[i] != nullptr; ++i) {
    if (name == kAnchors[i]) return {i % 3, i / 3};
  }
  return {};
}

namespace {

constexpr uint32_t kPerRequest = WEFT_PARAMETER_PER_REQUEST;
constexpr weft_port kImageInput[] = {sdk::port("image", "image", "The picture, or several of one size.")};

// ---- image.crop ------------------------------------------------------------------------------------------------------

constexpr weft_port kCropOutputs[] = {sdk::port("image", "image", "The part; as many pictures as came.")};

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
constexpr weft_parameter side_parameter(const char* name, const char* help) {
  return sdk::parameter({.name = name,
                         .type = "int",
                         .default_json = "0",
                         .minimum = 0,
                         .maximum = kMaxImageSide,
                         .unit = "pixels",
                         .help = help});
}

constexpr weft_parameter kCropParameters[] = {
    side_parameter("width", "Of the part; 0: as wide as the picture."),
    side_parameter("height", "Of the part; 0: as high as the picture."),
    sdk::parameter({.name = "anchor",
                    .type = "choice",
                    .default_json = "\"top_left\"",
                    .choices = kAnchors,
                    .help = "Where in the picture the part lies, before x and y move it.",
                    .flags = kPerRequest}),
    offset_parameter("x", "Moves the part to the right."), offset_parameter("y", "Moves the part down.")};

// ---- image.pad -------------------------------------------------------------------------------------------------------

constexpr weft_port kPadOutputs[] = {
    sdk::port("image", "image", "The picture with its border; as many as came.")};
constexpr const char* kPadModes[] = {"color", "edge", "mirror", nullptr};
constexpr weft_parameter kPadParameters[] = {
    side_parameter("left", "Width of the border at the left."),
    side_parameter("top", "Height of the border at the top."),
    side_parameter("right", "Width of the border at the right."),
    side_parameter("bottom", "Height of the border at the bottom."),
    sdk::parameter({.name = "mode",
                    .type = "choice",
                    .default_json = "\"color\"",
                    .choices = kPadModes,
                    .help =
                        "color: one colour; edge: the outermost pixels again; mirror: the picture mirrored, "
                        "the outermost pixels once."}),
    sdk::parameter({.name = "color",
                    .type = "text",
                    .default_json = "\"black\"",
                    .help = "Of mode color: #rrggbb, #rrggbbaa, or a name such as white or transparent."})};

}  // namespace

Status CropNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  plan.set_output(0, picture_spec(inputs[0]));  // a part is never larger
  return {};
}

Status CropNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  const ImageShape& whole = picture->shape();
  const sdk::Parameters parameters = request.parameters();
  PictureType type = picture->type();
  if (const int64_t width = parameters.get_int("width"); width > 0) type.shape.width = width;
  if (const int64_t height = parameters.get_int("height"); height > 0) type.shape.height = height;
  const Anchor anchor = Anchor::parse(parameters.get_text("anchor"));
  const int64_t left = anchor.x(whole.width, type.shape.width) + parameters.get_int("x");
  const int64_t top = anchor.y(whole.height, type.shape.height) + parameters.get_int("y");
  const auto place = [](int64_t x, int64_t y, int64_t right, int64_t bottom) {
    return "columns " + std::to_string(x) + " to " + std::to_string(right - 1) + ", rows " +
           std::to_string(y) + " to " + std::to_string(bottom - 1);
  };
  if (left < 0 || top < 0 || left + type.shape.width > whole.width ||
      top + type.shape.height > whole.height) {
    return Status(StatusCode::kOutOfRange, "the part does not lie within the picture")
        .expected("within " + place(0, 0, whole.width, whole.height))
        .got(place(left, top, left + type.shape.width, top + type.shape.height))
        .hint("image.pad makes a picture larger");
  }
  Result<NewPicture> made = new_picture(request, execution, type, "crop");
  if (!made.ok()) return made.status();
  const int64_t pixel_bytes = made->view.row_bytes / type.shape.width;
  Status status = for_each_row(request, type.shape, [&](int64_t image, int64_t y) {
    std::memcpy(made->view.row<std::byte>(image, y),
                picture->view.row<std::byte>(image, top + y) + left * pixel_bytes,
                static_cast<size_t>(made->view.row_bytes));
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

Result<std::unique_ptr<PadNode>> PadNode::create(const sdk::NodeConfig& config) {
  const sdk::Parameters parameters = config.parameters();
  auto node = std::make_unique<PadNode>();
  node->left_ = parameters.get_int("left");
  node->top_ = parameters.get_int("top");
  node->right_ = parameters.get_int("right");
  node->bottom_ = parameters.get_int("bottom");
  const std::string_view mode = parameters.get_text("mode");
  node->mode_ = mode == "edge" ? Mode::kEdge : mode == "mirror" ? Mode::kMirror : Mode::kColor;
  const Result<Rgba> color = parse_color(parameters.get_text("color"));
  if (!color.ok()) return color.status().at("parameter 'color'");
  node->color_ = *color;
  return node;
}

Status PadNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  weft_spec spec = picture_spec(inputs[0]);
  spec.shape[1] = grown(spec.shape[1], top_ + bottom_);
  spec.shape[2] = grown(spec.shape[2], left_ + right_);
  plan.set_output(0, spec);
  return {};
}

// The row or column that stands at `position` of a picture with `extent` of them; -1 for the border's colour.
int64_t PadNode::source_index(int64_t position, int64_t extent) const {
  if (position >= 0 && position < extent) return position;
  if (mode_ == Mode::kColor) return -1;
  if (mode_ == Mode::kEdge || extent == 1) return std::clamp<int64_t>(position, 0, extent - 1);
  const int64_t period = 2 * (extent - 1);
  const int64_t phase = ((position % period) + period) % period;
  return phase < extent ? phase : period - phase;
}

Status PadNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  const ImageShape& inner = picture->shape();
  PictureType type = picture->type();
  type.shape.width += left_ + right_;
  type.shape.height += top_ + bottom_;
  Result<NewPicture> made = new_picture(request, execution, type, "pad");
  if (!made.ok()) return made.status();

  const int64_t channels = type.shape.channels, element_bytes = type.dtype == WEFT_DTYPE_U8 ? 1 : 4;
  const int64_t pixel_bytes = channels * element_bytes;
  float components[4];
  std::byte border[16];
  for (int64_t c = 0; c < channels; ++c) components[c] = color_component(color_, channels, c);
  write_row(packed_image_view(border, type.dtype, {1, 1, 1, channels}), 0, 0, components);

  Status status = for_each_row(request, type.shape, [&](int64_t image, int64_t y) {
    const int64_t from_y = source_index(y - top_, inner.height);
    std::byte* to = made->view.row<std::byte>(image, y);
    const std::byte* from = from_y < 0 ? nullptr : picture->view.row<std::byte>(image, from_y);
    for (int64_t x = 0; x < type.shape.width; ++x, to += pixel_bytes) {
      const int64_t from_x = source_index(x - left_, inner.width);
      const bool is_border = from == nullptr || from_x < 0;
      std::memcpy(to, is_border ? border : from + from_x * pixel_bytes, static_cast<size_t>(pixel_bytes));
    }
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

constexpr weft_node_type kCropNode = sdk::node<CropNode>({.name = "image.crop",
                                                          .help = "Cuts a rectangle out of a picture.",
                                                          .flags = WEFT_NODE_PURE,
                                                          .inputs = kImageInput,
                                                          .outputs = kCropOutputs,
                                                          .parameters = kCropParameters});
constexpr weft_node_type kPadNode = sdk::node<PadNode>({.name = "image.pad",
                                                        .help = "Adds a border around a picture.",
                                                        .flags = WEFT_NODE_PURE,
                                                        .inputs = kImageInput,
                                                        .outputs = kPadOutputs,
                                                        .parameters = kPadParameters});

}  // namespace weft::image
