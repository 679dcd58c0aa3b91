/// Cells of a grid as pixels: each pixel is the mean of what it covers, weighted by area, so that a fine grid does not flicker and a
/// coarse one has sharp cells. Missing cells do not count; a pixel that is missing by more than half is left transparent.
///
/// Thread safety: no shared state.
#ifndef WEFT_PLUGINS_PLOT_CELL_RASTER_H
#define WEFT_PLUGINS_PLOT_CELL_RASTER_H

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "plugins/plot/canvas.h"
#include "plugins/plot/color_scale.h"

namespace weft::plot {

/// Which cells a pixel covers along one axis, and how much of the pixel each takes: weights add up to 1 where cells lie.
struct Coverage {
  struct Part {
    int64_t cell = 0;
    double weight = 0;
  };
  std::vector<std::vector<Part>> pixels;
};

/// borders: [cells + 1], rising or falling. from, to: what the first pixel begins and the last one ends with. period: 360 where
/// cells repeat (longitudes), else 0.
Coverage cover(std::span<const double> borders, double from, double to, int pixels, double period);

/// value(row, column) of the grid, NaN where it is missing.
Raster rasterize(const Coverage& rows, const Coverage& columns, int64_t n_columns,
                 const std::function<double(int64_t, int64_t)>& value, const ColorScale& scale);

}  // namespace weft::plot
#endif
