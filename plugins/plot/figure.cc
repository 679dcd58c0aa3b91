#include "plugins/plot/figure.h"

#include <algorithm>
#include <cmath>

namespace weft::plot {
namespace {

constexpr double kTitleSize = 16, kSubtitleSize = 12.5, kLabelSize = 13, kTickSize = 12;
constexpr double kMargin = 14, kTickLength = 5, kTickGap = 4, kLabelGap = 10;
constexpr double kBarWidth = 16, kBarGap = 18, kLegendLine = 26, kLegendTextGap = 6, kLegendGap = 22,
                 kLegendHeight = 20;
constexpr double kMostForLabels = 1.0 / 3;  // of the width, for the labels of ticks beside the data
constexpr double kBeside = 14, kAbove = 8,
                 kBetweenNames = 3;  // least room between ticks' labels along x, along y

std::string with_units(const std::string& label, const Ticks& ticks) {
  std::string text = label;
  for (const std::string& part : {ticks.suffix, ticks.multiplier}) {
    if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

// Where the character begins that the byte at `at` belongs to.
size_t character_start(const std::string& text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

// As much of a label as takes at most `room`, with an ellipsis for the rest.
std::string shortened(const Canvas& canvas, const std::string& label, double room) {
  if (canvas.text_width(label, kTickSize) <= room) return label;
  size_t fits = 0, too_long = label.size();  // bytes
  while (too_long - fits > 1) {
    const size_t middle = (fits + too_long) / 2;
    const bool fit =
        canvas.text_width(label.substr(0, character_start(label, middle)) + "…", kTickSize) <= room;
    (fit ? fits : too_long) = middle;
  }
  return label.substr(0, character_start(label, fits)) + "…";
}

void shorten(const Canvas& canvas, double room, Ticks* ticks) {
  for (Tick& tick : ticks->ticks) tick.label = shortened(canvas, tick.label, room);
}

// The size, at most `size`, at which a text takes at most `room`.
double fitting_size(const Canvas& canvas, const std::string& text, double size, double room,
                    Weight weight = Weight::kNormal) {
  const double width = canvas.text_width(text, size, weight);
  return width <= room ? size : size * room / width;
}

double widest(const Canvas& canvas, const Ticks& ticks) {
  double width = 0;
  for (const Tick& tick : ticks.ticks) width = std::max(width, canvas.text_width(tick.label, kTickSize));
  return width;
}

Ticks ticks_along_x(const Canvas& canvas, const PlotAxis& axis, double length) {
  return fitting_ticks(
      axis.named ? kBetweenNames : kBeside, 11, axis.ticks,
      [&](double value) { return axis.place(value) * length; },
      [&](const std::string& label) { return canvas.text_width(label, kTickSize); });
}

Ticks ticks_along_y(const PlotAxis& axis, double length, double room) {
  const int most = axis.named ? 11 : std::clamp(static_cast<int>(length / room), 2, 11);
  return fitting_ticks(
      axis.named ? kBetweenNames : kAbove, most, axis.ticks,
      [&](double value) { return axis.place(value) * length; }, [](const std::string&) { return kTickSize; });
}

PlotAxis axis_of(const ColorScale& scale) {
  PlotAxis axis{.from = scale.low(), .to = scale.high(), .label = {}};
  axis.ticks = [low = scale.low(), high = scale.high()](int most) { return number_ticks(low, high, most); };
  return axis;
}

double legend_entry_width(const Canvas& canvas, const std::string& label) {
  return kLegendLine + kLegendTextGap + canvas.text_width(label, kTickSize) + kLegendGap;
}

std::vector<std::vector<size_t>> legend_rows(const Canvas& canvas, const std::vector<std::string>& labels,
                                             double width) {
  std::vector<std::vector<size_t>> rows;
  double used = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double entry = legend_entry_width(canvas, labels[i]);
    if (rows.empty() || used + entry > width) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(i);
    used += entry;
  }
  return rows;
}

void draw_legend(Canvas& canvas, const Figure& figure, const Layout& layout) {
  double y = layout.legend_y;
  for (const std::vector<size_t>& row : layout.legend_rows) {
    double x = layout.data.left;
    for (const size_t i : row) {
      const std::string& label = layout.legend_labels[i];
      canvas.line({x, y}, {x + kLegendLine, y}, figure.legend[i].stroke);
      canvas.text({.text = label,
                   .x = x + kLegendLine + kLegendTextGap,
                   .y = y,
                   .size = kTickSize,
                   .color = kInk,
                   .baseline = Baseline::kMiddle});
      x += legend_entry_width(canvas, label);
    }
    y += kLegendHeight;
  }
}

// A triangle at an end of the bar: values lie beyond.
void draw_point(Canvas& canvas, const Box& bar, double base, double tip, const Rgb& rgb) {
  const Color color{rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0};
  const Point points[] = {{bar.left, base}, {bar.right(), base}, {bar.center_x(), tip}};
  canvas.fill(points, color);
  const Stroke edge{.color = kSoftInk, .width = 0.8};
  canvas.line({bar.left, base}, {bar.center_x(), tip}, edge);
  canvas.line({bar.right(), base}, {bar.center_x(), tip}, edge);
}

void draw_color_bar(Canvas& canvas, const Figure& figure, const Layout& layout) {
  constexpr int kSteps = 256;
  const ColorScale& scale = *figure.scale;
  Raster raster{1, kSteps, std::vector<uint8_t>(kSteps * 4, 255)};
  for (int i = 0; i < kSteps; ++i) {
    const double part = 1 - (i + 0.5) / kSteps;
    const Rgb color = scale.color(scale.low() + part * (scale.high() - scale.low()));
    std::copy(color.begin(), color.end(), &raster.rgba[static_cast<size_t>(i) * 4]);
  }
  const Box& bar = layout.bar;
  canvas.raster(raster, bar);
  const Stroke edge{.color = kSoftInk, .width = 0.8};
  canvas.line({bar.left, bar.top}, {bar.left, bar.bottom()}, edge);
  canvas.line({bar.right(), bar.top}, {bar.right(), bar.bottom()}, edge);
  constexpr double kTip = 12;
  if (figure.above) draw_point(canvas, bar, bar.top, bar.top - kTip, scale.color(scale.high()));
  else canvas.line({bar.left, bar.top}, {bar.right(), bar.top}, edge);
  if (figure.below) draw_point(canvas, bar, bar.bottom(), bar.bottom() + kTip, scale.color(scale.low()));
  else canvas.line({bar.left, bar.bottom()}, {bar.right(), bar.bottom()}, edge);
  const PlotAxis axis = axis_of(scale);
  for (const Tick& tick : layout.scale.ticks) {
    const double y = bar.bottom() - axis.place(tick.value) * bar.height;
    canvas.line({bar.right(), y}, {bar.right() + kTickLength, y}, edge);
    canvas.text({.text = tick.label,
                 .x = bar.right() + kTickLength + kTickGap,
                 .y = y,
                 .size = kTickSize,
                 .color = kInk,
                 .baseline = Baseline::kMiddle});
  }
  const std::string label = with_units(figure.scale_label, layout.scale);
  canvas.text({.text = label,
               .x = layout.scale_label_x,
               .y = bar.center_y(),
               .size = fitting_size(canvas, label, kLabelSize, bar.height),
               .color = kInk,
               .align = Align::kMiddle,
               .upwards = true});
}

// The largest box of the figure's aspect within `room`, at its top, in the middle.
Box shaped(const Box& room, double aspect) {
  if (aspect <= 0) return room;
  Box box = room;
  if (room.width * aspect <= room.height) box.height = room.width * aspect;
  else box.width = room.height / aspect;
  box.left = room.left + (room.width - box.width) / 2;
  return box;
}

// Borders on whole pixels, so that lines and cells are sharp.
Box snapped(const Box& box) {
  const double left = std::round(box.left), top = std::round(box.top);
  return {left, top, std::max(1.0, std::round(box.right()) - left),
          std::max(1.0, std::round(box.bottom()) - top)};
}

// A label that would be cut off at a side of the picture is left out; its mark stays.
void keep_within(const Canvas& canvas, const Figure& figure, const Box& data, Ticks* ticks) {
  constexpr double kEdge = 3;
  for (Tick& tick : ticks->ticks) {
    const double x = data.left + figure.x.place(tick.value) * data.width;
    const double half = canvas.text_width(tick.label, kTickSize) / 2;
    if (x - half < kEdge || x + half > figure.width - kEdge) tick.label.clear();
  }
}

}  // namespace

Status PlotAxis::check(const std::string& what) const {
  // A pixel's part of the extent is still a difference that a double has.
  constexpr double kLeastExtent = 1e-290, kLeastShare = 0x1p-36;
  const double extent = std::fabs(to - from), largest = std::max(std::fabs(from), std::fabs(to));
  if (std::isfinite(extent) && extent >= std::max(kLeastExtent, largest * kLeastShare)) return {};
  return Status(StatusCode::kOutOfRange, what + " cannot be drawn")
      .expected("numbers that lie apart, by less than the largest number")
      .got(value_text(from) + " to " + value_text(to));
}

double PlotAxis::place(double value) const {
  if (spacing == Spacing::kLinear) return (value - from) / (to - from);
  return (std::log(value) - std::log(from)) / (std::log(to) - std::log(from));
}

Layout lay_out(const Canvas& canvas, const Figure& figure) {
  Layout layout;
  double top = kMargin;
  if (!figure.title.empty()) {
    layout.title_y = top + kTitleSize * 0.76;
    top = layout.title_y + 6;
  }
  if (!figure.subtitle.empty()) {
    layout.subtitle_y = top + kSubtitleSize * 0.9;
    top = layout.subtitle_y + 5;
  }
  if (top > kMargin) top += 6;
  // Heights do not depend on widths, but the legend's rows do: those of the whole width are at most too few by what y takes.
  double bottom = kMargin + kTickLength + kTickGap + kTickSize;
  if (!figure.x.label.empty()) bottom += kLabelGap + kLabelSize;
  const double rough_height = std::max(40.0, figure.height - top - bottom);
  layout.y = ticks_along_y(figure.y, rough_height, 38);
  shorten(canvas, figure.width * kMostForLabels, &layout.y);
  double left = kMargin + widest(canvas, layout.y) + kTickGap + (figure.framed ? kTickLength : 2);
  if (!with_units(figure.y.label, layout.y).empty()) left += kLabelSize + kLabelGap;
  double right = kMargin + 10;
  double scale_labels = 0;
  if (figure.scale != nullptr) {
    layout.scale = ticks_along_y(axis_of(*figure.scale), rough_height, 34);
    scale_labels = widest(canvas, layout.scale);
    right = kMargin + kBarGap + kBarWidth + kTickLength + kTickGap + scale_labels;
    if (!with_units(figure.scale_label, layout.scale).empty()) right += kLabelGap + kLabelSize;
  }
  const double data_width = std::max(40.0, figure.width - left - right);
  for (const LegendEntry& entry : figure.legend) {
    layout.legend_labels.push_back(shortened(canvas, entry.label, data_width - kLegendLine - kLegendTextGap));
  }
  layout.legend_rows = legend_rows(canvas, layout.legend_labels, data_width);
  layout.legend_y = top + kLegendHeight / 2 - 3;
  top += static_cast<double>(layout.legend_rows.size()) * kLegendHeight;
  const double data_height = std::max(40.0, figure.height - top - bottom);
  layout.data = snapped(shaped({left, top, data_width, data_height}, figure.aspect));
  layout.x = ticks_along_x(canvas, figure.x, layout.data.width);
  layout.y = ticks_along_y(figure.y, layout.data.height, 38);
  shorten(canvas, figure.width * kMostForLabels, &layout.y);
  if (!with_units(figure.x.label, layout.x).empty() && figure.x.label.empty()) {
    bottom += kLabelGap + kLabelSize;  // the ticks brought a text for the label
    layout.data =
        snapped(shaped({left, top, data_width, std::max(40.0, figure.height - top - bottom)}, figure.aspect));
  }
  keep_within(canvas, figure, layout.data, &layout.x);
  layout.y_label_x = layout.data.left - (left - kMargin) + kLabelSize * 0.76;
  if (figure.scale != nullptr) {
    const double tips = figure.below || figure.above ? 12 : 0;
    layout.bar = {layout.data.right() + kBarGap, layout.data.top + tips, kBarWidth,
                  layout.data.height - 2 * tips};
    layout.scale = ticks_along_y(axis_of(*figure.scale), layout.bar.height, 34);
    layout.scale_label_x = layout.bar.right() + kTickLength + kTickGap + widest(canvas, layout.scale) +
                           kLabelGap + kLabelSize * 0.76;
  }
  return layout;
}

int fitting_height(const Canvas& canvas, Figure figure, int most) {
  figure.height = most;
  const Layout layout = lay_out(canvas, figure);
  double below = kMargin + kTickLength + kTickGap + kTickSize;
  if (!with_units(figure.x.label, layout.x).empty()) below += kLabelGap + kLabelSize;
  return std::clamp(static_cast<int>(std::ceil(layout.data.bottom() + below)), 1, most);
}

void draw_background(Canvas& canvas, const Figure& figure, const Layout& layout) {
  const double left = layout.data.left, room = figure.width - kMargin - left;
  canvas.text({.text = figure.title,
               .x = left,
               .y = layout.title_y,
               .size = fitting_size(canvas, figure.title, kTitleSize, room, Weight::kBold),
               .color = kInk,
               .weight = Weight::kBold});
  canvas.text({.text = figure.subtitle,
               .x = left,
               .y = layout.subtitle_y,
               .size = fitting_size(canvas, figure.subtitle, kSubtitleSize, room),
               .color = kSoftInk});
  draw_legend(canvas, figure, layout);
  if (figure.scale != nullptr) draw_color_bar(canvas, figure, layout);
  if (figure.framed) return;
  for (const Tick& tick : layout.y.ticks) {
    const double y = layout.data.bottom() - figure.y.place(tick.value) * layout.data.height;
    canvas.line({left, y}, {layout.data.right(), y}, {.color = kGridColor});
  }
}

void draw_axes(Canvas& canvas, const Figure& figure, const Layout& layout) {
  const Box& data = layout.data;
  const Stroke edge{.color = kSoftInk, .width = 1};
  if (figure.framed) canvas.frame(data, edge);
  else canvas.line({data.left, data.bottom()}, {data.right(), data.bottom()}, edge);
  for (const Tick& tick : layout.x.ticks) {
    const double x = data.left + figure.x.place(tick.value) * data.width;
    canvas.line({x, data.bottom()}, {x, data.bottom() + kTickLength}, edge);
    canvas.text({.text = tick.label,
                 .x = x,
                 .y = data.bottom() + kTickLength + kTickGap + kTickSize * 0.76,
                 .size = kTickSize,
                 .color = kInk,
                 .align = Align::kMiddle});
  }
  for (const Tick& tick : layout.y.ticks) {
    const double y = data.bottom() - figure.y.place(tick.value) * data.height;
    if (figure.framed) canvas.line({data.left - kTickLength, y}, {data.left, y}, edge);
    canvas.text({.text = tick.label,
                 .x = data.left - kTickGap - (figure.framed ? kTickLength : 2),
                 .y = y,
                 .size = kTickSize,
                 .color = kInk,
                 .align = Align::kEnd,
                 .baseline = Baseline::kMiddle});
  }
  const std::string x_label = with_units(figure.x.label, layout.x),
                    y_label = with_units(figure.y.label, layout.y);
  canvas.text({.text = x_label,
               .x = data.center_x(),
               .y = data.bottom() + kTickLength + kTickGap + kTickSize + kLabelGap + kLabelSize * 0.76,
               .size = fitting_size(canvas, x_label, kLabelSize, data.width),
               .color = kInk,
               .align = Align::kMiddle});
  canvas.text({.text = y_label,
               .x = layout.y_label_x,
               .y = data.center_y(),
               .size = fitting_size(canvas, y_label, kLabelSize, data.height),
               .color = kInk,
               .align = Align::kMiddle,
               .upwards = true});
}

}  // namespace weft::plot
