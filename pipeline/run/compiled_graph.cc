#include "pipeline/run/compiled_graph.h"

#include <algorithm>
#include <utility>

#include "pipeline/graph/literal.h"

namespace weft {
namespace {

/// Whether the value of an input of the graph is known before the run: not in a subgraph, whose inputs the outer pipeline
/// fills, and not where items bring their own.
using KnownInput = std::function<bool(uint32_t input)>;

bool refers_to(const Literal& literal, const Source& wanted) {
  const std::vector<Source> sources = references(literal);
  return std::find(sources.begin(), sources.end(), wanted) != sources.end();
}

/// Whether the literal's value is known only when the node runs: it refers to a node, to the list that the node runs
/// over, or to an input that is not known before.
bool varies(const Literal& literal, const Node& node, const KnownInput& known) {
  const std::vector<Source> sources = references(literal);
  return std::any_of(sources.begin(), sources.end(), [&](const Source& source) {
    return source.node >= 0 || !known(source.port) || (node.for_each && source == *node.for_each);
  });
}

/// A value as the JSON literal of a binding.
Literal literal_of(const ParameterValue& value) {
  struct ToJson {
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return std::to_string(number); }
    std::string operator()(const std::string& text) const { return json_string(text); }
  };
  return Literal(std::in_place_index<0>, std::visit(ToJson{}, value));
}

/// The node's bindings and the seeds that were drawn for it; nothing if no parameter varies.
std::vector<ParameterBinding> varying_bindings(const Node& node, const PlannedNode& planned,
                                               const KnownInput& known) {
  const bool any =
      std::any_of(node.parameters.begin(), node.parameters.end(),
                  [&](const ParameterBinding& binding) { return varies(binding.value, node, known); });
  if (!any || !node.type.node || !planned.parameters) return {};
  std::vector<ParameterBinding> bindings = node.parameters;
  for (const ParameterDescriptor& declared : node.type.node->parameters) {
    const ParameterValue* drawn = declared.type == "seed" ? planned.parameters->find(declared.name) : nullptr;
    const auto bound = std::find_if(bindings.begin(), bindings.end(), [&](const ParameterBinding& binding) {
      return binding.name == declared.name;
    });
    if (drawn && bound == bindings.end()) {
      bindings.push_back({declared.name, literal_of(*drawn), node.position});
    } else if (drawn && !varies(bound->value, node, known)) {
      bound->value = literal_of(*drawn);
    }
  }
  return bindings;
}

/// Seeds that nobody gave and that may differ between requests.
std::vector<std::string> drawn_seeds(const Node& node, const PlannedNode& planned) {
  std::vector<std::string> names;
  if (!node.type.node || !planned.parameters) return names;
  for (const ParameterDescriptor& declared : node.type.node->parameters) {
    const bool bound =
        std::any_of(node.parameters.begin(), node.parameters.end(),
                    [&](const ParameterBinding& binding) { return binding.name == declared.name; });
    if (declared.type == "seed" && declared.per_request && !bound && planned.parameters->find(declared.name))
      names.push_back(declared.name);
  }
  return names;
}

CompiledGraph compile(const Graph& graph, const std::vector<PlannedNode>& planned, const Plan& plan,
                      const CompileOptions& options, uint32_t& next_flat, const KnownInput& known);

CompiledNode compile_node(const Node& node, const PlannedNode& planned, const Plan& plan,
                          const CompileOptions& options, uint32_t& next_flat, const KnownInput& known) {
  CompiledNode compiled;
  compiled.node = &node;
  compiled.planned = &planned;
  compiled.flat = next_flat++;
  compiled.n_dependencies = static_cast<uint32_t>(node.depends_on.size());
  for (size_t port = 0; port < node.output_names.size(); ++port) {
    // The type of one element where the node runs for_each: that is what a request sets.
    const PortDescriptor* declared =
        node.type.node && port < node.type.node->outputs.size() ? &node.type.node->outputs[port] : nullptr;
    const std::string type = declared         ? declared->type
                             : node.type.node ? kExtraOutputType
                             : node.subgraph  ? node.subgraph->outputs[port].type
                                              : node.output_types[port];
    const bool bounded = node.type.node && port < planned.outputs.size();
    compiled.ports.push_back({node.output_names[port], type, bounded ? &planned.outputs[port] : nullptr});
    compiled.optional_outputs.push_back(!node.type.node || (declared && declared->optional));
  }
  compiled.bindings = varying_bindings(node, planned, known);
  if (!options.varying_inputs.empty()) compiled.item_seeds = drawn_seeds(node, planned);
  for (const InputBinding& input : node.inputs) {
    const bool linked = node.for_each && input.source == node.for_each;
    compiled.per_element.push_back(
        linked || (node.for_each && input.literal && refers_to(*input.literal, *node.for_each)));
  }
  for (const ParameterBinding& binding : compiled.bindings) {
    if (node.for_each && refers_to(binding.value, *node.for_each)) compiled.parameters_per_element = true;
  }
  for (const PlannedModel& model : planned.models) {
    compiled.models.push_back(options.model_of(plan.models[model.model].model.handle));
    compiled.model_parameters.push_back(model.parameter);
  }
  if (node.subgraph) {
    compiled.child = std::make_unique<CompiledGraph>(
        compile(*node.subgraph, planned.children, plan, options, next_flat, [](uint32_t) { return false; }));
  } else {
    compiled.cache_key = options.cache_key(compiled);
  }
  return compiled;
}

CompiledGraph compile(const Graph& graph, const std::vector<PlannedNode>& planned, const Plan& plan,
                      const CompileOptions& options, uint32_t& next_flat, const KnownInput& known) {
  CompiledGraph compiled;
  compiled.graph = &graph;
  uint32_t n_slots = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    compiled.nodes.push_back(compile_node(graph.nodes[i], planned[i], plan, options, next_flat, known));
    compiled.nodes[i].first_slot = n_slots;
    n_slots += static_cast<uint32_t>(graph.nodes[i].output_names.size());
    if (graph.nodes[i].depends_on.empty()) compiled.roots.push_back(static_cast<uint32_t>(i));
  }
  compiled.slot_readers.assign(n_slots, 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    CompiledNode& node = compiled.nodes[i];
    for (const uint32_t dependency : graph.nodes[i].depends_on) {
      compiled.nodes[dependency].dependents.push_back(static_cast<uint32_t>(i));
    }
    for (const Source& source : sources_of(graph.nodes[i])) {
      if (source.node >= 0) node.reads.push_back(compiled.slot(source));
    }
    std::sort(node.reads.begin(), node.reads.end());
    node.reads.erase(std::unique(node.reads.begin(), node.reads.end()), node.reads.end());
    for (const uint32_t slot : node.reads) ++compiled.slot_readers[slot];
  }
  for (const PipelineOutput& output : graph.outputs) {
    if (output.source.node >= 0) ++compiled.slot_readers[compiled.slot(output.source)];
  }
  return compiled;
}

}  // namespace

std::vector<Source> sources_of(const Node& node) {
  std::vector<Source> sources;
  const auto add_literal = [&](const Literal& literal) {
    const std::vector<Source> found = references(literal);
    sources.insert(sources.end(), found.begin(), found.end());
  };
  for (const InputBinding& input : node.inputs) {
    if (input.source) sources.push_back(*input.source);
    if (input.literal) add_literal(*input.literal);
  }
  for (const ParameterBinding& parameter : node.parameters) add_literal(parameter.value);
  if (node.when) sources.push_back(node.when->source);
  if (node.for_each) sources.push_back(*node.for_each);
  return sources;
}

CompiledGraph compile_graph(const Graph& graph, const std::vector<PlannedNode>& planned, const Plan& plan,
                            const CompileOptions& options, uint32_t& next_flat) {
  const auto known = [&](uint32_t input) {
    return options.varying_inputs.empty() || options.varying_inputs[input] == 0;
  };
  return compile(graph, planned, plan, options, next_flat, known);
}

}  // namespace weft
