#include "modalities/field/selection.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

namespace weft {
namespace {

// A number, or a text that is one: what a template inserts into JSON is a text.
std::optional<double> number_of(const nlohmann::ordered_json& json) {
  if (json.is_number()) return json.get<double>();
  if (!json.is_string()) return std::nullopt;
  const std::string text = json.get<std::string>();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string axis_names(const FieldType& type) {
  std::string names;
  for (const Axis& axis : type.axes) names += (names.empty() ? "" : ", ") + axis.name;
  return names.empty() ? "none" : names;
}

std::string extent_text(const Axis& axis, RangeUnit unit) {
  if (unit == RangeUnit::kPosition) return "positions 0 to " + std::to_string(axis.size - 1);
  const auto [low, high] = std::minmax_element(axis.coordinates.begin(), axis.coordinates.end());
  return number_text(*low) + " to " + number_text(*high) + (axis.units.empty() ? "" : " ") + axis.units;
}

Status nothing_there(const Axis& axis, const AxisRange& range) {
  return Status(StatusCode::kOutOfRange, "nothing of '" + axis.name + "' lies there")
      .expected("within " + extent_text(axis, range.unit))
      .got(number_text(range.first) + (range.single ? "" : " to " + number_text(range.last)));
}

Result<std::vector<int64_t>> by_position(const Axis& axis, const AxisRange& range) {
  const auto from_begin = [&](double position) {
    return position < 0 ? position + static_cast<double>(axis.size) : position;
  };
  const double first = from_begin(range.first), last = range.single ? first : from_begin(range.last);
  const bool whole = std::floor(first) == first && std::floor(last) == last;
  if (!whole || first < 0 || last < first || last >= static_cast<double>(axis.size))
    return nothing_there(axis, range);
  std::vector<int64_t> positions(static_cast<size_t>(last - first) + 1);
  std::iota(positions.begin(), positions.end(), static_cast<int64_t>(first));
  return positions;
}

// A coordinate as an angle at or behind `begin`, if that is within one turn.
double turned(const Axis& axis, double coordinate, double begin) {
  if (axis.kind != AxisKind::kLongitude) return coordinate;
  constexpr double kSlack = 1e-9;
  return coordinate + 360 * std::ceil((begin - coordinate) / 360 - kSlack);
}

Result<int64_t> nearest(const Axis& axis, const AxisRange& range) {
  const auto distance = [&](int64_t position) {
    const double apart = std::fabs(axis.coordinate(position) - range.first);
    return axis.kind == AxisKind::kLongitude ? std::fabs(std::remainder(apart, 360.0)) : apart;
  };
  int64_t best = 0;
  for (int64_t i = 1; i < axis.size; ++i) {
    if (distance(i) < distance(best)) best = i;
  }
  double step = 0;  // to the farther neighbour
  for (const int64_t other : {best - 1, best + 1}) {
    if (other < 0 || other >= axis.size) continue;
    step = std::max(step, std::fabs(axis.coordinate(other) - axis.coordinate(best)));
  }
  if (distance(best) > step / 2 + 1e-9 * std::fabs(range.first)) return nothing_there(axis, range);
  return best;
}

struct Chosen {
  std::vector<int64_t> positions;
  std::vector<double> coordinates;  // as those of the axis, longitudes without a seam
};

Result<Chosen> by_coordinate(const Axis& axis, const AxisRange& range) {
  if (axis.coordinates.empty() || !is_monotonic(axis)) {
    return Status(StatusCode::kInvalidArgument,
                  axis.coordinates.empty() ? "'" + axis.name + "' has no coordinates to choose by"
                                           : "the coordinates of '" + axis.name + "' are in no order")
        .hint("choose by position, with \"positions\"");
  }
  if (range.single) {
    const Result<int64_t> position = nearest(axis, range);
    if (!position.ok()) return position.status();
    return Chosen{{*position}, {axis.coordinate(*position)}};
  }
  std::vector<std::pair<double, int64_t>> found;
  const double low = std::min(range.first, range.last), high = std::max(range.first, range.last);
  const double slack = 1e-9 * std::max(std::fabs(low), std::fabs(high));
  for (int64_t i = 0; i < axis.size; ++i) {
    const double coordinate = turned(axis, axis.coordinate(i), low);
    if (coordinate >= low - slack && coordinate <= high + slack) found.emplace_back(coordinate, i);
  }
  if (found.empty()) return nothing_there(axis, range);
  const bool falls = axis.size > 1 && axis.coordinate(0) > axis.coordinate(1);
  std::sort(found.begin(), found.end());
  if (falls) std::reverse(found.begin(), found.end());
  Chosen chosen;
  for (const std::pair<double, int64_t>& one : found) {
    chosen.coordinates.push_back(one.first);
    chosen.positions.push_back(one.second);
  }
  return chosen;
}

Result<Chosen> choose(const Axis& axis, const AxisRange* range) {
  if (range != nullptr && range->unit == RangeUnit::kCoordinate) return by_coordinate(axis, *range);
  Chosen chosen;
  if (range == nullptr) {
    chosen.positions.resize(static_cast<size_t>(axis.size));
    std::iota(chosen.positions.begin(), chosen.positions.end(), 0);
  } else {
    Result<std::vector<int64_t>> positions = by_position(axis, *range);
    if (!positions.ok()) return positions.status();
    chosen.positions = *std::move(positions);
  }
  if (axis.coordinates.empty()) return chosen;
  for (const int64_t position : chosen.positions) chosen.coordinates.push_back(axis.coordinate(position));
  return chosen;
}

Result<std::vector<const AxisRange*>> by_axis(const FieldType& type, std::span<const AxisRange> ranges) {
  std::vector<const AxisRange*> result(type.axes.size(), nullptr);
  for (const AxisRange& range : ranges) {
    const std::optional<size_t> axis = type.axis_named(range.axis);
    if (!axis) {
      return Status(StatusCode::kNotFound, "the field has no dimension '" + range.axis + "'")
          .expected(axis_names(type))
          .got("'" + range.axis + "'");
    }
    if (result[*axis] != nullptr) {
      return Status(StatusCode::kInvalidArgument, "'" + type.axes[*axis].name + "' is chosen from twice");
    }
    result[*axis] = &range;
  }
  return result;
}

}  // namespace

Result<std::vector<AxisRange>> parse_ranges(std::string_view json, RangeUnit unit) {
  const auto parsed = nlohmann::ordered_json::parse(json, nullptr, false);
  const Status wrong = Status(StatusCode::kInvalidArgument, "this chooses no part of a field")
                           .expected("an object such as {\"level\": 500, \"latitude\": [30, 60]}")
                           .got(std::string(json.substr(0, 100)));
  if (!parsed.is_object()) return wrong;
  std::vector<AxisRange> ranges;
  for (const auto& [name, value] : parsed.items()) {
    const bool pair = value.is_array() && value.size() == 2;
    const std::optional<double> first = number_of(pair ? value[0] : value),
                                last = number_of(pair ? value[1] : value);
    if (!first || !last) return wrong;
    ranges.push_back({.axis = name, .unit = unit, .first = *first, .last = *last, .single = !pair});
  }
  return ranges;
}

Result<Selection> select(const FieldType& type, std::span<const AxisRange> ranges) {
  const Result<std::vector<const AxisRange*>> range_of = by_axis(type, ranges);
  if (!range_of.ok()) return range_of.status();
  Selection selection{type, {}};
  selection.type.axes.clear();
  for (size_t i = 0; i < type.axes.size(); ++i) {
    const Axis& axis = type.axes[i];
    const AxisRange* range = (*range_of)[i];
    Result<Chosen> chosen = choose(axis, range);
    if (!chosen.ok()) return chosen.status();
    if (range != nullptr && range->single) {
      const double value =
          chosen->coordinates.empty() ? static_cast<double>(chosen->positions[0]) : chosen->coordinates[0];
      selection.type.scalars.push_back({axis.name, axis.kind, axis.units, value});
    } else {
      selection.type.axes.push_back({axis.name, axis.kind, axis.units,
                                     static_cast<int64_t>(chosen->positions.size()),
                                     std::move(chosen->coordinates)});
    }
    selection.positions.push_back(std::move(chosen->positions));
  }
  return selection;
}

void gather(const void* data, const FieldType& type, const Selection& selection, void* to) {
  if (selection.type.elements() == 0) return;
  const size_t rank = type.axes.size(), bytes = static_cast<size_t>(sdk::element_size_bytes(type.dtype));
  const auto* from = static_cast<const std::byte*>(data);
  auto* out = static_cast<std::byte*>(to);
  if (rank == 0) {
    std::memcpy(out, from, bytes);
    return;
  }
  std::vector<int64_t> strides(rank, 1);
  for (size_t i = rank - 1; i > 0; --i) strides[i - 1] = strides[i] * type.axes[i].size;
  const std::vector<int64_t>& inner = selection.positions[rank - 1];
  std::vector<size_t> at(rank, 0);  // of the outer axes
  for (;;) {
    int64_t row = 0;
    for (size_t i = 0; i + 1 < rank; ++i) row += selection.positions[i][at[i]] * strides[i];
    for (const int64_t position : inner) {
      std::memcpy(out, from + static_cast<size_t>(row + position) * bytes, bytes);
      out += bytes;
    }
    size_t axis = rank - 1;
    while (axis > 0 && ++at[axis - 1] == selection.positions[axis - 1].size()) at[--axis] = 0;
    if (axis == 0) return;
  }
}

}  // namespace weft
