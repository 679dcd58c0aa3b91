/// An input of a pipeline by the name that a command line, an item or a program gives a value for.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_GRAPH_FIND_INPUT_H
#define WEFT_PIPELINE_GRAPH_FIND_INPUT_H

#include <weft/sdk/status.h>

#include <string_view>

#include "pipeline/graph/graph.h"

namespace weft {

/// The graph's own; null if it has none of that name.
const PipelineInput* find_input(const Graph& graph, std::string_view name);

/// kInvalidArgument for a name that find_input does not find: with those that there are, and the nearest. location: where it
/// was given, as for Status::at; may be empty.
Error unknown_input(const Graph& graph, std::string_view name, std::string_view location);

}  // namespace weft
#endif
