/// What all plots share: the place of titles, axes, labels, legend and colour bar, measured before anything is drawn, so that nothing
/// overlaps whatever the texts are.
///
/// Thread safety: values; functions draw on the canvas that they are given.
#ifndef WEFT_PLUGINS_PLOT_FIGURE_H
#define WEFT_PLUGINS_PLOT_FIGURE_H

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plugins/plot/canvas.h"
#include "plugins/plot/color_scale.h"
#include "plugins/plot/ticks.h"

namespace weft::plot {

enum class Spacing : uint8_t { kLinear, kLogarithmic };

/// One axis of a plot: from where to where, how it is marked, what it is called.
struct PlotAxis {
  double from = 0, to = 1;  // at the left or lower end, and at the other
  Spacing spacing = Spacing::kLinear;
  std::string label = {};                     // empty: none
  std::function<Ticks(int most)> ticks = {};  // within from and to
  bool named = false;  // ticks are names: they may stand close, up to 11 is as many as there are

  /// Where a value lies between the ends: 0 to 1.
  double place(double value) const;
  /// Errors: kOutOfRange if its ends are too near for pixels between them, or too far apart to compute with. what: "the columns".
  Status check(const std::string& what) const;
};

struct LegendEntry {
  std::string label;
  Stroke stroke;
};

struct Figure {
  int width = 800, height = 500;
  std::string title, subtitle;
  PlotAxis x, y;
  std::vector<LegendEntry> legend = {};
  const ColorScale* scale = nullptr;  // with it a colour bar
  std::string scale_label = {};
  bool below = false, above = false;  // whether values lie beyond the scale: its ends are pointed
  double aspect = 0;                  // height of the data area over its width; 0: as much room as there is
  bool framed = false;  // a frame around the data, and marks outside; else a grid behind the data
};

/// Everything but the data.
struct Layout {
  Box data;
  Ticks x, y, scale;
  Box bar;
  double y_label_x = 0, scale_label_x = 0, title_y = 0, subtitle_y = 0, legend_y = 0;
  std::vector<std::string> legend_labels;        // cut where they are too long
  std::vector<std::vector<size_t>> legend_rows;  // entries
};

Layout lay_out(const Canvas& canvas, const Figure& figure);
/// The height at which a figure with an aspect has no room left over, at most `most`.
int fitting_height(const Canvas& canvas, Figure figure, int most);
/// Titles, legend, colour bar, and the grid of plots that are not framed.
void draw_background(Canvas& canvas, const Figure& figure, const Layout& layout);
/// Axes with their marks and labels, over the data.
void draw_axes(Canvas& canvas, const Figure& figure, const Layout& layout);

inline constexpr Color kInk{0.13, 0.13, 0.13}, kSoftInk{0.38, 0.38, 0.38}, kGridColor{0.88, 0.88, 0.88},
    kMissingColor{0.8, 0.8, 0.8};

}  // namespace weft::plot
#endif
