/// A validated pipeline: every name resolved, every link typed, in topological order. Plain data; positions are kept so
/// that later stages can still point into the file.
///
/// Made by parse_pipeline (parse.h), read by plan/ and run/. It names node types of the Catalog that it was checked
/// against, which must outlive it. Subgraphs stay nested: a node with `subgraph` runs that graph as one node.
///
/// How a file becomes this data:
///  - "in" links an input port: "node.port", or "inputs.x" for an input of the pipeline. Every other input port may be
///    given in "with": a constant, or text with references, if its type is text, json, path, bool, int, float or a list of
///    those. A port has a link or a literal, not both; without either it must be optional.
///  - "with" also holds the parameters. References to "inputs" are known before the run and stand everywhere;
///    references to nodes only in literals of ports and in parameters that are declared per request.
///  - A node with for_each runs once per element of that list. Wherever the node refers to the list, in an input's source
///    or inside its literals and parameters, it means the element; its outputs become lists in the same order.
#ifndef WEFT_PIPELINE_GRAPH_GRAPH_H
#define WEFT_PIPELINE_GRAPH_GRAPH_H

#include <cstdint>
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

/// A value with ${...} in it: fixed pieces and references, concatenated. See render() in literal.h.
struct TemplateText {
  enum class Form {
    kText,  // the pieces make the text itself
    kJson,  // the pieces make JSON; what a reference inserts lies inside a JSON string and is escaped
    kValue  // one reference and nothing else: its text is converted to the type that is wanted
  };
  using Part = std::variant<std::string, Source>;
  Form form = Form::kText;
  std::vector<Part> parts;
};

/// A value written in the file: compact JSON text without references, or a template.
using Literal = std::variant<std::string, TemplateText>;

/// Of outputs that a node with WEFT_NODE_EXTRA_OUTPUTS makes beside the declared ones.
inline constexpr const char* kExtraOutputType = "tensor";

struct InputBinding {  // one per input port of the node, in port order; then extra ones in file order
  std::string name;
  std::string type;  // the port's type
  bool optional = false;
  std::optional<Source> source;    // linked with "in"
  std::optional<Literal> literal;  // given in "with", or the default of a subgraph's input
  SourcePosition position;         // of what was given; else of the node
};

struct
    ParameterBinding {  // one per declared parameter that has a value, defaults included, in declared order
  std::string name;
  Literal value;  // for "model" parameters: the JSON string with the model's name
  SourcePosition position;
};

/// A parameter of type "model" and the entry of Graph::models that it names.
struct ModelUse {
  std::string parameter;
  uint32_t model = 0;
};

struct Condition {
  Source source;
  std::optional<std::string>
      equals_json;  // compact JSON of a scalar; absent: the port is a bool and must be true
};

struct Graph;

struct Node {
  std::string name;
  std::string uses;
  std::string help;
  Catalog::NodeEntry type;  // null for a subgraph
  std::shared_ptr<const Graph> subgraph;
  std::vector<InputBinding> inputs;
  std::vector<std::string> output_names;  // the declared ones; then extra ones in the order of references
  /// After for_each: "list<text>" for a port of type text. Empty: the port is itself a list (or "any"), and lists of
  /// lists do not exist: nothing is linked to it and its value is dropped.
  std::vector<std::string> output_types;
  std::vector<ParameterBinding>
      parameters;  // a seed that is not given is absent: the run draws and records it
  std::vector<ModelUse> models;
  std::optional<Condition> when;
  std::optional<Source> for_each;
  std::string device;                // of its models, or of a subgraph; "" if the file does not say
  uint32_t retry = 0;                // further attempts after the first
  double timeout_s = 0;              // 0: none
  std::vector<uint32_t> depends_on;  // nodes that must finish first, ascending
  SourcePosition position;
};

struct PipelineInput {
  std::string name;
  std::string type;
  std::optional<std::string> default_json;  // compact JSON; absent: the user must give a value
  std::string help;
  bool needed_before_run = false;  // a parameter or model that must be known before the run refers to it
  SourcePosition position;
};

struct ModelEntry {
  std::string name;
  Literal path;                           // may refer to inputs
  std::string sha256;                     // lower case; "" if the file does not pin it
  std::string type;                       // model type, from the parameters that name it; "" if none does
  Catalog::ModelEntry offered;            // the type and its plugin; null if the type is ""
  std::vector<ParameterBinding> options;  // parameters of the model type, defaults included
  SourcePosition position;
};

struct PipelineOutput {
  std::string name;
  Source source;
  std::string type;
};

struct Graph {
  std::string name;
  std::string help;
  std::string file;    // path as the user gave it
  std::string folder;  // relative paths of the pipeline start here
  std::string device;  // of models that do not say; "" if the file does not
  std::vector<PipelineInput> inputs;
  std::vector<ModelEntry> models;
  std::vector<Node> nodes;  // topological order, ties in file order
  std::vector<PipelineOutput> outputs;
};

}  // namespace weft
#endif
