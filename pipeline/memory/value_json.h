/// Values from and to JSON: pipeline inputs, literals in a file, final outputs.
///
/// text, path: a string. int, float, bool: themselves. json: any JSON, kept as text. list<T>: an array.
/// bytes: {"base64": "...", "media_type": "..."}. Tensors: {"dtype": "f32", "shape": [2, 3], "data": [1, 2,
/// ...]}, row-major.
#ifndef WEFT_PIPELINE_MEMORY_VALUE_JSON_H
#define WEFT_PIPELINE_MEMORY_VALUE_JSON_H

#include <cstdint>
#include <string>
#include <string_view>

#include "pipeline/memory/pool.h"
#include "pipeline/memory/value.h"

namespace weft {

/// The value of port type `type` that `json` writes. pool: for tensors. Errors: kInvalidArgument, with what
/// was expected.
Result<Value> value_from_json(std::string_view json, std::string_view type, Pool& pool);

/// A value for a port of type `type` from plain text, as `--set name=value` gives it: the text itself for
/// text and path, "any" and bytes; JSON for everything else. Errors: kInvalidArgument.
Result<Value> value_from_argument(std::string_view argument, std::string_view type, Pool& pool);

/// JSON text of a value. A tensor of more than max_elements is summarised: "data" is left out and "sha256"
/// given. Floats are written so that they read back exactly; NaN and infinities become null.
std::string value_to_json(const Value& value, uint64_t max_elements);

/// What ${node.port} inserts: text, json and path as they are, scalars and lists as JSON.
/// Errors: kInvalidArgument for tensors and bytes.
Result<std::string> value_to_template_text(const Value& value);

}  // namespace weft
#endif
