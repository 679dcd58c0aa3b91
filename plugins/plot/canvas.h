/// Drawing with Cairo and text with Pango, to pixels or to SVG: the same calls make both.
///
/// Units are pixels of a picture at scale 1, y downwards. Text is DejaVu Sans without hinting, so that its extents do not depend on
/// the target or the scale; in SVG letters are outlines, and need no font where they are shown. Equal calls give equal bytes (with
/// the same versions of the libraries and the font).
/// Ownership: move-only; owns its surface. Thread safety: one thread at a time per object.
///
///   Result<Canvas> canvas = Canvas::for_pixels(800, 500, 2);
///   canvas->text({.text = "temperature", .x = 400, .y = 20, .align = Align::kMiddle});
///   canvas->copy_pixels(rgb);    // [height * scale, width * scale, 3]
#ifndef WEFT_PLUGINS_PLOT_CANVAS_H
#define WEFT_PLUGINS_PLOT_CANVAS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft::plot {

struct Color {
  double red = 0, green = 0, blue = 0, alpha = 1;  // 0 to 1, sRGB
};

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double left = 0, top = 0, width = 0, height = 0;
  double right() const { return left + width; }
  double bottom() const { return top + height; }
  double center_x() const { return left + width / 2; }
  double center_y() const { return top + height / 2; }
};

enum class Align : uint8_t { kStart, kMiddle, kEnd };
enum class Weight : uint8_t { kNormal, kBold };
enum class Baseline : uint8_t { kLetters, kMiddle };  // y is where letters stand, or the middle of a digit

struct Text {
  std::string text;  // UTF-8, one line
  double x = 0, y = 0;
  double size = 12;  // of the em, in pixels
  Color color = {};
  Align align = Align::kStart;
  Baseline baseline = Baseline::kLetters;
  Weight weight = Weight::kNormal;
  bool upwards = false;  // turned, to be read from below to above
};

struct Stroke {
  Color color = {};
  double width = 1;
  std::vector<double> dashes = {};  // lengths on and off; empty: a solid line
};

/// Pixels to be drawn: RGBA, straight alpha, row by row.
struct Raster {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;  // [height, width, 4]
};

class Canvas {
 public:
  /// Sides of a picture: Cairo's limit.
  static constexpr int kMaxSide = 32767;

  /// Preconditions: sides times scale of at most kMaxSide. Errors: kNotFound (the font is not installed), kOutOfMemory.
  static Result<Canvas> for_pixels(int width, int height, int scale);
  static Result<Canvas> for_svg(int width, int height);
  Canvas(Canvas&&) noexcept;
  Canvas& operator=(Canvas&&) noexcept;
  ~Canvas();

  /// The size of one pixel of the target: 1 / scale; of SVG, half a unit.
  double pixel() const;

  double text_width(const std::string& text, double size, Weight weight = Weight::kNormal) const;
  void text(const Text& text);
  void fill(const Box& box, const Color& color);
  void fill(std::span<const Point> polygon, const Color& color);
  void frame(const Box& box, const Stroke& stroke);
  void line(Point from, Point to, const Stroke& stroke);
  /// Points that are not finite interrupt the line; one that stands alone is a dot.
  void polyline(std::span<const Point> points, const Stroke& stroke);
  void dot(Point center, double radius, const Color& color);
  /// Stretched to `box`; each of the raster's pixels keeps sharp borders.
  void raster(const Raster& raster, const Box& box);
  /// What is drawn until unclip() stays within `box`.
  void clip(const Box& box);
  void unclip();

  /// to: [height * scale, width * scale, 3] bytes, over white. Precondition: made by for_pixels. Errors: as finish_svg.
  Status copy_pixels(uint8_t* to);
  /// The whole document; nothing can be drawn afterwards. Precondition: made by for_svg.
  /// Errors: kOutOfMemory; kInternal, with the first thing since it was made that Cairo refused.
  Result<std::string> finish_svg();

 private:
  struct State;
  explicit Canvas(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Numbers Cairo's ids anew, in the order in which they appear: Cairo counts them over the whole process.
std::string renumber_ids(const std::string& svg);

}  // namespace weft::plot
#endif
