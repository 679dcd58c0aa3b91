/// A validated pipeline: every name resolved, every link typed, in topological order. Plain data; positions are kept so
/// that later stages can still point into the file.
///
/// Made by parse_pipeline (parse.h), read by plan/ and run/. It names node types of the Catalog that it was checked
/// against, which must outlive it. Subgraphs stay nested: a node with `subgraph` runs that graph as one node.
#ifndef WEFT_PIPELINE_GRAPH_GRAPH_H
#define WEFT_PIPELINE_GRAPH_GRAPH_H

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/loader/catalog.h"

namespace weft {

/// A place in a pipeline file; line and column count from 1, column in UTF-8 bytes.
struct SourcePosition {
  uint32_t line = 0, column = 0;
};

/// Where a value comes from: an input of the pipeline (node < 0), or an output port of a node.
struct Source {
  int32_t node = -1;
  uint32_t port = 0;  // index of the output port, or of the pipeline input
  friend bool operator==(const Source&, const Source&) = default;
};

/// A string with ${...}: literal text and references alternate; parts are concatenated.
struct TemplateText {
  using Part = std::variant<std::string, Source>;
  std::vector<Part> parts;
};

/// A value written in the file: JSON text without templates, or a string with them.
using Literal = std::variant<std::string /* JSON text */, TemplateText>;

struct InputBinding {  // one per input port of the node, in port order
  std::string name;
  std::string type;                    // the port's type
  bool optional = false;
  std::optional<Source> source;        // linked with "in"
  std::optional<Literal> literal;      // given in "with": a constant or template for a port
  SourcePosition position;
};

struct ParameterBinding {  // one per declared parameter that has a value, defaults included
  std::string name;
  Literal value;                       // for "model" parameters: the JSON string with the model's name
  SourcePosition position;
};

struct Condition {
  Source source;
  std::optional<std::string> equals_json;  // absent: the port is a bool and must be true
};

struct Graph;

struct Node {
  std::string name;
  std::string uses;
  Catalog::NodeEntry type;             // null for a subgraph
  std::shared_ptr<const Graph> subgraph;
  std::vector<InputBinding> inputs;
  std::vector<std::string> output_names;
  std::vector<std::string> output_types;
  std::vector<ParameterBinding> parameters;
  std::optional<Condition> when;
  std::optional<Source> for_each;      // the list; the node's input of element type takes its place
  uint32_t for_each_input = 0;         // which input receives the element
  uint32_t retry = 0;                  // further attempts after the first
  double timeout_s = 0;                // 0: none
  std::vector<uint32_t> depends_on;    // nodes that must finish first, ascending
  SourcePosition position;
};

struct PipelineInput {
  std::string name;
  std::string type;
  std::optional<std::string> default_json;
  std::string help;
  SourcePosition position;
};

struct ModelEntry {
  std::string name;
  std::string path;
  std::string sha256;                  // "" if the file does not pin it
  std::string type;                    // model type, from the parameters that name it; "" if none does
  std::map<std::string, std::string> options_json;  // further members, checked against the model type's parameters
  SourcePosition position;
};

struct PipelineOutput {
  std::string name;
  Source source;
  std::string type;
};

struct Graph {
  std::string name;
  std::string file;                    // path as the user gave it
  std::string folder;                  // relative paths of the pipeline start here
  std::vector<PipelineInput> inputs;
  std::vector<ModelEntry> models;
  std::vector<Node> nodes;             // topological order, ties in file order
  std::vector<PipelineOutput> outputs;
};

}  // namespace weft
#endif
