#include "plugins/image/sheet_nodes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "modalities/image/fonts/font_text.h"
#include "modalities/image/opencv/text_mask.h"
#include "modalities/image/rows.h"
#include "plugins/image/picture.h"

namespace weft::image {
namespace {

constexpr weft_parameter color_parameter(const char* name, const char* default_json, const char* help) {
  return sdk::parameter({.name = name, .type = "text", .default_json = default_json, .help = help});
}

// ---- image.grid ------------------------------------------------------------------------------------------------------

constexpr weft_port kGridInputs[] = {
    sdk::optional_port("images", "list<image>",
                       "The pictures, of any sizes; each takes a cell, in the middle of it."),
    sdk::optional_port(
        "image", "image",
        "Further pictures, as one batch. Inputs of any other name may follow: pictures or lists of them.")};
constexpr weft_port kGridOutputs[] = {
    sdk::port("image", "image", "One picture: as many channels as the richest has, f32 if one is.")};
constexpr weft_parameter kGridParameters[] = {
    sdk::parameter({.name = "columns",
                    .type = "int",
                    .default_json = "0",
                    .minimum = 0,
                    .maximum = 1000,
                    .help = "0: about as many as there are rows."}),
    sdk::parameter({.name = "spacing",
                    .type = "int",
                    .default_json = "2",
                    .minimum = 0,
                    .maximum = 1000,
                    .unit = "pixels",
                    .help = "Between the cells and around them."}),
    color_parameter("color", "\"white\"", "Of what no picture covers: #rrggbb, #rrggbbaa, or a name.")};

struct Cell {
  const Picture* picture;
  int64_t image;  // of its batch
};

int64_t columns_for(int64_t count, int64_t wanted) {
  if (wanted > 0) return std::min(wanted, count);
  return static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
}
int64_t side_for(int64_t cells, int64_t cell, int64_t spacing) { return cells * (cell + spacing) + spacing; }

Result<std::vector<Picture>> pictures_of(const sdk::Request& request, const std::vector<std::string>& ports) {
  std::vector<Picture> pictures;
  for (size_t port = 0; port < ports.size(); ++port) {
    if (Status status = append_pictures(request.input(port), ports[port], &pictures); !status.ok())
      return status;
  }
  if (pictures.empty()) {
    return Status(StatusCode::kInvalidArgument, "there is no picture")
        .hint("connect \"images\", \"image\", or inputs of any name");
  }
  for (const Picture& picture : pictures) {
    if (picture.color_space != pictures[0].color_space) {
      return Status(StatusCode::kInvalidArgument, "the pictures have different colour spaces");
    }
  }
  return pictures;
}

/// The picture that shows at row y of column `column`, and which of its rows; no picture in spacing and empty cells.
struct Piece {
  const Cell* cell = nullptr;
  int64_t row = 0, left = 0;
};
struct Sheet {
  std::vector<Cell> cells;
  int64_t columns = 0, spacing = 0, cell_width = 0, cell_height = 0;

  Piece piece(int64_t y, int64_t column) const {
    const int64_t pitch = cell_height + spacing, row = (y - spacing) / pitch;
    const int64_t index = row * columns + column;
    if (y < spacing || index >= static_cast<int64_t>(cells.size())) return {};
    const Cell& cell = cells[static_cast<size_t>(index)];
    const ImageShape& shape = cell.picture->shape();
    const int64_t within = y - spacing - row * pitch - (cell_height - shape.height) / 2;
    if (within < 0 || within >= shape.height) return {};
    return {&cell, within, spacing + column * (cell_width + spacing) + (cell_width - shape.width) / 2};
  }
};

// ---- image.annotate --------------------------------------------------------------------------------------------------

constexpr const char* kPlaces[] = {"below", "above", "bottom", "top", nullptr};
constexpr weft_port kAnnotateInputs[] = {
    sdk::port("image", "image", "The picture, or several that get one text."),
    sdk::port("text", "text", "Lines are broken to fit, between words or Chinese and Japanese characters.")};
constexpr weft_port kAnnotateOutputs[] = {sdk::port("image", "image", "The picture with the text.")};
constexpr weft_parameter kAnnotateParameters[] = {
    sdk::parameter({.name = "place",
                    .type = "choice",
                    .default_json = "\"below\"",
                    .choices = kPlaces,
                    .help =
                        "below, above: on a strip beside the picture, which gets higher; bottom, top: on the "
                        "picture."}),
    sdk::parameter({.name = "size",
                    .type = "int",
                    .default_json = "12",
                    .minimum = 6,
                    .maximum = 500,
                    .unit = "pixels",
                    .help = "Height of a capital letter."}),
    sdk::parameter({.name = "margin",
                    .type = "int",
                    .default_json = "6",
                    .minimum = 0,
                    .maximum = 1000,
                    .unit = "pixels",
                    .help = "Around the text."}),
    sdk::parameter({.name = "max_lines",
                    .type = "int",
                    .default_json = "3",
                    .minimum = 1,
                    .maximum = 50,
                    .unit = "lines",
                    .help = "A longer text ends with \"...\"."}),
    sdk::parameter({.name = "font",
                    .type = "path",
                    .default_json = "\"\"",
                    .help =
                        "A TrueType or OpenType file. Without one ASCII is written in built-in letters, "
                        "which are the same on every machine, and other text in fonts that are installed."}),
    color_parameter("color", "\"black\"", "Of the letters: #rrggbb or a name."),
    color_parameter("background", "\"white\"",
                    "Of the strip, or behind the text on the picture; transparent: nothing behind it.")};

/// Paints `color` on a pixel, `amount` of it.
void paint(float* pixel, int64_t channels, const Rgba& color, float amount) {
  for (int64_t c = 0; c < channels; ++c) {
    const float wanted = c == 3 ? 1.0f : color_component(color, channels, c);
    pixel[c] += (wanted - pixel[c]) * amount;
  }
}

Status read_color(const sdk::Parameters& parameters, const char* name, Rgba& to) {
  const Result<Rgba> color = parse_color(parameters.get_text(name));
  if (!color.ok()) return color.status().at(std::string("parameter '") + name + "'");
  to = *color;
  return {};
}

}  // namespace

Result<std::unique_ptr<GridNode>> GridNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<GridNode>();
  for (size_t port = 0; port < config.n_inputs(); ++port) node->ports_.emplace_back(config.input_name(port));
  node->columns_ = config.parameters().get_int("columns");
  node->spacing_ = config.parameters().get_int("spacing");
  if (Status status = read_color(config.parameters(), "color", node->color_); !status.ok()) return status;
  return node;
}

Status GridNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  int64_t count = 0, width = 1, height = 1, channels = 1;
  weft_dtype dtype = WEFT_DTYPE_U8;
  bool bounded = true;
  for (size_t port = 0; port < inputs.size(); ++port) {
    const weft_spec& spec = inputs[port];
    if (spec.kind == 0 && port < 2) continue;  // nothing is connected
    const bool known = spec.kind == WEFT_KIND_TENSOR && spec.rank == 4 &&
                       std::all_of(spec.shape, spec.shape + 4, [](int64_t extent) { return extent >= 1; });
    bounded = bounded && known;
    if (!known) continue;
    count += spec.shape[0];
    height = std::max(height, spec.shape[1]);
    width = std::max(width, spec.shape[2]);
    channels = std::max(channels, spec.shape[3]);
    if (spec.dtype != WEFT_DTYPE_U8) dtype = 0;
  }
  if (bounded && count > 0) {
    const int64_t columns = columns_for(count, columns_);
    const int64_t rows = (count + columns - 1) / columns;
    plan.set_output(0, picture_spec(dtype, 1, std::min(side_for(rows, height, spacing_), kMaxImageSide),
                                    std::min(side_for(columns, width, spacing_), kMaxImageSide), channels));
  } else {
    plan.set_output(0, picture_spec(0, 1, WEFT_UNBOUNDED, WEFT_UNBOUNDED, 4));
  }
  return {};
}

Status GridNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<std::vector<Picture>> pictures = pictures_of(request, ports_);
  if (!pictures.ok()) return pictures.status();
  Sheet sheet;
  sheet.spacing = spacing_;
  PictureType type{{1, 0, 0, 1}, WEFT_DTYPE_U8, (*pictures)[0].color_space};
  for (const Picture& picture : *pictures) {
    const ImageShape& shape = picture.shape();
    for (int64_t i = 0; i < shape.count; ++i) sheet.cells.push_back({&picture, i});
    sheet.cell_width = std::max(sheet.cell_width, shape.width);
    sheet.cell_height = std::max(sheet.cell_height, shape.height);
    type.shape.channels = std::max(type.shape.channels, shape.channels);
    if (picture.view.dtype == WEFT_DTYPE_F32) type.dtype = WEFT_DTYPE_F32;
  }
  const auto count = static_cast<int64_t>(sheet.cells.size());
  sheet.columns = columns_for(count, columns_);
  type.shape.width = side_for(sheet.columns, sheet.cell_width, spacing_);
  type.shape.height = side_for((count + sheet.columns - 1) / sheet.columns, sheet.cell_height, spacing_);
  Result<NewPicture> made = new_picture(request, execution, type, "grid");
  if (!made.ok()) return made.status();

  const int64_t channels = type.shape.channels;
  Status status = for_each_row(request, type.shape, [&](int64_t, int64_t y) {
    thread_local std::vector<float> row, stored;
    row.resize(static_cast<size_t>(type.shape.width * channels));
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = color_component(color_, channels, static_cast<int64_t>(i) % channels);
    }
    for (int64_t column = 0; column < sheet.columns; ++column) {
      const Piece piece = sheet.piece(y, column);
      if (piece.cell == nullptr) continue;
      const ImageView& view = piece.cell->picture->view;
      stored.resize(static_cast<size_t>(view.shape.width * view.shape.channels));
      read_row(view, piece.cell->image, piece.row, stored.data());
      convert_channels(stored.data(), view.shape.channels, row.data() + piece.left * channels, channels,
                       view.shape.width);
    }
    write_row(made->view, 0, y, row.data());
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

Result<std::unique_ptr<AnnotateNode>> AnnotateNode::create(const sdk::NodeConfig& config) {
  const sdk::Parameters parameters = config.parameters();
  auto node = std::make_unique<AnnotateNode>();
  const std::string_view place = parameters.get_text("place");
  node->strip_ = place == "below" || place == "above";
  node->top_ = place == "above" || place == "top";
  node->layout_.size = parameters.get_int("size");
  node->layout_.margin = parameters.get_int("margin");
  node->layout_.max_lines = parameters.get_int("max_lines");
  node->font_ = parameters.get_text("font");
  Status status = read_color(parameters, "color", node->color_);
  if (status.ok()) status = read_color(parameters, "background", node->background_);
  if (!status.ok()) return status;
  return node;
}

Status AnnotateNode::prepare(sdk::Specs inputs, sdk::Plan plan) {
  weft_spec spec = picture_spec(inputs[0]);
  if (strip_) spec.shape[1] = grown(spec.shape[1], font_text_height(layout_, layout_.max_lines));
  plan.set_output(0, spec);
  return {};
}

Result<TextMask> AnnotateNode::letters(const sdk::Request& request, std::string_view text,
                                       const TextLayout& layout) const {
  if (font_.empty() && has_stroke_letters(text)) return make_text_mask(text, layout);
  if (!font_.empty()) {
    const Result<std::string> path = request.resolve_input(font_);
    if (!path.ok()) return path.status().at("parameter 'font'");
    return draw_text(text, layout, std::vector<FontFile>{{*path}});
  }
  const Result<std::vector<FontFile>> fonts = find_fonts(text);
  if (!fonts.ok()) return fonts.status();
  // Into the manifest. A run that may read only what it was given leaves them out, and may still write with them: the machine
  // chose these files, no pipeline did.
  for (const FontFile& font : *fonts) (void)request.resolve_input(font.path);
  return draw_text(text, layout, *fonts);
}

Status AnnotateNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Picture> picture = input_picture(request, 0, "image");
  if (!picture.ok()) return picture.status();
  const sdk::Value text = request.input(1);
  TextLayout layout = layout_;
  layout.width = picture->shape().width;
  const Result<TextMask> mask = letters(request, text.as_text(), layout);
  if (!mask.ok()) return mask.status().at("port 'text'");
  PictureType type = picture->type();
  const int64_t inner_height = type.shape.height, channels = type.shape.channels;
  if (strip_) type.shape.height += mask->height;
  Result<NewPicture> made = new_picture(request, execution, type, "annotate");
  if (!made.ok()) return made.status();

  const int64_t text_top = top_ ? 0 : type.shape.height - mask->height;
  const int64_t picture_top = strip_ && top_ ? mask->height : 0;
  Status status = for_each_row(request, type.shape, [&](int64_t image, int64_t y) {
    const int64_t from = y - picture_top, line = y - text_top;
    const bool has_text = line >= 0 && line < mask->height;
    if (!has_text) {
      std::memcpy(made->view.row<std::byte>(image, y), picture->view.row<std::byte>(image, from),
                  static_cast<size_t>(made->view.row_bytes));
      return;
    }
    thread_local std::vector<float> row;
    row.assign(static_cast<size_t>(type.shape.width * channels), 0.0f);
    const bool on_picture = from >= 0 && from < inner_height;
    if (on_picture) read_row(picture->view, image, from, row.data());
    const uint8_t* coverage = mask->coverage.data() + line * mask->width;
    for (int64_t x = 0; x < type.shape.width; ++x) {
      float* pixel = row.data() + x * channels;
      if (on_picture) {
        paint(pixel, channels, background_, background_[3]);
      } else {
        for (int64_t c = 0; c < channels; ++c) pixel[c] = color_component(background_, channels, c);
      }
      paint(pixel, channels, color_, color_[3] * static_cast<float>(coverage[x]) / 255.0f);
    }
    write_row(made->view, image, y, row.data());
  });
  return status.ok() ? request.set_output(0, finish(request, *made)) : status;
}

constexpr weft_node_type kGridNode = sdk::node<GridNode>({.name = "image.grid",
                                                          .help = "Lays pictures out in rows and columns.",
                                                          .flags = WEFT_NODE_PURE | WEFT_NODE_EXTRA_INPUTS,
                                                          .inputs = kGridInputs,
                                                          .outputs = kGridOutputs,
                                                          .parameters = kGridParameters});
constexpr weft_node_type kAnnotateNode =
    sdk::node<AnnotateNode>({.name = "image.annotate",
                             .help = "Writes a text on or beside a picture.",
                             .flags = WEFT_NODE_READS_FILES,  // fonts
                             .inputs = kAnnotateInputs,
                             .outputs = kAnnotateOutputs,
                             .parameters = kAnnotateParameters});

}  // namespace weft::image
