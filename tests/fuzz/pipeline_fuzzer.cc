// Feeds arbitrary bytes to the pipeline parser. Besides not crashing, it must give either a graph or an error, and a graph
// must be in topological order with every reference inside it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pipeline/graph/literal.h"
#include "pipeline/graph/parse.h"
#include "pipeline/graph/picture.h"
#include "pipeline/graph/testing/example_catalog.h"

namespace weft {
namespace {

void require(bool fact) {
  if (!fact) std::abort();
}

void check_source(const Graph& graph, size_t reader, const Source& source) {
  if (source.node < 0) {
    require(source.port < graph.inputs.size());
    return;
  }
  require(static_cast<size_t>(source.node) < reader);
  require(source.port < graph.nodes[source.node].output_names.size());
}

void check_literal(const Graph& graph, size_t reader, const Literal& literal) {
  for (const Source& source : references(literal)) check_source(graph, reader, source);
}

void check(const Graph& graph) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    require((node.type.node != nullptr) != (node.subgraph != nullptr));
    for (const InputBinding& input : node.inputs) {
      require(!(input.source && input.literal));
      require(input.source || input.literal || input.optional);
      if (input.source) check_source(graph, i, *input.source);
      if (input.literal) check_literal(graph, i, *input.literal);
    }
    for (const ParameterBinding& parameter : node.parameters) check_literal(graph, i, parameter.value);
    for (const ModelUse& use : node.models) require(use.model < graph.models.size());
    if (node.when) check_source(graph, i, node.when->source);
    if (node.for_each) check_source(graph, i, *node.for_each);
    for (uint32_t before : node.depends_on) require(before < i);
    if (node.subgraph) check(*node.subgraph);
  }
  for (const PipelineOutput& output : graph.outputs) check_source(graph, graph.nodes.size(), output.source);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft;
  static const Catalog catalog = example_catalog();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const PipelineReader read = [&](const std::string& path) -> Result<std::string> {
    if (path.size() % 2 == 0) return Status(StatusCode::kNotFound, "no such file");
    return std::string(text);  // the same file under another name: deep nesting of subgraphs
  };
  const ParsedPipeline parsed = parse_pipeline(text, "fuzz.json", catalog, read);
  require((parsed.graph != nullptr) != has_errors(parsed.diagnostics));
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    require(!to_text(diagnostic, Excerpt::kShow).empty());
    require(!to_json(diagnostic).empty());
  }
  if (parsed.graph) {
    check(*parsed.graph);
    require(!picture_svg(*parsed.graph).empty());
    require(!picture_dot(*parsed.graph).empty());
    require(!picture_mermaid(*parsed.graph).empty());
  }
  return 0;
}
