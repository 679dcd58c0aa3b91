#include "plugins/plot/canvas.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <pango/pangocairo.h>

#include <array>
#include <cctype>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

namespace weft::plot {
namespace {

constexpr const char* kFont = "DejaVu Sans";
constexpr double kHalfDigit = 0.3645;  // of the em: half the height of DejaVu's digits

template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);
  }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroy<cairo_surface_destroy>>;
using Context = std::unique_ptr<cairo_t, Destroy<cairo_destroy>>;
using FontOptions = std::unique_ptr<cairo_font_options_t, Destroy<cairo_font_options_destroy>>;
using FontDescription = std::unique_ptr<PangoFontDescription, Destroy<pango_font_description_free>>;
template <typename T>
using Shared = std::unique_ptr<T, Destroy<g_object_unref>>;

cairo_status_t append(void* closure, const unsigned char* data, unsigned int size) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), size);
  return CAIRO_STATUS_SUCCESS;
}

FontDescription font(double size, Weight weight) {
  FontDescription description(pango_font_description_new());
  pango_font_description_set_family(description.get(), kFont);
  pango_font_description_set_absolute_size(description.get(), size * PANGO_SCALE);
  pango_font_description_set_weight(description.get(),
                                    weight == Weight::kBold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
  return description;
}

// "image12" at `at`, if an id of letters and digits that ends with a quote or a bracket stands there; else empty.
std::string id_at(const std::string& text, size_t at) {
  size_t end = at;
  while (end < text.size() && std::islower(static_cast<unsigned char>(text[end]))) ++end;
  const size_t letters = end;
  while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
  const bool whole =
      letters > at && end > letters && end < text.size() && (text[end] == '"' || text[end] == ')');
  return whole ? text.substr(at, end - at) : std::string();
}

}  // namespace

struct Canvas::State {
  std::string document;  // outlives the surface, which writes into it
  Surface surface;
  Context context;
  Shared<PangoFontMap> fonts;
  Shared<PangoContext> pango;
  int width = 0, height = 0, scale = 1;
  bool lacks_memory = false;  // for a raster

  Shared<PangoLayout> layout(const std::string& text, double size, Weight weight) const {
    Shared<PangoLayout> made(pango_layout_new(pango.get()));
    const FontDescription description = font(size, weight);
    pango_layout_set_font_description(made.get(), description.get());
    pango_layout_set_single_paragraph_mode(made.get(), TRUE);
    pango_layout_set_text(made.get(), text.data(), static_cast<int>(text.size()));
    return made;
  }

  /// Of all that was drawn so far.
  Status status() const {
    const cairo_status_t status = cairo_status(context.get());
    if (status == CAIRO_STATUS_SUCCESS && !lacks_memory) return {};
    if (status == CAIRO_STATUS_NO_MEMORY || lacks_memory)
      return Status(StatusCode::kOutOfMemory, "no memory for a plot of that size");
    return Status(StatusCode::kInternal, "the plot could not be drawn").got(cairo_status_to_string(status));
  }

  Status prepare_text() {
    fonts.reset(pango_cairo_font_map_new());
    pango_cairo_font_map_set_resolution(PANGO_CAIRO_FONT_MAP(fonts.get()), 72);
    pango.reset(pango_font_map_create_context(fonts.get()));
    const FontOptions options(cairo_font_options_create());
    cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(pango.get(), options.get());
    pango_context_set_round_glyph_positions(pango.get(), FALSE);
    const FontDescription wanted = font(12, Weight::kNormal);
    const Shared<PangoFont> loaded(pango_context_load_font(pango.get(), wanted.get()));
    const FontDescription found(loaded ? pango_font_describe(loaded.get()) : nullptr);
    const char* family = found ? pango_font_description_get_family(found.get()) : nullptr;
    if (family != nullptr && std::strcmp(family, kFont) == 0) return {};
    return Status(StatusCode::kNotFound, std::string("the font ") + kFont + " is not installed")
        .got(family != nullptr ? family : "no font at all")
        .hint("Debian: fonts-dejavu-core");
  }

  void set(const Stroke& stroke) const {
    const Color& c = stroke.color;
    cairo_set_source_rgba(context.get(), c.red, c.green, c.blue, c.alpha);
    cairo_set_line_width(context.get(), stroke.width);
    cairo_set_dash(context.get(), stroke.dashes.data(), static_cast<int>(stroke.dashes.size()), 0);
    cairo_set_line_join(context.get(), CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(context.get(), stroke.dashes.empty() ? CAIRO_LINE_CAP_ROUND : CAIRO_LINE_CAP_BUTT);
  }
};

Canvas::Canvas(std::unique_ptr<State> state) : state_(std::move(state)) {}
Canvas::Canvas(Canvas&&) noexcept = default;
Canvas& Canvas::operator=(Canvas&&) noexcept = default;
Canvas::~Canvas() = default;

Result<Canvas> Canvas::for_pixels(int width, int height, int scale) {
  auto state = std::make_unique<State>();
  state->width = width;
  state->height = height;
  state->scale = scale;
  state->surface.reset(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width * scale, height * scale));
  state->context.reset(cairo_create(state->surface.get()));
  if (Status status = state->status(); !status.ok()) return status;
  cairo_scale(state->context.get(), scale, scale);
  if (Status status = state->prepare_text(); !status.ok()) return status;
  Canvas canvas(std::move(state));
  canvas.fill({0, 0, static_cast<double>(width), static_cast<double>(height)}, {1, 1, 1});
  return Result<Canvas>(std::move(canvas));
}

Result<Canvas> Canvas::for_svg(int width, int height) {
  auto state = std::make_unique<State>();
  state->width = width;
  state->height = height;
  state->scale = 2;
  state->surface.reset(cairo_svg_surface_create_for_stream(append, &state->document, width, height));
  cairo_svg_surface_set_document_unit(state->surface.get(), CAIRO_SVG_UNIT_PX);
  state->context.reset(cairo_create(state->surface.get()));
  if (Status status = state->status(); !status.ok()) return status;
  if (Status status = state->prepare_text(); !status.ok()) return status;
  Canvas canvas(std::move(state));
  canvas.fill({0, 0, static_cast<double>(width), static_cast<double>(height)}, {1, 1, 1});
  return Result<Canvas>(std::move(canvas));
}

double Canvas::pixel() const { return 1.0 / state_->scale; }

double Canvas::text_width(const std::string& text, double size, Weight weight) const {
  PangoRectangle logical;
  pango_layout_get_extents(state_->layout(text, size, weight).get(), nullptr, &logical);
  return static_cast<double>(logical.width) / PANGO_SCALE;
}

void Canvas::text(const Text& text) {
  cairo_t* cairo = state_->context.get();
  const Shared<PangoLayout> layout = state_->layout(text.text, text.size, text.weight);
  PangoRectangle logical;
  pango_layout_get_extents(layout.get(), nullptr, &logical);
  const double width = static_cast<double>(logical.width) / PANGO_SCALE;
  const double shift = text.align == Align::kStart ? 0 : text.align == Align::kMiddle ? -width / 2 : -width;
  const double down = text.baseline == Baseline::kMiddle ? kHalfDigit * text.size : 0;
  cairo_save(cairo);
  cairo_translate(cairo, text.x, text.y);
  if (text.upwards) cairo_rotate(cairo, -M_PI / 2);
  cairo_move_to(cairo, shift,
                down - static_cast<double>(pango_layout_get_baseline(layout.get())) / PANGO_SCALE);
  cairo_set_source_rgba(cairo, text.color.red, text.color.green, text.color.blue, text.color.alpha);
  pango_cairo_show_layout(cairo, layout.get());
  cairo_restore(cairo);
}

void Canvas::fill(const Box& box, const Color& color) {
  cairo_t* cairo = state_->context.get();
  cairo_set_source_rgba(cairo, color.red, color.green, color.blue, color.alpha);
  cairo_rectangle(cairo, box.left, box.top, box.width, box.height);
  cairo_fill(cairo);
}

void Canvas::fill(std::span<const Point> polygon, const Color& color) {
  cairo_t* cairo = state_->context.get();
  cairo_set_source_rgba(cairo, color.red, color.green, color.blue, color.alpha);
  for (const Point& point : polygon) cairo_line_to(cairo, point.x, point.y);
  cairo_close_path(cairo);
  cairo_fill(cairo);
}

void Canvas::frame(const Box& box, const Stroke& stroke) {
  state_->set(stroke);
  cairo_set_line_join(state_->context.get(), CAIRO_LINE_JOIN_MITER);
  cairo_rectangle(state_->context.get(), box.left, box.top, box.width, box.height);
  cairo_stroke(state_->context.get());
}

void Canvas::line(Point from, Point to, const Stroke& stroke) {
  state_->set(stroke);
  cairo_set_line_cap(state_->context.get(), CAIRO_LINE_CAP_BUTT);
  cairo_move_to(state_->context.get(), from.x, from.y);
  cairo_line_to(state_->context.get(), to.x, to.y);
  cairo_stroke(state_->context.get());
}

void Canvas::polyline(std::span<const Point> points, const Stroke& stroke) {
  cairo_t* cairo = state_->context.get();
  const auto finite = [&](size_t i) {
    return i < points.size() && std::isfinite(points[i].x) && std::isfinite(points[i].y);
  };
  for (size_t i = 0; i < points.size(); ++i) {
    if (!finite(i)) continue;
    if (i > 0 && finite(i - 1)) {
      cairo_line_to(cairo, points[i].x, points[i].y);
    } else {
      cairo_move_to(cairo, points[i].x, points[i].y);
      if (!finite(i + 1)) cairo_line_to(cairo, points[i].x, points[i].y);  // its round cap is the dot
    }
  }
  state_->set(stroke);
  cairo_stroke(cairo);
}

void Canvas::dot(Point center, double radius, const Color& color) {
  cairo_t* cairo = state_->context.get();
  cairo_set_source_rgba(cairo, color.red, color.green, color.blue, color.alpha);
  cairo_new_sub_path(cairo);
  cairo_arc(cairo, center.x, center.y, radius, 0, 2 * M_PI);
  cairo_fill(cairo);
}

void Canvas::raster(const Raster& raster, const Box& box) {
  const Surface image(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, raster.width, raster.height));
  if (cairo_surface_status(image.get()) != CAIRO_STATUS_SUCCESS) {
    state_->lacks_memory = true;
    return;
  }
  unsigned char* pixels = cairo_image_surface_get_data(image.get());
  const int stride = cairo_image_surface_get_stride(image.get());
  for (int y = 0; y < raster.height; ++y) {
    for (int x = 0; x < raster.width; ++x) {
      const uint8_t* from = &raster.rgba[static_cast<size_t>(y * raster.width + x) * 4];
      const uint32_t alpha = from[3];
      const auto premultiplied = [&](uint32_t value) { return (value * alpha + 127) / 255; };
      const uint32_t argb =
          alpha << 24 | premultiplied(from[0]) << 16 | premultiplied(from[1]) << 8 | premultiplied(from[2]);
      std::memcpy(pixels + y * stride + x * 4, &argb, 4);
    }
  }
  cairo_surface_mark_dirty(image.get());
  cairo_t* cairo = state_->context.get();
  cairo_save(cairo);
  cairo_translate(cairo, box.left, box.top);
  cairo_scale(cairo, box.width / raster.width, box.height / raster.height);
  cairo_set_source_surface(cairo, image.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
  cairo_paint(cairo);
  cairo_restore(cairo);
}

void Canvas::clip(const Box& box) {
  cairo_save(state_->context.get());
  cairo_rectangle(state_->context.get(), box.left, box.top, box.width, box.height);
  cairo_clip(state_->context.get());
}

void Canvas::unclip() { cairo_restore(state_->context.get()); }

Status Canvas::copy_pixels(uint8_t* to) {
  if (Status status = state_->status(); !status.ok()) return status;
  cairo_surface_t* surface = state_->surface.get();
  cairo_surface_flush(surface);
  const unsigned char* pixels = cairo_image_surface_get_data(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  for (int y = 0; y < cairo_image_surface_get_height(surface); ++y) {
    for (int x = 0; x < cairo_image_surface_get_width(surface); ++x, to += 3) {
      uint32_t rgb;
      std::memcpy(&rgb, pixels + y * stride + x * 4, 4);
      to[0] = static_cast<uint8_t>(rgb >> 16);
      to[1] = static_cast<uint8_t>(rgb >> 8);
      to[2] = static_cast<uint8_t>(rgb);
    }
  }
  return {};
}

Result<std::string> Canvas::finish_svg() {
  if (Status status = state_->status(); !status.ok()) return status;
  state_->context.reset();
  cairo_surface_finish(state_->surface.get());
  const cairo_status_t written = cairo_surface_status(state_->surface.get());
  if (written != CAIRO_STATUS_SUCCESS) {
    return Status(StatusCode::kInternal, "the drawing could not be written")
        .got(cairo_status_to_string(written));
  }
  return renumber_ids(state_->document);
}

std::string renumber_ids(const std::string& svg) {
  std::map<std::string, std::string> names;
  std::string result;
  result.reserve(svg.size());
  for (size_t at = 0; at < svg.size();) {
    constexpr std::string_view kId = "id=\"";
    const size_t prefix = svg.compare(at, kId.size(), kId) == 0 ? kId.size() : svg[at] == '#' ? 1 : 0;
    const std::string id = prefix > 0 ? id_at(svg, at + prefix) : std::string();
    if (id.empty()) {
      result += svg[at++];
      continue;
    }
    const auto [name, is_new] = names.try_emplace(id, "x" + std::to_string(names.size()));
    (void)is_new;
    result.append(svg, at, prefix).append(name->second);
    at += prefix + id.size();
  }
  return result;
}

}  // namespace weft::plot
