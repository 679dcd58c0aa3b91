#include "plugins/image/resize_node.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr int64_t kBandRows = 16;  // what one thread makes between two looks for work

constexpr const char* kFits[] = {"stretch", "contain", "cover", "pad", nullptr};
constexpr weft_port kInputs[] = {sdk::port("image", "image", "The picture, or several of one size.")};
constexpr weft_port kOutputs[] = {sdk::port("image", "image", "In the new size; as many as came.")};
constexpr weft_parameter kParameters[] = {
    sdk::parameter({.name = "width",
                    .type = "int",
                    .default_json = "0",
                    .minimum = 0,
                    .maximum = kMaxImageSide,
                    .unit = "pixels",
                    .help = "0: follows from the height, as the picture's sides stand to each other."}),
    sdk::parameter({.name = "height",
                    .type = "int",
                    .default_json = "0",
                    .minimum = 0,
                    .maximum = kMaxImageSide,
                    .unit = "pixels",
                    .help = "0: follows from the width."}),
    sdk::parameter({.name = "scale",
                    .type = "float",
                    .default_json = "1",
                    .minimum = 0.001,
                    .maximum = 100,
                    .help = "Of both sides, if neither width nor height is given."}),
    sdk::parameter(
        {.name = "max_side",
         .type = "int",
         .default_json = "8192",
         .minimum = 1,
         .maximum = kMaxImageSide,
         .unit = "pixels",
         .help = "A side that follows from the other one and would be longer is refused; the plan counts "
                 "with it."}),
    sdk::parameter(
        {.name = "fit",
         .type = "choice",
         .default_json = "\"stretch\"",
         .choices = kFits,
         .help = "stretch: to that width and height; contain: as large as fits into them; cover: fills "
                 "them, what stands out is cut off; pad: contain, with a border to fill them."}),
    sdk::parameter(
        {.name = "filter",
         .type = "choice",
         .default_json = "\"bicubic\"",
         .choices = kFilterChoices,
         .help = "nearest: for pixel art and masks; area: the mean of what each pixel covers; lanczos is "
                 "the sharpest."}),
    sdk::parameter({.name = "anchor",
                    .type = "choice",
                    .default_json = "\"center\"",
                    .choices = kAnchors,
                    .help = "What stays of the picture with cover, and where it lies with pad."}),
    sdk::parameter(
        {.name = "color",
         .type = "text",
         .default_json = "\"black\"",
         .help = "Of the border with pad: #rrggbb, #rrggbbaa, or a name such as white or transparent."})};

int64_t rounded(double side) {
  return static_cast<int64_t>(std::clamp(std::round(side), 1.0, static_cast<double>(kMaxImageSide) + 1));
}

template <size_t n>
size_t index_of(std::string_view name, const char* const (&names)[n]) {
  size_t i = 0;
  while (names[i] != nullptr && name != names[i]) ++i;
  return i;
}

void fill(const ImageView& view, int64_t image, int64_t y, const Rgba& color, std::vector<float>& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    const int64_t channels = view.shape.channels;
    row[i] = color_component(color, channels, static_cast<int64_t>(i) % channels);
  }
  write_row(view, image, y, row.data());
}

}  // namespace

ResizeFilter filter_named(std::string_view name) {
  return static_cast<ResizeFilter>(index_of(name, kFilterChoices));
}

Placement place(int64_t source_width, int64_t source_height, int64_t width, int64_t height, double scale,
                Fit fit, const Anchor& anchor) {
  const auto w = static_cast<double>(source_width), h = static_cast<double>(source_height);
  const bool both = width > 0 && height > 0;
  if (width == 0 && height == 0) width = rounded(w * scale), height = rounded(h * scale);
  else if (width == 0) width = rounded(w * static_cast<double>(height) / h);
  else if (height == 0) height = rounded(h * static_cast<double>(width) / w);
  Placement placed{{0, 0, w, h}, width, height, 0, 0, width, height};
  if (!both || fit == Fit::kStretch) return placed;
  const double by_width = static_cast<double>(width) / w, by_height = static_cast<double>(height) / h;
  if (fit == Fit::kCover) {
    const double factor = std::max(by_width, by_height);
    placed.region.width = std::min(w, static_cast<double>(width) / factor);
    placed.region.height = std::min(h, static_cast<double>(height) / factor);
    placed.region.left = (w - placed.region.width) * anchor.horizontal / 2;
    placed.region.top = (h - placed.region.height) * anchor.vertical / 2;
    return placed;
  }
  const double factor = std::min(by_width, by_height);
  placed.width = std::min(width, rounded(w * factor));
  placed.height = std::min(height, rounded(h * factor));
  if (fit == Fit::kContain) {
    placed.frame_width = placed.width;
    placed.frame_height = placed.height;
  } else {
    placed.left = anchor.x(width, placed.width);
    placed.top = anchor.y(height, placed.height);
  }
  return placed;
}

Result<std::unique_ptr<ResizeNode>> ResizeNode::create(const sdk::NodeConfig& config) {
  const sdk::Parameters parameters = config.parameters();
  auto node = std::make_unique<ResizeNode>();
  node->max_threads_ = config.host().executor().max_threads();
  node->width_ = parameters.get_int("width");
  node->height_ = parameters.get_int("height");
  node->scale_ = parameters.get_float("scale");
  node->max_side_ = parameters.get_int("max_side");
  node->fit_ = static_cast<Fit>(index_of(parameters.get_text("fit"), kFits));
  node->filter_ = filter_named(parameters.get_text("filter"));
  node->anchor_ = Anchor::parse(parameters.get_text("anchor"));
  const Result<Rgba> color = parse_color(parameters.get_text("color"));
  if (!color.ok()) return color.status().at("parameter 'color'");
  node->color_ = *color;
  return node;
}

int64_t ResizeNode::side_bound(int64_t given, int64_t other, int64_t source) const {
  if (given > 0) return given;
  if (other > 0) return max_side_;  // a bound of the picture's size says nothing of its shape
  return source == WEFT_UNBOUNDED ? WEFT_UNBOUNDED
                                  : std::min(rounded(static_cast<double>(source) * scale_), kMaxImageSide);
}

Status ResizeNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  weft_spec spec = picture_spec(inputs[0]);
  const int64_t source_height = spec.shape[1], source_width = spec.shape[2];
  spec.shape[1] = side_bound(height_, width_, source_height);
  const int64_t width = spec.shape[2] = side_bound(width_, height_, source_width);
  plan.set_output(0, spec);
  if (source_height == WEFT_UNBOUNDED || source_width == WEFT_UNBOUNDED || spec.shape[3] == WEFT_UNBOUNDED)
    return {};
  // Per thread: a source row and the rows that one target row is made of, at most six times as many as it covers.
  const double shrinks = height_ > 0  ? static_cast<double>(source_height) / static_cast<double>(height_)
                         : width_ > 0 ? static_cast<double>(source_width) / static_cast<double>(width_)
                                      : 1 / scale_;
  const int64_t covered = static_cast<int64_t>(std::min(shrinks, static_cast<double>(kMaxImageSide))) + 1;
  const int64_t rows = std::min(source_height, 6 * covered + 2) + 1;
  const int64_t values = (source_width + std::min(width, kMaxImageSide) * rows) * spec.shape[3];
  plan.set_workspace_bytes(static_cast<uint64_t>(values) * sizeof(float) * max_threads_);
  return {};
}

Status ResizeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  const ImageShape& source = picture->shape();
  const Placement placed = place(source.width, source.height, width_, height_, scale_, fit_, anchor_);
  if (const int64_t side = width_ > 0 ? placed.frame_height : placed.frame_width;
      (width_ == 0) != (height_ == 0) && side > max_side_) {
    return Status(StatusCode::kOutOfRange, "the other side would be longer than max_side")
        .at(width_ > 0 ? "height" : "width")
        .expected("at most " + std::to_string(max_side_) + " pixels")
        .got(std::to_string(side))
        .hint("max_side allows more; the plan then needs more memory");
  }
  PictureType type = picture->type();
  type.shape.width = placed.frame_width;
  type.shape.height = placed.frame_height;
  Result<NewPicture> made = new_picture(request, execution, type, "resize");
  if (!made.ok()) return made.status();

  const Resizer resizer(source, placed.region, placed.width, placed.height, filter_);
  const uint32_t n_threads = request.host().executor().max_threads();
  const uint64_t scratch_bytes = resizer.scratch_values() * sizeof(float) * n_threads;
  sdk::Buffer own;
  auto* scratch = static_cast<float*>(execution.workspace());
  if (scratch_bytes > execution.workspace_bytes()) {  // the plan did not know the sizes
    Result<sdk::Buffer> buffer = request.host().allocate(scratch_bytes, execution.stream(), "resize scratch");
    if (!buffer.ok()) return buffer.status();
    own = *std::move(buffer);
    scratch = static_cast<float*>(own.data());
  }
  if (placed.width != placed.frame_width || placed.height != placed.frame_height) {
    std::vector<float> row(static_cast<size_t>(type.shape.width * type.shape.channels));
    for (int64_t i = 0; i < type.shape.count; ++i) {
      for (int64_t y = 0; y < type.shape.height; ++y) {
        if (request.cancelled()) return sdk::Request::cancelled_status();
        fill(made->view, i, y, color_, row);
      }
    }
  }

  ImageView inner = made->view;
  const int64_t pixel_bytes = inner.row_bytes / type.shape.width;
  inner.data += placed.top * inner.row_bytes + placed.left * pixel_bytes;
  inner.shape.width = placed.width;
  inner.shape.height = placed.height;
  const int64_t bands = (placed.height + kBandRows - 1) / kBandRows;
  std::atomic<int64_t> next{0};
  std::atomic<bool> stopped{false};
  const std::function<bool()> cancelled = [&] {
    if (!stopped.load(std::memory_order_relaxed) && request.cancelled()) stopped = true;
    return stopped.load(std::memory_order_relaxed);
  };
  request.host().executor().run([&](Team team) {
    float* mine = scratch + team.thread() * resizer.scratch_values();
    for (int64_t band = next++; band < bands * source.count && !cancelled(); band = next++) {
      const int64_t begin = band % bands * kBandRows;
      resizer.run(picture->view, inner, band / bands, begin, std::min(placed.height, begin + kBandRows), mine,
                  cancelled);
    }
  });
  if (stopped) return sdk::Request::cancelled_status();
  return request.set_output(0, finish(request, *made));
}

constexpr weft_node_type kResizeNode = sdk::node<ResizeNode>({.name = "image.resize",
                                                              .help = "Gives a picture another size.",
                                                              .flags = WEFT_NODE_PURE,
                                                              .inputs = kInputs,
                                                              .outputs = kOutputs,
                                                              .parameters = kParameters});

}  // namespace weft::image
