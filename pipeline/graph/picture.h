/// A pipeline as a picture: DOT and Mermaid text for other programs, SVG laid out here, without any of them.
///
/// All three show inputs, nodes with their ports, links (dashed: a condition) and outputs; a subgraph is one node. Text
/// from the file is escaped for the format. The SVG follows the light or dark mode of whoever shows it.
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_GRAPH_PICTURE_H
#define WEFT_PIPELINE_GRAPH_PICTURE_H

#include <string>

#include "pipeline/graph/graph.h"

namespace weft {

/// For `dot -Tsvg` of Graphviz.
std::string picture_dot(const Graph& graph);
/// A flowchart for Markdown pages.
std::string picture_mermaid(const Graph& graph);
/// A complete SVG document.
std::string picture_svg(const Graph& graph);

}  // namespace weft
#endif
