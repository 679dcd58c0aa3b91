/// From what a pipeline file writes to a value: fills in references, converts to the type that is wanted.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_GRAPH_LITERAL_H
#define WEFT_PIPELINE_GRAPH_LITERAL_H

#include <weft/sdk/status.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/graph/graph.h"

namespace weft {

/// The text that a reference inserts: text, path and json as they are, numbers and bools as JSON.
using ReferenceText = std::function<Result<std::string>(const Source& source)>;
/// True for sources whose value exists already.
using IsKnown = std::function<bool(const Source& source)>;

/// JSON text of the literal's value for a port or parameter of type `type`: a constant as it is, kText as a JSON string,
/// kJson with the references filled in, kValue as JSON of the type.
/// Errors: those of `reference`; kInvalidArgument if the text of a kValue template is not of the type.
Result<std::string> render(const Literal& literal, std::string_view type, const ReferenceText& reference);

/// Every node and input that the literal refers to, in order, with repetitions.
std::vector<Source> references(const Literal& literal);
/// True if all references are.
bool is_known(const Literal& literal, const IsKnown& known);

/// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace weft
#endif
