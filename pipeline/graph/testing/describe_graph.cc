#include "pipeline/graph/testing/describe_graph.h"

namespace weft {
namespace {

std::string text_of(const Graph& graph, const Source& source) {
  if (source.node < 0) return "inputs." + graph.inputs[source.port].name;
  const Node& node = graph.nodes[source.node];
  return node.name + "." + node.output_names[source.port];
}

std::string text_of(const Graph& graph, const Literal& literal) {
  if (const auto* json = std::get_if<std::string>(&literal)) return *json;
  const auto& text = std::get<TemplateText>(literal);
  std::string result = text.form == TemplateText::Form::kText   ? "text("
                       : text.form == TemplateText::Form::kJson ? "json("
                                                                : "value(";
  for (const TemplateText::Part& part : text.parts) {
    if (const auto* piece = std::get_if<std::string>(&part)) result += "'" + *piece + "'";
    else result += "<" + text_of(graph, std::get<Source>(part)) + ">";
  }
  return result + ")";
}

void add_node(const Graph& graph, const Node& node, std::string& out) {
  out += "node " + node.name + ": " + node.uses + "\n";
  for (const InputBinding& input : node.inputs) {
    if (input.source)
      out += "  in " + input.name + ": " + input.type + " <- " + text_of(graph, *input.source) + "\n";
    if (input.literal)
      out += "  in " + input.name + ": " + input.type + " = " + text_of(graph, *input.literal) + "\n";
  }
  for (const ParameterBinding& parameter : node.parameters) {
    out += "  " + parameter.name + " = " + text_of(graph, parameter.value) + "\n";
  }
  for (const ModelUse& use : node.models)
    out += "  " + use.parameter + " -> " + graph.models[use.model].type + "\n";
  if (node.when) {
    out += "  when " + text_of(graph, node.when->source);
    out += node.when->equals_json ? " equals " + *node.when->equals_json + "\n" : "\n";
  }
  if (node.for_each) out += "  for_each " + text_of(graph, *node.for_each) + "\n";
  if (node.retry > 0) out += "  retry " + std::to_string(node.retry) + "\n";
  if (node.timeout_s > 0) out += "  timeout_s " + std::to_string(node.timeout_s) + "\n";
  for (size_t i = 0; i < node.output_names.size(); ++i) {
    out += "  out " + node.output_names[i] + ": " +
           (node.output_types[i].empty() ? "-" : node.output_types[i]) + "\n";
  }
  if (!node.depends_on.empty()) {
    out += "  after";
    for (uint32_t producer : node.depends_on) out += " " + graph.nodes[producer].name;
    out += "\n";
  }
}

}  // namespace

std::string describe_graph(const Graph& graph) {
  std::string out = "graph " + graph.name + "\n";
  for (const PipelineInput& input : graph.inputs) {
    out += "input " + input.name + ": " + input.type;
    if (input.default_json) out += " = " + *input.default_json;
    out += input.needed_before_run ? ", needed before the run\n" : "\n";
  }
  for (const ModelEntry& model : graph.models) {
    out += "model " + model.name + ": " + model.type + " at " + text_of(graph, model.path);
    if (!model.sha256.empty()) out += " sha256 " + model.sha256;
    out += "\n";
    for (const ParameterBinding& option : model.options) {
      out += "  " + option.name + " = " + text_of(graph, option.value) + "\n";
    }
  }
  for (const Node& node : graph.nodes) add_node(graph, node, out);
  for (const PipelineOutput& output : graph.outputs) {
    out += "output " + output.name + ": " + output.type + " <- " + text_of(graph, output.source) + "\n";
  }
  return out;
}

}  // namespace weft
