#include "modalities/field/field.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

void put(Json& object, const char* key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

Json described(const std::string& name, AxisKind kind, const std::string& units) {
  Json json = {{"name", name}};
  if (kind != AxisKind::kOther) json["kind"] = to_string(kind);
  put(json, "units", units);
  return json;
}

// The text at `key`; empty if it is not there or no text.
std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

AxisKind kind_at(const Json& object) {
  return axis_kind_named(text_at(object, "kind")).value_or(AxisKind::kOther);
}

Status corrupt(const std::string& what) {
  return {StatusCode::kCorruptData, "the description of a field is broken: " + what};
}

Status parse_axis(const Json& json, Axis* axis) {
  if (!json.is_object()) return corrupt("an axis is no object");
  if (const std::string name = text_at(json, "name"); !name.empty()) axis->name = name;
  axis->kind = kind_at(json);
  axis->units = text_at(json, "units");
  const auto coordinates = json.find("coordinates");
  if (coordinates == json.end()) return {};
  if (!coordinates->is_array()) return corrupt("the coordinates of '" + axis->name + "' are no array");
  if (static_cast<int64_t>(coordinates->size()) != axis->size) {
    return corrupt("axis '" + axis->name + "' has another number of coordinates than positions")
        .expected(std::to_string(axis->size))
        .got(std::to_string(coordinates->size()));
  }
  axis->coordinates.reserve(coordinates->size());
  for (const Json& coordinate : *coordinates) {
    if (!coordinate.is_number() || !std::isfinite(coordinate.get<double>())) {
      return corrupt("a coordinate of '" + axis->name + "' is no finite number");
    }
    axis->coordinates.push_back(coordinate.get<double>());
  }
  return {};
}

Status parse_axes(const Json& json, FieldType* type) {
  const auto axes = json.find("axes");
  if (axes == json.end()) return {};
  if (!axes->is_array() || axes->size() != type->axes.size()) {
    return corrupt("it does not describe as many axes as the array has dimensions");
  }
  for (size_t i = 0; i < type->axes.size(); ++i) {
    if (Status status = parse_axis((*axes)[i], &type->axes[i]); !status.ok()) return status;
    for (size_t before = 0; before < i; ++before) {
      if (type->axes[before].name == type->axes[i].name) {
        return corrupt("two axes are called '" + type->axes[i].name + "'");
      }
    }
  }
  return {};
}

Status parse_scalars(const Json& json, FieldType* type) {
  const auto scalars = json.find("scalars");
  if (scalars == json.end()) return {};
  if (!scalars->is_array() || scalars->size() > 64) return corrupt("\"scalars\" is no short array");
  for (const Json& scalar : *scalars) {
    if (!scalar.is_object()) return corrupt("a scalar is no object");
    const auto value = scalar.find("value");
    if (value == scalar.end() || !value->is_number() || !std::isfinite(value->get<double>())) {
      return corrupt("a scalar has no finite value");
    }
    type->scalars.push_back(
        {text_at(scalar, "name"), kind_at(scalar), text_at(scalar, "units"), value->get<double>()});
  }
  return {};
}

}  // namespace

std::string number_text(double value) {
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof text, value);
  return {text, end.ptr};
}

std::vector<int64_t> FieldType::shape() const {
  std::vector<int64_t> extents;
  for (const Axis& axis : axes) extents.push_back(axis.size);
  return extents;
}

int64_t FieldType::elements() const {
  int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.size;
  return count;
}

std::optional<size_t> FieldType::axis_of(AxisKind kind) const {
  std::optional<size_t> found;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].kind != kind) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

std::optional<size_t> FieldType::axis_named(std::string_view name_or_kind) const {
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].name == name_or_kind) return i;
  }
  const std::optional<AxisKind> kind = axis_kind_named(name_or_kind);
  return kind && *kind != AxisKind::kOther ? axis_of(*kind) : std::nullopt;
}

std::string to_string(const FieldType& type) {
  std::string text = type.name.empty() ? "a field" : type.name;
  text += " [";
  for (const Axis& axis : type.axes) {
    if (&axis != type.axes.data()) text += ", ";
    text += axis.name + " " + std::to_string(axis.size);
  }
  text += "]";
  return type.units.empty() ? text : text + " in " + type.units;
}

std::string field_attributes(const FieldType& type) {
  Json json = Json::object();
  put(json, "name", type.name);
  put(json, "long_name", type.long_name);
  put(json, "units", type.units);
  Json& axes = json["axes"] = Json::array();
  for (const Axis& axis : type.axes) {
    axes.push_back(described(axis.name, axis.kind, axis.units));
    if (!axis.coordinates.empty()) axes.back()["coordinates"] = axis.coordinates;
  }
  for (const ScalarCoordinate& scalar : type.scalars) {
    Json& item = json["scalars"].emplace_back(described(scalar.name, scalar.kind, scalar.units));
    item["value"] = scalar.value;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<FieldType> parse_field_type(weft_dtype dtype, std::span<const int64_t> shape,
                                   std::string_view attributes) {
  FieldType type;
  type.dtype = dtype;
  if (dtype != WEFT_DTYPE_F32 && dtype != WEFT_DTYPE_F64) {
    return Status(StatusCode::kUnsupported, "a field has elements of another type")
        .expected("f32 or f64")
        .got("dtype " + std::to_string(dtype));
  }
  int64_t coordinates = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    type.axes.push_back({.name = "dim_" + std::to_string(i), .size = shape[i]});
    coordinates += shape[i];
  }
  if (attributes.empty()) return type;
  if (coordinates > kMaxCoordinates && attributes.find("\"coordinates\"") != std::string_view::npos) {
    return Status(StatusCode::kOutOfRange, "a field has too many coordinates")
        .expected("at most " + std::to_string(kMaxCoordinates))
        .got(std::to_string(coordinates));
  }
  const Json json = Json::parse(attributes, nullptr, false);
  if (!json.is_object()) return corrupt("it is no JSON object");
  type.name = text_at(json, "name");
  type.long_name = text_at(json, "long_name");
  type.units = text_at(json, "units");
  Status status = parse_axes(json, &type);
  if (status.ok()) status = parse_scalars(json, &type);
  if (!status.ok()) return status;
  return type;
}

Result<Field> field_of(const sdk::Value& value) {
  if (value.type() != kFieldPortType && value.type() != "tensor") {
    return Status(StatusCode::kInvalidArgument, "this is no field")
        .expected(std::string(kFieldPortType) + " or tensor")
        .got(std::string(value.type()));
  }
  const weft_tensor tensor = value.as_tensor();
  if (tensor.device.kind != WEFT_DEVICE_CPU || !sdk::is_contiguous(tensor)) {
    return Status(StatusCode::kUnsupported, "a field lies on the CPU, without gaps between its rows");
  }
  const std::span<const int64_t> shape(tensor.shape, static_cast<size_t>(tensor.rank));
  const bool described = value.type() == kFieldPortType;
  Result<FieldType> type =
      parse_field_type(tensor.dtype, shape, described ? value.attributes() : std::string_view());
  if (!type.ok()) return type.status();
  return Field{value, *std::move(type), tensor.data};
}

std::optional<int64_t> first_not_finite(weft_dtype dtype, const void* data, int64_t count) {
  const auto find = [count](const auto* values) -> std::optional<int64_t> {
    for (int64_t i = 0; i < count; ++i) {
      if (!std::isfinite(values[i])) return i;
    }
    return std::nullopt;
  };
  return dtype == WEFT_DTYPE_F64 ? find(static_cast<const double*>(data))
                                 : find(static_cast<const float*>(data));
}

std::string element_name(const FieldType& type, int64_t index) {
  std::string text = "]";
  for (size_t i = type.axes.size(); i-- > 0;) {
    const Axis& axis = type.axes[i];
    const int64_t position = index % axis.size;
    index /= axis.size;
    std::string part = axis.name + " " + std::to_string(position);
    if (!axis.coordinates.empty()) {
      part +=
          " (" + number_text(axis.coordinate(position)) + (axis.units.empty() ? "" : " ") + axis.units + ")";
    }
    text.insert(0, (i == 0 ? "" : ", ") + part);
  }
  return "[" + text;
}

}  // namespace weft
