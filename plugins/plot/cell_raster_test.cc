#include "plugins/plot/cell_raster.h"

#include <gmock/gmock.h>

#include <cmath>

namespace weft::plot {
namespace {

double total(const std::vector<Coverage::Part>& parts) {
  double sum = 0;
  for (const Coverage::Part& part : parts) sum += part.weight;
  return sum;
}

TEST(Cover, SharesPixelsByLength) {
  const double borders[] = {0, 1, 4};
  const Coverage two = cover(borders, 0, 4, 2, 0);
  ASSERT_EQ(two.pixels[0].size(), 2u);
  EXPECT_DOUBLE_EQ(two.pixels[0][0].weight, 0.5);
  EXPECT_EQ(two.pixels[1].size(), 1u);
  const Coverage reversed = cover(borders, 4, 0, 4, 0);
  EXPECT_EQ(reversed.pixels[0][0].cell, 1);
  EXPECT_EQ(reversed.pixels[3][0].cell, 0);
  for (const auto& pixel : reversed.pixels) EXPECT_DOUBLE_EQ(total(pixel), 1);
}

TEST(Cover, RepeatsLongitudes) {
  const double borders[] = {0, 90, 180, 270, 360};
  const Coverage coverage = cover(borders, -180, 180, 4, 360);
  EXPECT_EQ(coverage.pixels[0][0].cell, 2);
  EXPECT_EQ(coverage.pixels[1][0].cell, 3);
  EXPECT_EQ(coverage.pixels[2][0].cell, 0);
  EXPECT_EQ(coverage.pixels[3][0].cell, 1);
  for (const auto& pixel : cover(borders, -33, 327, 17, 360).pixels) EXPECT_NEAR(total(pixel), 1, 1e-9);
}

TEST(Rasterize, AveragesAndLeavesOutWhatIsMissing) {
  const double borders[] = {0, 1, 2, 3, 4};
  const Coverage rows = cover(std::span(borders).first(2), 0, 1, 1, 0), columns = cover(borders, 0, 4, 2, 0);
  const ColorScale scale(*color_table("gray"), 0, 1);
  const double values[] = {0, 1, NAN, NAN};
  const Raster raster = rasterize(
      rows, columns, 4, [&](int64_t, int64_t column) { return values[column]; }, scale);
  ASSERT_EQ(raster.width, 2);
  EXPECT_EQ(raster.rgba[0], 128);
  EXPECT_EQ(raster.rgba[3], 255);
  EXPECT_EQ(raster.rgba[7], 0) << "a missing cell is not transparent";
}

}  // namespace
}  // namespace weft::plot
