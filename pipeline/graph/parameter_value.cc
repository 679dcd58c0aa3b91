#include "pipeline/graph/parameter_value.h"

#include <weft/sdk/device.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include "pipeline/graph/diagnostic.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

constexpr JsonLimits kLimits{kMaxPipelineBytes, kMaxPipelineDepth, kMaxPipelineBytes, kMaxPipelineValues};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr size_t kShownBytes = 60;

std::optional<double> to_double(std::string_view number) {
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

// 7, and 7.0 and 7e0 too.
std::optional<int64_t> to_integer(std::string_view number) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error == std::errc() && end == number.data() + number.size()) return value;
  const std::optional<double> real = to_double(number);
  constexpr double kBound = 9007199254740992.0;  // 2^53: every integer up to it is a double
  if (!real || *real != std::floor(*real) || std::abs(*real) > kBound) return std::nullopt;
  return static_cast<int64_t>(*real);
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", value);
  return text;
}

std::string range(const ParameterDescriptor& parameter) {
  const bool low = parameter.minimum > -kInfinity, high = parameter.maximum < kInfinity;
  if (low && high) return " from " + number_text(parameter.minimum) + " to " + number_text(parameter.maximum);
  if (low) return " of at least " + number_text(parameter.minimum);
  if (high) return " of at most " + number_text(parameter.maximum);
  return {};
}

std::string shown(const JsonTree& tree, JsonId id) {
  std::string text = tree.compact(id);
  if (text.size() <= kShownBytes) return text;
  size_t size = kShownBytes;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size) + "...";
}

bool in_range(double value, const ParameterDescriptor& parameter) {
  return value >= parameter.minimum && value <= parameter.maximum;
}

// The value if it fits `type`, an element of a list being checked on its own.
std::optional<ParameterValue> convert(const JsonTree& tree, JsonId id, std::string_view type,
                                      const ParameterDescriptor& parameter) {
  const JsonNode& node = tree[id];
  if (type == "bool") {
    if (node.kind != JsonKind::kBool) return std::nullopt;
    return node.text == "true";
  }
  if (type == "int" || type == "seed") {
    if (node.kind != JsonKind::kNumber) return std::nullopt;
    const std::optional<int64_t> value = to_integer(node.text);
    if (!value || !in_range(static_cast<double>(*value), parameter)) return std::nullopt;
    if (type == "seed" && *value < 0) return std::nullopt;
    return *value;
  }
  if (type == "float") {
    if (node.kind != JsonKind::kNumber) return std::nullopt;
    const std::optional<double> value = to_double(node.text);
    if (!value || !in_range(*value, parameter)) return std::nullopt;
    return *value;
  }
  if (type == "json") return tree.compact(id);
  if (const std::string_view element = list_element_type(type); !element.empty()) {
    if (node.kind != JsonKind::kArray) return std::nullopt;
    for (JsonId child : tree.children(id)) {
      if (!convert(tree, child, element, parameter)) return std::nullopt;
    }
    return tree.compact(id);
  }
  if (node.kind != JsonKind::kString) return std::nullopt;
  if (type == "choice") {
    for (const std::string& choice : parameter.choices) {
      if (choice == node.text) return std::string(node.text);
    }
    return std::nullopt;
  }
  if (type == "device") {
    const std::optional<weft_device> device = sdk::device_named(node.text);
    if (!device) return std::nullopt;
    return sdk::device_name(*device);
  }
  return std::string(node.text);
}

std::string expected_type(std::string_view type, const ParameterDescriptor& parameter) {
  if (type == "bool") return "true or false";
  if (type == "int") return "an integer" + range(parameter);
  if (type == "seed") return "an integer from 0 to 9223372036854775807";
  if (type == "float") return "a number" + range(parameter);
  if (type == "json") return "a JSON value";
  if (type == "path") return "a path, as a text";
  if (type == "model") return "the name of an entry of \"models\"";
  if (type == "device") return std::string("the name of a device: ") + sdk::kDeviceNames;
  if (type == "choice") {
    std::string text;
    for (const std::string& choice : parameter.choices)
      text += (text.empty() ? "one of '" : ", '") + choice + "'";
    return text;
  }
  const std::string_view element = list_element_type(type);
  if (element == "int") return "a list of integers" + range(parameter);
  if (element == "float") return "a list of numbers" + range(parameter);
  if (element == "bool") return "a list of true and false";
  if (element == "json") return "a list";
  if (!element.empty()) return "a list of texts";
  return "a text";
}

}  // namespace

bool has_literals(std::string_view type) {
  const std::string_view element = list_element_type(type);
  if (!element.empty()) type = element;
  return type == "bool" || type == "int" || type == "float" || type == "text" || type == "path" ||
         type == "json";
}

std::string expected_value(const ParameterDescriptor& parameter) {
  std::string text = expected_type(parameter.type, parameter);
  if (!parameter.unit.empty()) text += " (" + parameter.unit + ")";
  return text;
}

Result<ParameterValue> parse_parameter(std::string_view json, const ParameterDescriptor& parameter) {
  const auto parsed = JsonTree::parse(json, kLimits);
  Error error{
      StatusCode::kInvalidArgument, "a value that does not fit", {}, expected_value(parameter), {}, {}};
  if (const auto* broken = std::get_if<JsonError>(&parsed)) {
    error.got = "'" + std::string(json.substr(0, kShownBytes)) + "', which is not JSON: " + broken->message;
    return error;
  }
  const auto& tree = std::get<JsonTree>(parsed);
  if (!tree.duplicates().empty()) {
    error.message = "a key that stands twice in one object";
    error.got = "'" + std::string(tree[tree.duplicates()[0]].key) + "' twice";
    return error;
  }
  if (std::optional<ParameterValue> value = convert(tree, 0, parameter.type, parameter))
    return *std::move(value);
  error.got = shown(tree, 0);
  if (parameter.type == "choice" && tree.kind(0) == JsonKind::kString) {
    const std::string nearest = nearest_name(tree[0].text, parameter.choices);
    if (!nearest.empty()) error.hint = "did you mean '" + nearest + "'?";
  }
  return error;
}

Result<ParameterValue> parse_value(std::string_view json, std::string_view type) {
  ParameterDescriptor parameter;
  parameter.type = type;
  parameter.minimum = -kInfinity;
  parameter.maximum = kInfinity;
  return parse_parameter(json, parameter);
}

}  // namespace weft
