/// From numbers to colours.
///
/// Thread safety: values; no shared state.
///
///   const ColorScale scale(*color_table("viridis"), 250, 300);
///   Rgb color = scale.color(273.15);
#ifndef WEFT_PLUGINS_PLOT_COLOR_SCALE_H
#define WEFT_PLUGINS_PLOT_COLOR_SCALE_H

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace weft::plot {

struct ColorTable {
  const char* name;
  bool diverging;          // its middle is a neutral colour
  const uint32_t* colors;  // [256] 0xrrggbb
};
/// All there are; the first is the default, and perceptually uniform.
std::span<const ColorTable> color_tables();
/// NULL if there is none of that name.
const ColorTable* color_table(std::string_view name);

using Rgb = std::array<uint8_t, 3>;

class ColorScale {
 public:
  /// low < high; what lies beyond has the first or last colour.
  ColorScale(const ColorTable& table, double low, double high) : table_(&table), low_(low), high_(high) {}
  double low() const { return low_; }
  double high() const { return high_; }
  /// Between two colours of the table, linearly. value: not NaN.
  Rgb color(double value) const;

 private:
  const ColorTable* table_;
  double low_, high_;
};

}  // namespace weft::plot
#endif
