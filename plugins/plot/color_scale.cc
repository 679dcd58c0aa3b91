#include "plugins/plot/color_scale.h"

#include <algorithm>
#include <cmath>

namespace weft::plot {

const ColorTable* color_table(std::string_view name) {
  for (const ColorTable& table : color_tables()) {
    if (name == table.name) return &table;
  }
  return nullptr;
}

Rgb ColorScale::color(double value) const {
  const double position = std::clamp((value - low_) / (high_ - low_), 0.0, 1.0) * 255;
  const auto index = std::min(static_cast<int>(position), 254);
  const double part = position - index;
  Rgb color;
  for (int channel = 0; channel < 3; ++channel) {
    const int shift = 16 - 8 * channel;
    const double from = table_->colors[index] >> shift & 0xFF, to = table_->colors[index + 1] >> shift & 0xFF;
    color[static_cast<size_t>(channel)] = static_cast<uint8_t>(std::lround(from + part * (to - from)));
  }
  return color;
}

}  // namespace weft::plot
