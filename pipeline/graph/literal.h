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

/// JSON text of the literal's value for a port or parameter of type `type`. For text, path, choice and bytes a template
/// makes a JSON string; for the others its text must be JSON of that type, and for json a reference to a text makes a
/// string. Errors: those of `reference`; kInvalidArgument if the text is not of the type.
Result<std::string> render(const Literal& literal, std::string_view type, const ReferenceText& reference);

/// Every node and input that the literal refers to, in order, with repetitions.
std::vector<Source> references(const Literal& literal);
/// True if it refers to no node, so that it can be rendered before the run.
bool known_before_run(const Literal& literal);

/// `text` as a JSON string with its quotes; invalid UTF-8 is replaced.
std::string json_string(std::string_view text);

}  // namespace weft
#endif
