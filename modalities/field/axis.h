/// The dimensions of a field: names, coordinates, units, and which of them are latitude, longitude, level or time.
///
/// What an axis means follows the CF conventions: its standard name, its `axis` attribute, its units, and last its name.
/// Thread safety: values; no shared state.
///
///   Axis axis{.name = "lat", .units = "degrees_north", .size = 3, .coordinates = {30, 45, 60}};
///   axis.kind = axis_kind({.name = axis.name, .units = axis.units});   // kLatitude
///
/// Source: CF Metadata Conventions 1.11, chapters 4 and 5.
#ifndef WEFT_MODALITIES_FIELD_AXIS_H
#define WEFT_MODALITIES_FIELD_AXIS_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

enum class AxisKind : uint8_t { kOther, kLatitude, kLongitude, kLevel, kTime };
const char* to_string(AxisKind kind);  // "latitude"; "other"
std::optional<AxisKind> axis_kind_named(std::string_view name);

struct Axis {
  std::string name = {};  // "latitude"
  AxisKind kind = AxisKind::kOther;
  std::string units = {};  // "degrees_north", "hPa", "hours since 2000-01-01"; empty: none are known
  int64_t size = 0;
  std::vector<double> coordinates = {};  // [size], finite, in units; empty: positions only

  /// The coordinate at `position`, or the position itself where there are no coordinates.
  double coordinate(int64_t position) const {
    return coordinates.empty() ? static_cast<double>(position) : coordinates[static_cast<size_t>(position)];
  }
  friend bool operator==(const Axis&, const Axis&) = default;
};

/// What a file says about a coordinate; empty where it says nothing.
struct AxisHints {
  std::string_view name = {}, units = {}, standard_name = {}, axis = {};
};
AxisKind axis_kind(const AxisHints& hints);

/// The borders between cells whose centres are the axis's coordinates: [size + 1], half-way between neighbours, the outer
/// ones as far out as the nearest inner ones; latitudes stay within -90 and 90. Precondition: size > 0, and coordinates that
/// only rise or only fall.
std::vector<double> cell_borders(const Axis& axis);

/// True if the coordinates strictly rise or strictly fall (always without coordinates).
bool is_monotonic(const Axis& axis);

}  // namespace weft
#endif
