#include "plugins/plot/ticks.h"

#include <gmock/gmock.h>

namespace weft::plot {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> labels(const Ticks& ticks) {
  std::vector<std::string> result;
  for (const Tick& tick : ticks.ticks) result.push_back(tick.label);
  return result;
}

TEST(NumberTicks, AreRound) {
  EXPECT_THAT(labels(number_ticks(0, 1234, 6)), ElementsAre("0", "250", "500", "750", "1000"));
  EXPECT_THAT(labels(number_ticks(-1.02, 1.02, 5)), ElementsAre("−1", "0", "1"));
  EXPECT_THAT(labels(number_ticks(0.1, 0.3, 5)), ElementsAre("0.10", "0.15", "0.20", "0.25", "0.30"));
  EXPECT_THAT(labels(number_ticks(263.4, 301.2, 5)), ElementsAre("270", "280", "290", "300"));
}

TEST(NumberTicks, TakeOutPowersOfTen) {
  const Ticks large = number_ticks(98000, 103000, 6);
  EXPECT_EQ(large.multiplier, "×10³");
  EXPECT_THAT(labels(large), ElementsAre("98", "99", "100", "101", "102", "103"));
  const Ticks small = number_ticks(0, 4e-7, 5);
  EXPECT_EQ(small.multiplier, "×10⁻⁹");
  EXPECT_THAT(labels(small), ElementsAre("0", "100", "200", "300", "400"));
}

TEST(LogTicks, ArePowersOfTen) {
  EXPECT_THAT(labels(log_ticks(0.05, 2e6, 9)),
              ElementsAre("0.1", "1", "10", "100", "1000", "10000", "10⁵", "10⁶"));
  EXPECT_THAT(labels(log_ticks(1, 1e8, 5)), ElementsAre("1", "100", "10000", "10⁶", "10⁸"));
  EXPECT_THAT(labels(log_ticks(2, 7, 3)), ElementsAre("2.5", "5.0"));
}

TEST(DegreeTicks, NameTheSidesOfTheWorld) {
  EXPECT_THAT(labels(degree_ticks(AxisKind::kLatitude, -90, 90, 7)),
              ElementsAre("90°S", "60°S", "30°S", "0°", "30°N", "60°N", "90°N"));
  EXPECT_THAT(labels(degree_ticks(AxisKind::kLongitude, 90, 270, 5)),
              ElementsAre("90°E", "135°E", "180°", "135°W", "90°W"));
  EXPECT_THAT(labels(degree_ticks(AxisKind::kLongitude, -1, 1, 5)),
              ElementsAre("1.0°W", "0.5°W", "0.0°", "0.5°E", "1.0°E"));
}

TEST(TimeTicks, FollowTheCalendar) {
  const Ticks hours = *time_ticks("hours since 2026-01-02", 0, 12, 5);
  EXPECT_THAT(labels(hours), ElementsAre("00:00", "03:00", "06:00", "09:00", "12:00"));
  EXPECT_EQ(hours.suffix, "2026-01-02");
  EXPECT_THAT(labels(*time_ticks("days since 2024-02-27 00:00:00", 0, 4, 5)),
              ElementsAre("27 Feb", "28 Feb", "29 Feb", "1 Mar", "2 Mar"));
  EXPECT_THAT(labels(*time_ticks("days since 1999-11-15", 0, 120, 5)),
              ElementsAre("Dec 1999", "Jan 2000", "Feb 2000", "Mar 2000"));
  EXPECT_THAT(labels(*time_ticks("seconds since 1970-01-01", 0, 3.2e9, 7)),
              ElementsAre("1980", "2000", "2020", "2040", "2060"));
  EXPECT_FALSE(time_ticks("metres", 0, 1, 5));
  EXPECT_FALSE(time_ticks("hours since 2026-13-02", 0, 1, 5));
  EXPECT_EQ(time_text("hours since 2026-01-02T06:30:00", -7), "2026-01-01 23:30");
}

TEST(FittingTicks, LeaveRoomBetweenLabels) {
  const auto make = [](int most) { return number_ticks(0, 1000, most); };
  const auto extent = [](const std::string& label) { return 8.0 * static_cast<double>(label.size()); };
  const auto along = [](double length) { return [length](double value) { return value / 1000 * length; }; };
  EXPECT_THAT(labels(fitting_ticks(10, 11, make, along(600), extent)).size(), 11u);
  EXPECT_THAT(labels(fitting_ticks(10, 11, make, along(150), extent)), ElementsAre("0", "500", "1000"));
  EXPECT_THAT(labels(fitting_ticks(10, 11, make, along(10), extent)), ElementsAre("0"));
}

TEST(UnitsText, WritesPowersAndDegrees) {
  EXPECT_EQ(units_text("m s-1"), "m s⁻¹");
  EXPECT_EQ(units_text("m**2 s**-2"), "m² s⁻²");
  EXPECT_EQ(units_text("kg m^-3"), "kg m⁻³");
  EXPECT_EQ(units_text("degC"), "°C");
  EXPECT_EQ(units_text("degrees_north"), "");
  EXPECT_EQ(units_text("hours since 2000-01-01"), "hours since 2000-01-01");
  EXPECT_EQ(units_text("1"), "");
}

TEST(ValueText, HasFiveDigits) {
  EXPECT_EQ(value_text(500), "500");
  EXPECT_EQ(value_text(-0.25), "−0.25");
  EXPECT_EQ(value_text(1.25e-7), "1.25×10⁻⁷");
}

}  // namespace
}  // namespace weft::plot
