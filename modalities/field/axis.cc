#include "modalities/field/axis.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace weft {
namespace {

constexpr std::array<std::pair<AxisKind, const char*>, 5> kKindNames = {{{AxisKind::kOther, "other"},
                                                                         {AxisKind::kLatitude, "latitude"},
                                                                         {AxisKind::kLongitude, "longitude"},
                                                                         {AxisKind::kLevel, "level"},
                                                                         {AxisKind::kTime, "time"}}};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

template <size_t n>
bool is_one_of(const std::string& text, const std::array<const char*, n>& choices) {
  return std::any_of(choices.begin(), choices.end(), [&](const char* choice) { return text == choice; });
}

constexpr std::array kLatitudeUnits = {"degrees_north", "degree_north", "degree_n",
                                       "degrees_n",     "degreen",      "degreesn"};
constexpr std::array kLongitudeUnits = {"degrees_east", "degree_east", "degree_e",
                                        "degrees_e",    "degreee",     "degreese"};
constexpr std::array kPressureUnits = {"pa",  "hpa",     "kpa",       "mbar",   "millibar",
                                       "bar", "decibar", "millibars", "pascal", "atm"};
constexpr std::array kLatitudeNames = {"latitude", "lat", "nav_lat"};
constexpr std::array kLongitudeNames = {"longitude", "lon", "nav_lon"};
constexpr std::array kLevelNames = {"level",    "lev",           "plev",   "height",   "depth",
                                    "altitude", "isobaricinhpa", "hybrid", "pressure", "pressure_level"};
constexpr std::array kLevelStandardNames = {"air_pressure", "height", "depth", "altitude",
                                            "atmosphere_hybrid_sigma_pressure_coordinate"};

}  // namespace

const char* to_string(AxisKind kind) { return kKindNames[static_cast<size_t>(kind)].second; }

std::optional<AxisKind> axis_kind_named(std::string_view name) {
  for (const auto& [kind, text] : kKindNames) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

AxisKind axis_kind(const AxisHints& hints) {
  const std::string units = lower(hints.units), standard_name = lower(hints.standard_name),
                    name = lower(hints.name), axis = lower(hints.axis);
  if (standard_name == "latitude" || is_one_of(units, kLatitudeUnits)) return AxisKind::kLatitude;
  if (standard_name == "longitude" || is_one_of(units, kLongitudeUnits)) return AxisKind::kLongitude;
  if (standard_name == "time" || axis == "t" || units.find(" since ") != std::string::npos) {
    return AxisKind::kTime;
  }
  if (axis == "z" || is_one_of(units, kPressureUnits) || is_one_of(standard_name, kLevelStandardNames)) {
    return AxisKind::kLevel;
  }
  // "axis" X and Y may be projected metres: only a name says that they are degrees.
  if (is_one_of(name, kLatitudeNames)) return AxisKind::kLatitude;
  if (is_one_of(name, kLongitudeNames)) return AxisKind::kLongitude;
  if (is_one_of(name, kLevelNames)) return AxisKind::kLevel;
  if (name == "time" || name == "valid_time") return AxisKind::kTime;
  return AxisKind::kOther;
}

std::vector<double> cell_borders(const Axis& axis) {
  const auto size = static_cast<size_t>(axis.size);
  std::vector<double> borders(size + 1);
  if (size == 1) {
    borders = {axis.coordinate(0) - 0.5, axis.coordinate(0) + 0.5};
  } else {
    for (size_t i = 1; i < size; ++i) {
      const auto position = static_cast<int64_t>(i);
      borders[i] = axis.coordinate(position - 1) / 2 + axis.coordinate(position) / 2;
    }
    borders[0] = 2 * axis.coordinate(0) - borders[1];
    borders[size] = 2 * axis.coordinate(axis.size - 1) - borders[size - 1];
  }
  if (axis.kind == AxisKind::kLatitude) {
    for (double& border : borders) border = std::clamp(border, -90.0, 90.0);
  }
  return borders;
}

bool is_monotonic(const Axis& axis) {
  const std::vector<double>& values = axis.coordinates;
  const auto falls_or_stays = [](double a, double b) { return !(a < b); };
  const auto rises_or_stays = [](double a, double b) { return !(a > b); };
  return std::adjacent_find(values.begin(), values.end(), falls_or_stays) == values.end() ||
         std::adjacent_find(values.begin(), values.end(), rises_or_stays) == values.end();
}

}  // namespace weft
