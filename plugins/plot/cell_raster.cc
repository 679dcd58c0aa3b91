#include "plugins/plot/cell_raster.h"

#include <algorithm>
#include <cmath>

namespace weft::plot {

Coverage cover(std::span<const double> borders, double from, double to, int pixels, double period) {
  Coverage coverage;
  coverage.pixels.resize(static_cast<size_t>(pixels));
  const double step = (to - from) / pixels;
  const auto cells = static_cast<int64_t>(borders.size()) - 1;
  const double view_low = std::min(from, to), view_high = std::max(from, to);
  for (int64_t cell = 0; cell < cells; ++cell) {
    const auto i = static_cast<size_t>(cell);
    const double low = std::min(borders[i], borders[i + 1]), high = std::max(borders[i], borders[i + 1]);
    const double turns = period > 0 ? std::ceil((view_low - high) / period) : 0;
    for (double shift = turns * period; low + shift < view_high; shift += period) {
      const double a = (std::max(low + shift, view_low) - from) / step,
                   b = (std::min(high + shift, view_high) - from) / step;
      const double begin = std::max(std::min(a, b), 0.0),
                   end = std::min(std::max(a, b), static_cast<double>(pixels));
      for (auto pixel = begin < end ? static_cast<int64_t>(begin) : pixels;  // none, too, if one is NaN
           pixel < pixels && static_cast<double>(pixel) < end; ++pixel) {
        const double x = static_cast<double>(pixel);
        const double weight = std::min(end, x + 1) - std::max(begin, x);
        if (weight > 1e-9) coverage.pixels[static_cast<size_t>(pixel)].push_back({cell, weight});
      }
      if (period <= 0) break;
    }
  }
  return coverage;
}

Raster rasterize(const Coverage& rows, const Coverage& columns, int64_t n_columns,
                 const std::function<double(int64_t, int64_t)>& value, const ColorScale& scale) {
  Raster raster;
  raster.width = static_cast<int>(columns.pixels.size());
  raster.height = static_cast<int>(rows.pixels.size());
  raster.rgba.resize(columns.pixels.size() * rows.pixels.size() * 4);
  std::vector<double> sums(static_cast<size_t>(n_columns)), present(sums.size());
  uint8_t* out = raster.rgba.data();
  for (const std::vector<Coverage::Part>& row : rows.pixels) {
    std::fill(sums.begin(), sums.end(), 0.0);
    std::fill(present.begin(), present.end(), 0.0);
    for (const Coverage::Part& part : row) {
      for (int64_t column = 0; column < n_columns; ++column) {
        const double v = value(part.cell, column);
        if (!std::isfinite(v)) continue;
        sums[static_cast<size_t>(column)] += part.weight * v;
        present[static_cast<size_t>(column)] += part.weight;
      }
    }
    for (const std::vector<Coverage::Part>& column : columns.pixels) {
      double sum = 0, weight = 0;
      for (const Coverage::Part& part : column) {
        sum += part.weight * sums[static_cast<size_t>(part.cell)];
        weight += part.weight * present[static_cast<size_t>(part.cell)];
      }
      if (weight > 0.5) {
        const Rgb color = scale.color(sum / weight);
        std::copy(color.begin(), color.end(), out);
        out[3] = 255;
      }
      out += 4;
    }
  }
  return raster;
}

}  // namespace weft::plot
