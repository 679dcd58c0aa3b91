/// One checked value of a parameter: JSON text against the parameter's descriptor.
///
/// The same check serves constants when a file is read and templates when they have become known.
/// Thread safety: values.
#ifndef WEFT_PIPELINE_GRAPH_PARAMETER_VALUE_H
#define WEFT_PIPELINE_GRAPH_PARAMETER_VALUE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "pipeline/loader/catalog.h"

namespace weft {

/// bool: bool. int, seed: int64_t. float: double. text, path, choice, model: the text. device: its full name. json, lists: compact JSON text.
using ParameterValue = std::variant<bool, int64_t, double, std::string>;

/// Type, range and choice. An int is accepted for a float, and 3.0 for an int. A seed is an integer from 0 to 2^63 - 1.
/// Bounds hold for each element of a list.
/// Errors: kInvalidArgument with `expected`, `got`, and a near choice in `hint`.
Result<ParameterValue> parse_parameter(std::string_view json, const ParameterDescriptor& parameter);

/// The same for a type without bounds: a port's or a parameter's.
Result<ParameterValue> parse_value(std::string_view json, std::string_view type);

/// Types whose values can be written in a file: bool, int, float, text, path, json and lists of them.
bool has_literals(std::string_view type);

/// "an integer from 1 to 100 (tokens)", "one of 'error', 'left', 'middle'": for messages and for help.
std::string expected_value(const ParameterDescriptor& parameter);

}  // namespace weft
#endif
