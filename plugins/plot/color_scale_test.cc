#include "plugins/plot/color_scale.h"

#include <gmock/gmock.h>

#include <cmath>
#include <string>

namespace weft::plot {
namespace {

// CIE lightness of an sRGB colour, 0 to 100.
double lightness(const Rgb& color) {
  const auto linear = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
  const double y = 0.2126 * linear(color[0] / 255.0) + 0.7152 * linear(color[1] / 255.0) +
                   0.0722 * linear(color[2] / 255.0);
  return y > 0.008856 ? 116 * std::cbrt(y) - 16 : 903.3 * y;
}

TEST(ColorScale, HasTheTablesEndsAndStaysWithinThem) {
  const ColorScale scale(*color_table("viridis"), 10, 20);
  EXPECT_EQ(scale.color(10), (Rgb{0x44, 0x01, 0x54}));
  EXPECT_EQ(scale.color(20), (Rgb{0xfd, 0xe7, 0x25}));
  EXPECT_EQ(scale.color(-5), scale.color(10));
  EXPECT_EQ(scale.color(1e300), scale.color(20));
  EXPECT_EQ(color_table("rainbow"), nullptr);
}

TEST(ColorScale, SequentialOnesGetLighterDivergingOnesAreLightestInTheMiddle) {
  for (const ColorTable& table : color_tables()) {
    const ColorScale scale(table, 0, 100);
    for (int i = 1; i <= 100; ++i) {
      const double step = lightness(scale.color(i)) - lightness(scale.color(i - 1));
      const bool rises = !table.diverging || i <= 50;
      if (rises) EXPECT_GT(step, -0.6) << table.name << " " << i;
      else EXPECT_LT(step, 0.6) << table.name << " " << i;
    }
  }
}

}  // namespace
}  // namespace weft::plot
