/// Parts of fields: ranges and single positions of dimensions, by coordinate or by position.
///
/// A single position takes the dimension away and keeps its coordinate as a scalar; a range keeps the dimension. Longitudes are
/// angles: a range such as -30 to 40 works on a grid of 0 to 360, and the result's coordinates rise across the seam.
/// Thread safety: values; no shared state.
///
///   AxisRange range{.axis = "level", .first = 500, .last = 500, .single = true};
///   Result<Selection> part = select(field.type, {&range, 1});
///   gather(field.data, field.type, *part, to);   // to: part->type.elements() of its dtype
#ifndef WEFT_MODALITIES_FIELD_SELECTION_H
#define WEFT_MODALITIES_FIELD_SELECTION_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/field/field.h"

namespace weft {

enum class RangeUnit : uint8_t { kCoordinate, kPosition };

struct AxisRange {
  std::string axis = {};  // a name, or a kind ("latitude")
  RangeUnit unit = RangeUnit::kCoordinate;
  double first = 0, last = 0;  // inclusive; positions from 0, negative ones from the end
  bool single = false;         // only first: the nearest coordinate, at most half a step away
};

/// From JSON text: {"level": 500, "latitude": [30, "60"]}; a text that is a number is one. Errors: kInvalidArgument.
Result<std::vector<AxisRange>> parse_ranges(std::string_view json, RangeUnit unit);

struct Selection {
  FieldType type;                               // of the part
  std::vector<std::vector<int64_t>> positions;  // of each axis of the whole, in the order of the part
};

/// Errors: kNotFound (no such axis; lists them), kInvalidArgument (an axis twice; by coordinate where there are none or they are
/// not in order), kOutOfRange (nothing of the axis lies there; says what it covers).
Result<Selection> select(const FieldType& type, std::span<const AxisRange> ranges);

/// Copies the part. data: type.elements(), to: selection.type.elements(), of the same dtype.
void gather(const void* data, const FieldType& type, const Selection& selection, void* to);

}  // namespace weft
#endif
