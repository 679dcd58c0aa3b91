/// A graph as text, one fact a line, for behaviour tests that compare whole graphs.
#ifndef WEFT_PIPELINE_GRAPH_TESTING_DESCRIBE_GRAPH_H
#define WEFT_PIPELINE_GRAPH_TESTING_DESCRIBE_GRAPH_H

#include <string>

#include "pipeline/graph/graph.h"

namespace weft {

std::string describe_graph(const Graph& graph);

}  // namespace weft
#endif
