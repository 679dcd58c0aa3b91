#include "modalities/field/selection.h"

#include <gmock/gmock.h>

#include <numeric>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// level 3, latitude 90 to -90 by 45, longitude 0 to 315 by 45; element i is i.
FieldType globe() {
  FieldType type{.name = "z",
                 .axes = {{"level", AxisKind::kLevel, "hPa", 3, {1000, 500, 250}},
                          {"lat", AxisKind::kLatitude, "degrees_north", 5, {90, 45, 0, -45, -90}},
                          {"lon", AxisKind::kLongitude, "degrees_east", 8, {}}}};
  for (int i = 0; i < 8; ++i) type.axes[2].coordinates.push_back(i * 45);
  return type;
}

Result<Selection> choose(const char* json, RangeUnit unit = RangeUnit::kCoordinate) {
  const Result<std::vector<AxisRange>> ranges = parse_ranges(json, unit);
  return ranges.ok() ? select(globe(), *ranges) : Result<Selection>(ranges.status());
}

std::vector<float> values(const Selection& selection) {
  std::vector<float> data(120);
  std::iota(data.begin(), data.end(), 0.0f);
  std::vector<float> part(static_cast<size_t>(selection.type.elements()));
  gather(data.data(), globe(), selection, part.data());
  return part;
}

TEST(Select, TakesTheNearestCoordinateAndKeepsItAsAScalar) {
  const Result<Selection> part = choose("{\"level\": \"480.0\", \"lat\": 0, \"longitude\": [90, 180]}");
  ASSERT_TRUE(part.ok()) << to_string(part.error());
  EXPECT_THAT(part->type.scalars,
              ElementsAre(ScalarCoordinate{"level", AxisKind::kLevel, "hPa", 500},
                          ScalarCoordinate{"lat", AxisKind::kLatitude, "degrees_north", 0}));
  EXPECT_THAT(part->type.axes[0].coordinates, ElementsAre(90, 135, 180));
  EXPECT_THAT(values(*part), ElementsAre(58, 59, 60));  // 40 + 2 * 8 + 2
}

TEST(Select, KeepsTheOrderOfFallingCoordinates) {
  const Result<Selection> part = choose("{\"latitude\": [-45, 45], \"level\": 1000, \"lon\": 0}");
  ASSERT_TRUE(part.ok()) << to_string(part.error());
  EXPECT_THAT(part->type.axes[0].coordinates, ElementsAre(45, 0, -45));
  EXPECT_THAT(values(*part), ElementsAre(8, 16, 24));
}

TEST(Select, GoesAcrossTheSeamOfLongitudes) {
  const Result<Selection> part = choose("{\"longitude\": [-90, 45], \"level\": 1000, \"lat\": 90}");
  ASSERT_TRUE(part.ok()) << to_string(part.error());
  EXPECT_THAT(part->type.axes[0].coordinates, ElementsAre(-90, -45, 0, 45));
  EXPECT_THAT(values(*part), ElementsAre(6, 7, 0, 1));
  const Result<Selection> west = choose("{\"longitude\": -44, \"level\": 1000, \"lat\": 90}");
  ASSERT_TRUE(west.ok()) << to_string(west.error());
  EXPECT_THAT(values(*west), ElementsAre(7));
}

TEST(Select, ByPositionCountsFromTheEndToo) {
  const Result<Selection> part =
      choose("{\"level\": -1, \"lat\": [1, 2], \"lon\": [-2, -1]}", RangeUnit::kPosition);
  ASSERT_TRUE(part.ok()) << to_string(part.error());
  EXPECT_THAT(values(*part), ElementsAre(94, 95, 102, 103));
  EXPECT_THAT(part->type.axes[1].coordinates, ElementsAre(270, 315));
}

TEST(Gather, CopiesNothingOfAFieldWithoutElements) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0}, {0, 3}, {3, 0}}) {
    FieldType type;
    for (const int64_t size : shape)
      type.axes.push_back({.name = "d" + std::to_string(type.axes.size()), .size = size});
    const Result<Selection> whole = select(type, {});
    ASSERT_TRUE(whole.ok()) << to_string(whole.error());
    float untouched = 7;
    gather(nullptr, type, *whole, &untouched);
    EXPECT_EQ(untouched, 7);
  }
}

TEST(Select, SaysWhatThereIsInstead) {
  const auto message = [](const Result<Selection>& part) {
    return part.ok() ? "ok" : to_string(part.error());
  };
  EXPECT_THAT(message(choose("{\"depth\": 3}")), HasSubstr("expected level, lat, lon, got 'depth'"));
  EXPECT_THAT(message(choose("{\"level\": 2000}")), HasSubstr("within 250 to 1000 hPa, got 2000"));
  EXPECT_THAT(message(choose("{\"lat\": [10, 20]}")),
              HasSubstr("within -90 to 90 degrees_north, got 10 to 20"));
  EXPECT_THAT(message(choose("{\"lat\": 1, \"latitude\": 2}")), HasSubstr("twice"));
  EXPECT_THAT(message(choose("{\"level\": 3}", RangeUnit::kPosition)), HasSubstr("positions 0 to 2"));
  EXPECT_THAT(message(choose("{\"level\": 0.5}", RangeUnit::kPosition)), HasSubstr("positions 0 to 2"));
  EXPECT_THAT(message(choose("{\"level\": [1]}")), HasSubstr("{\"level\": 500"));
  EXPECT_THAT(message(choose("{\"level\": \"high\"}")), HasSubstr("{\"level\": 500"));
  EXPECT_THAT(message(choose("[1]")), HasSubstr("an object"));
}

}  // namespace
}  // namespace weft
