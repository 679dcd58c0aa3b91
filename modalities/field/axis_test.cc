#include "modalities/field/axis.h"

#include <gmock/gmock.h>

namespace weft {
namespace {

using ::testing::ElementsAre;

AxisKind kind(std::string_view name, std::string_view units = "", std::string_view standard_name = "",
              std::string_view axis = "") {
  return axis_kind({.name = name, .units = units, .standard_name = standard_name, .axis = axis});
}

TEST(AxisKind, FollowsStandardNamesThenUnitsThenNames) {
  EXPECT_EQ(kind("y", "degrees_north"), AxisKind::kLatitude);
  EXPECT_EQ(kind("rows", "", "latitude"), AxisKind::kLatitude);
  EXPECT_EQ(kind("x", "degreesE"), AxisKind::kLongitude);
  EXPECT_EQ(kind("LON"), AxisKind::kLongitude);
  EXPECT_EQ(kind("t", "hours since 1900-01-01"), AxisKind::kTime);
  EXPECT_EQ(kind("step", "", "", "T"), AxisKind::kTime);
  EXPECT_EQ(kind("p", "hPa"), AxisKind::kLevel);
  EXPECT_EQ(kind("depth", "m"), AxisKind::kLevel);
  EXPECT_EQ(kind("x", "km", "projection_x_coordinate", "X"), AxisKind::kOther);
  EXPECT_EQ(kind("residue"), AxisKind::kOther);
}

TEST(CellBorders, LieHalfWayAndEndAtThePoles) {
  const Axis uneven{.name = "x", .size = 3, .coordinates = {0, 1, 4}};
  EXPECT_THAT(cell_borders(uneven), ElementsAre(-0.5, 0.5, 2.5, 5.5));
  const Axis latitudes{.name = "lat", .kind = AxisKind::kLatitude, .size = 3, .coordinates = {90, 0, -90}};
  EXPECT_THAT(cell_borders(latitudes), ElementsAre(90, 45, -45, -90));
  EXPECT_THAT(cell_borders({.name = "i", .size = 2}), ElementsAre(-0.5, 0.5, 1.5));
  EXPECT_THAT(cell_borders({.name = "one", .size = 1, .coordinates = {7}}), ElementsAre(6.5, 7.5));
}

TEST(IsMonotonic, WantsStrictOrder) {
  EXPECT_TRUE(is_monotonic({.size = 3, .coordinates = {1, 2, 3}}));
  EXPECT_TRUE(is_monotonic({.size = 3, .coordinates = {3, 2, 1}}));
  EXPECT_TRUE(is_monotonic({.size = 3}));
  EXPECT_FALSE(is_monotonic({.size = 3, .coordinates = {1, 1, 2}}));
  EXPECT_FALSE(is_monotonic({.size = 3, .coordinates = {1, 3, 2}}));
}

}  // namespace
}  // namespace weft
