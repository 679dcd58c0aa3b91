#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "plugins/field/field_nodes.h"

namespace weft::field {
namespace {

using Json = nlohmann::ordered_json;

// ---- field.select ----------------------------------------------------------------------------------------------------

constexpr weft_port kSelectInputs[] = {sdk::port("field", "field.array", "The whole.")};
constexpr weft_port kSelectOutputs[] = {sdk::port("field", "field.array", "The part.")};
constexpr weft_parameter kSelectParameters[] = {
    sdk::parameter(
        {.name = "values",
         .type = "json",
         .default_json = "{}",
         .help =
             "By coordinate: {\"level\": 500, \"latitude\": [30, 60]}. A number is the nearest one and takes "
             "the dimension away; two are a range, both ends in it, longitudes also across the seam. Names, "
             "or latitude, longitude, level, time.",
         .flags = WEFT_PARAMETER_PER_REQUEST}),
    sdk::parameter({.name = "positions",
                    .type = "json",
                    .default_json = "{}",
                    .help = "The same by position, from 0; -1 is the last one.",
                    .flags = WEFT_PARAMETER_PER_REQUEST})};

Result<std::vector<AxisRange>> ranges_of(const sdk::Parameters& parameters) {
  Result<std::vector<AxisRange>> values = parse_ranges(parameters.get_text("values"), RangeUnit::kCoordinate);
  if (!values.ok()) return values.status().at("parameter 'values'");
  Result<std::vector<AxisRange>> positions =
      parse_ranges(parameters.get_text("positions"), RangeUnit::kPosition);
  if (!positions.ok()) return positions.status().at("parameter 'positions'");
  values->insert(values->end(), positions->begin(), positions->end());
  return values;
}

Status set_field(sdk::Request& request, const sdk::NewTensor& tensor, const FieldType& type) {
  const std::string attributes = field_attributes(type);
  return request.set_output(
      0, request.host().make_tensor(tensor.buffer, tensor.view, kFieldPortType, attributes.c_str()));
}

// ---- field.describe --------------------------------------------------------------------------------------------------

constexpr weft_port kDescribeInputs[] = {
    sdk::optional_port("tensor", "tensor", "Numbers of any type that f64 holds."),
    sdk::optional_port("values", "list<float>", "Or a list of numbers."),
    sdk::optional_port("field", "field.array", "Or a field, to be described anew.")};
constexpr weft_port kDescribeOutputs[] = {sdk::port("field", "field.array", "The same numbers, described.")};
constexpr uint32_t kOptional = WEFT_PARAMETER_OPTIONAL;
constexpr weft_parameter kDescribeParameters[] = {
    sdk::parameter({.name = "name", .type = "text", .help = "What it is called.", .flags = kOptional}),
    sdk::parameter(
        {.name = "long_name", .type = "text", .help = "What it is, in words.", .flags = kOptional}),
    sdk::parameter({.name = "units", .type = "text", .help = "\"K\", \"m s-1\" ...", .flags = kOptional}),
    sdk::parameter(
        {.name = "axes",
         .type = "json",
         .default_json = "[]",
         .help =
             "Of all dimensions, outermost first: [{\"name\": \"latitude\", \"units\": \"degrees_north\", "
             "\"first\": 90, \"step\": -1}, {\"name\": \"residue\"}]; instead of first and step also "
             "\"coordinates\": [ ... ]."})};

Status parse_axis(const Json& json, Axis* axis, double* step) {
  const Status wrong = Status(StatusCode::kInvalidArgument, "this describes no axis")
                           .at("parameter 'axes'")
                           .expected(
                               "an object such as {\"name\": \"latitude\", \"units\": \"degrees_north\", "
                               "\"first\": 90, \"step\": -1}")
                           .got(json.dump().substr(0, 100));
  if (!json.is_object()) return wrong;
  for (const auto& [key, value] : json.items()) {
    const bool text = value.is_string(), number = value.is_number();
    if (key == "name" && text) axis->name = value.get<std::string>();
    else if (key == "units" && text) axis->units = value.get<std::string>();
    else if ((key == "first" || key == "step") && number) continue;
    else if (key == "coordinates" && value.is_array()) {
      for (const Json& coordinate : value) {
        if (!coordinate.is_number()) return wrong;
        axis->coordinates.push_back(coordinate.get<double>());
      }
    } else {
      return wrong;
    }
  }
  const bool regular = json.contains("first") || json.contains("step");
  if (axis->name.empty() || (regular && json.contains("coordinates"))) return wrong;
  axis->size = static_cast<int64_t>(axis->coordinates.size());
  if (regular) {
    axis->coordinates = {json.value("first", 0.0)};
    *step = json.value("step", 1.0);
  }
  axis->kind = axis_kind({.name = axis->name, .units = axis->units});
  return {};
}

template <typename From, typename To>
void copy_values(const weft_tensor& from, To* to) {
  const auto* values = static_cast<const From*>(from.data);
  for (int64_t i = 0; i < sdk::element_count(from); ++i) to[i] = static_cast<To>(values[i]);
}

// As f32 or f64. Errors: kUnsupported.
Status widen(const weft_tensor& from, weft_dtype dtype, void* to) {
  if (from.dtype == dtype) {
    std::memcpy(to, from.data,
                static_cast<size_t>(sdk::element_count(from) * sdk::element_size_bytes(dtype)));
    return {};
  }
  switch (from.dtype) {
    case WEFT_DTYPE_BOOL:
    case WEFT_DTYPE_U8: copy_values<uint8_t>(from, static_cast<float*>(to)); return {};
    case WEFT_DTYPE_I8: copy_values<int8_t>(from, static_cast<float*>(to)); return {};
    case WEFT_DTYPE_I16: copy_values<int16_t>(from, static_cast<float*>(to)); return {};
    case WEFT_DTYPE_I32: copy_values<int32_t>(from, static_cast<double*>(to)); return {};
    default: break;
  }
  return Status(StatusCode::kUnsupported, "a field is not made of tensors of this type")
      .expected("bool, u8, i8, i16, i32, f32 or f64")
      .got("dtype " + std::to_string(from.dtype));
}

weft_dtype widened(weft_dtype dtype) {
  return dtype == WEFT_DTYPE_F64 || dtype == WEFT_DTYPE_I32 ? WEFT_DTYPE_F64 : WEFT_DTYPE_F32;
}

// ---- field.statistics ------------------------------------------------------------------------------------------------

constexpr weft_port kStatisticsInputs[] = {sdk::port("field", "field.array", "What to look at.")};
constexpr weft_port kStatisticsOutputs[] = {
    sdk::port("statistics", "json", "minimum, maximum, mean, count, missing; where the extremes are."),
    sdk::port("text", "text", "The same as a sentence, for a language model or a report.")};

struct Statistics {
  int64_t count = 0, missing = 0, at_minimum = -1, at_maximum = -1;
  double minimum = 0, maximum = 0, mean = 0;
};

Statistics statistics_of(const Field& field) {
  Statistics result;
  for (int64_t i = 0; i < field.type.elements(); ++i) {
    const double value = field.at(i);
    if (!std::isfinite(value)) {
      ++result.missing;
      continue;
    }
    if (result.count == 0 || value < result.minimum) result.minimum = value, result.at_minimum = i;
    if (result.count == 0 || value > result.maximum) result.maximum = value, result.at_maximum = i;
    ++result.count;
    result.mean += (value - result.mean) / static_cast<double>(result.count);
  }
  return result;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

std::string sentence(const Field& field, const Statistics& statistics) {
  const FieldType& type = field.type;
  std::string text = type.long_name.empty() ? type.name.empty() ? "The field" : type.name : type.long_name;
  const std::string units = type.units.empty() ? "" : " " + type.units;
  if (statistics.count == 0) return text + " has no value that is not missing.";
  text += ": from " + short_number(statistics.minimum) + units + " at " +
          element_name(type, statistics.at_minimum) + " to " + short_number(statistics.maximum) + units +
          " at " + element_name(type, statistics.at_maximum) + ", mean " + short_number(statistics.mean) +
          units + " over " + std::to_string(statistics.count) + " values";
  if (statistics.missing > 0) text += "; " + std::to_string(statistics.missing) + " are missing";
  return text + ".";
}

}  // namespace

Status SelectNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::spec(WEFT_KIND_TENSOR));  // which dimensions stay is known when the request is
  return {};
}

Status SelectNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const Result<Field> field = field_of(request.input(0));
  if (!field.ok()) return field.status().at("port 'field'");
  const Result<std::vector<AxisRange>> ranges = ranges_of(request.parameters());
  if (!ranges.ok()) return ranges.status();
  const Result<Selection> part = select(field->type, *ranges);
  if (!part.ok()) return part.status().at("port 'field'");
  const Result<sdk::NewTensor> tensor =
      request.host().allocate_tensor(part->type.dtype, part->type.shape(), execution.stream(), "field");
  if (!tensor.ok()) return tensor.status();
  gather(field->data, field->type, *part, tensor->view.data);
  return set_field(request, *tensor, part->type);
}

Result<std::unique_ptr<DescribeNode>> DescribeNode::create(const sdk::NodeConfig& config) {
  auto node = std::make_unique<DescribeNode>();
  const sdk::Parameters parameters = config.parameters();
  const auto given = [&](const char* name) -> std::optional<std::string> {
    if (!parameters.is_set(name)) return std::nullopt;
    return std::string(parameters.get_text(name));
  };
  node->name_ = given("name");
  node->long_name_ = given("long_name");
  node->units_ = given("units");
  const Json axes = Json::parse(parameters.get_text("axes"), nullptr, false);
  if (!axes.is_array()) {
    return Status(StatusCode::kInvalidArgument, "\"axes\" is no array").at("parameter 'axes'");
  }
  for (const Json& json : axes) {
    Axis axis;
    double step = 0;
    if (Status status = parse_axis(json, &axis, &step); !status.ok()) return status;
    node->axes_.push_back(std::move(axis));
    node->steps_.push_back(step);
  }
  return node;
}

Status DescribeNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::spec(WEFT_KIND_TENSOR));
  return {};
}

Status DescribeNode::run(sdk::Request& request, const sdk::Execution& execution) {
  const sdk::Value tensor = request.input(0), list = request.input(1), described = request.input(2);
  if ((tensor ? 1 : 0) + (list ? 1 : 0) + (described ? 1 : 0) != 1) {
    return Status(StatusCode::kInvalidArgument, "one of \"tensor\", \"values\" and \"field\" is described")
        .hint("connect exactly one of them");
  }
  std::vector<double> numbers;
  for (size_t i = 0; list && i < list.size(); ++i) numbers.push_back(list.item(i).as_float());
  const int64_t length[] = {static_cast<int64_t>(numbers.size())};
  const weft_tensor from = list     ? sdk::contiguous_tensor(numbers.data(), WEFT_DTYPE_F64, length)
                           : tensor ? tensor.as_tensor()
                                    : described.as_tensor();
  if (from.device.kind != WEFT_DEVICE_CPU || !sdk::is_contiguous(from) || sdk::element_count(from) == 0) {
    return Status(StatusCode::kUnsupported,
                  "a field is made of numbers that lie on the CPU without gaps, at least one");
  }
  const std::span<const int64_t> shape(from.shape, static_cast<size_t>(from.rank));
  const weft_dtype dtype = widened(from.dtype);
  Result<FieldType> type =
      parse_field_type(dtype, shape, described ? described.attributes() : std::string_view());
  if (type.ok()) {
    if (Status status = describe(&*type); !status.ok()) return status;
  } else {
    return type.status();
  }
  const Result<sdk::NewTensor> made =
      request.host().allocate_tensor(dtype, shape, execution.stream(), "field");
  if (!made.ok()) return made.status();
  if (Status status = widen(from, dtype, made->view.data); !status.ok()) return status;
  return set_field(request, *made, *type);
}

Status DescribeNode::describe(FieldType* type) const {
  if (name_) type->name = *name_;
  if (long_name_) type->long_name = *long_name_;
  if (units_) type->units = *units_;
  if (axes_.empty()) return {};
  if (axes_.size() != type->axes.size()) {
    return Status(StatusCode::kInvalidArgument, "\"axes\" describes another number of dimensions")
        .expected(std::to_string(type->axes.size()) + " for " + to_string(*type))
        .got(std::to_string(axes_.size()));
  }
  for (size_t i = 0; i < axes_.size(); ++i) {
    const int64_t size = type->axes[i].size;
    if (axes_[i].size != 0 && axes_[i].size != size) {
      return Status(StatusCode::kInvalidArgument,
                    "axis '" + axes_[i].name + "' has another number of coordinates")
          .expected(std::to_string(size))
          .got(std::to_string(axes_[i].size));
    }
    type->axes[i] = axes_[i];
    type->axes[i].size = size;
    if (axes_[i].size != 0 || axes_[i].coordinates.empty()) continue;
    const double first = axes_[i].coordinates[0];
    type->axes[i].coordinates.resize(static_cast<size_t>(size));
    for (int64_t k = 0; k < size; ++k) {
      type->axes[i].coordinates[static_cast<size_t>(k)] = first + static_cast<double>(k) * steps_[i];
    }
  }
  return {};
}

Status StatisticsNode::prepare(sdk::Specs, sdk::Plan plan) {
  plan.set_output(0, sdk::bytes_spec(16384));
  plan.set_output(1, sdk::bytes_spec(16384));
  return {};
}

Status StatisticsNode::run(sdk::Request& request, const sdk::Execution&) {
  const Result<Field> field = field_of(request.input(0));
  if (!field.ok()) return field.status().at("port 'field'");
  const Statistics statistics = statistics_of(*field);
  Json json = {{"count", statistics.count}, {"missing", statistics.missing}};
  if (statistics.count > 0) {
    json["minimum"] = statistics.minimum;
    json["at_minimum"] = element_name(field->type, statistics.at_minimum);
    json["maximum"] = statistics.maximum;
    json["at_maximum"] = element_name(field->type, statistics.at_maximum);
    json["mean"] = statistics.mean;
  }
  const Json::error_handler_t replace = Json::error_handler_t::replace;
  Status status = request.set_output(0, request.host().make_json(json.dump(-1, ' ', false, replace)));
  return status.ok() ? request.set_output(1, request.host().make_text(sentence(*field, statistics))) : status;
}

constexpr weft_node_type kSelectNode =
    sdk::node<SelectNode>({.name = "field.select",
                           .help = "A part of a field, by coordinates or positions.",
                           .flags = WEFT_NODE_PURE,
                           .inputs = kSelectInputs,
                           .outputs = kSelectOutputs,
                           .parameters = kSelectParameters});
constexpr weft_node_type kDescribeNode = sdk::node<DescribeNode>(
    {.name = "field.describe",
     .help = "Makes a field of a tensor or numbers: gives names, units and coordinates.",
     .flags = WEFT_NODE_PURE,
     .inputs = kDescribeInputs,
     .outputs = kDescribeOutputs,
     .parameters = kDescribeParameters});
constexpr weft_node_type kStatisticsNode =
    sdk::node<StatisticsNode>({.name = "field.statistics",
                               .help = "Extremes, mean and missing values of a field.",
                               .flags = WEFT_NODE_PURE,
                               .inputs = kStatisticsInputs,
                               .outputs = kStatisticsOutputs});

}  // namespace weft::field
