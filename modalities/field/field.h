/// A field: a named array of numbers with dimensions, coordinates and units, and how it travels between nodes.
///
/// Between nodes a field is a tensor value of port type "field.array" (f32 or f64, row-major on the CPU) whose attributes are a
/// JSON object: {"name", "long_name", "units", "axes": [{"name", "kind", "units", "coordinates"}], "scalars": [{"name", "kind",
/// "units", "value"}]}, where empty texts and coordinates are left out. Scalars are dimensions that one position was taken of,
/// such as the level of a map. A value that is missing is NaN.
/// Ownership: a Field holds the value that its data lies in. Thread safety: values; no shared state.
///
///   Result<Field> field = field_of(request.input(0));
///   if (!field.ok()) return field.status().at("port 'field'");
///   double first = field->at(0);
#ifndef WEFT_MODALITIES_FIELD_FIELD_H
#define WEFT_MODALITIES_FIELD_FIELD_H

#include <weft/abi/types.h>
#include <weft/sdk/status.h>
#include <weft/sdk/value.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/field/axis.h"

namespace weft {

inline constexpr const char* kFieldPortType = "field.array";

/// Most coordinates of a field, of all its axes: they travel as text.
inline constexpr int64_t kMaxCoordinates = 1'000'000;

struct ScalarCoordinate {
  std::string name = {};
  AxisKind kind = AxisKind::kOther;
  std::string units = {};
  double value = 0;  // finite
  friend bool operator==(const ScalarCoordinate&, const ScalarCoordinate&) = default;
};

/// All that a field is besides its numbers.
struct FieldType {
  std::string name = {};              // "t2m": what a file calls it
  std::string long_name = {};         // "2 metre temperature"; may be empty
  std::string units = {};             // "K"; may be empty
  weft_dtype dtype = WEFT_DTYPE_F32;  // or WEFT_DTYPE_F64
  std::vector<Axis> axes = {};        // outermost first; at most WEFT_MAX_RANK
  std::vector<ScalarCoordinate> scalars = {};

  std::vector<int64_t> shape() const;
  int64_t elements() const;
  /// The position of the axis with this name; the only one of that kind if there is none of the name ("latitude" finds "lat").
  std::optional<size_t> axis_named(std::string_view name_or_kind) const;
  std::optional<size_t> axis_of(AxisKind kind) const;
  friend bool operator==(const FieldType&, const FieldType&) = default;
};
/// "t2m [time 4, latitude 181, longitude 360] in K".
std::string to_string(const FieldType& type);

/// The JSON object above.
std::string field_attributes(const FieldType& type);
/// From attributes and the tensor's shape and dtype. Axes that the attributes do not name are called dim_0, dim_1 ...
/// Errors: kCorruptData (no such JSON, other numbers of axes or coordinates than the tensor has, coordinates that are not
/// finite), kUnsupported (dtype), kOutOfRange (more than kMaxCoordinates).
Result<FieldType> parse_field_type(weft_dtype dtype, std::span<const int64_t> shape,
                                   std::string_view attributes);

struct Field {
  sdk::Value value;
  FieldType type;
  const void* data = nullptr;  // [type.shape()], row-major

  /// Element `index` of the row-major order, widened.
  double at(int64_t index) const {
    return type.dtype == WEFT_DTYPE_F64 ? static_cast<const double*>(data)[index]
                                        : static_cast<double>(static_cast<const float*>(data)[index]);
  }
};

/// The field of a value of type "field.array", or of a plain "tensor" of f32 or f64.
/// Errors: kInvalidArgument (another type), kUnsupported (dtype, device, gaps between rows), those of parse_field_type.
Result<Field> field_of(const sdk::Value& value);

/// The first element that is NaN or infinite; none if all are finite.
std::optional<int64_t> first_not_finite(weft_dtype dtype, const void* data, int64_t count);
/// "[3, 0, 17]": what element `index` of the row-major order is called; with coordinates where there are some:
/// "[time 3 (75 hours since 2000-01-01), latitude 0 (90 degrees_north)]".
std::string element_name(const FieldType& type, int64_t index);

/// The shortest text that reads back as this number: "0.1", "1e-07".
std::string number_text(double value);

}  // namespace weft
#endif
