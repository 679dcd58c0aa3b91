#include "pipeline/plan/planner.h"

#include <weft/sdk/device.h>

#include <algorithm>
#include <utility>

#include "pipeline/plan/bounds.h"

namespace weft {
namespace {

std::string place(const Graph& graph, const SourcePosition& position) {
  return graph.file + ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
}

}  // namespace

Result<Plan> Planner::plan(const Graph& graph, std::span<const sdk::Value> inputs,
                           std::span<const weft_spec> bounds) {
  if (inputs.size() != graph.inputs.size() || (!bounds.empty() && bounds.size() != inputs.size())) {
    return Status(StatusCode::kInvalidArgument, "values for another number of inputs")
        .expected(std::to_string(graph.inputs.size()))
        .got(std::to_string(inputs.size()));
  }
  plan_.devices.push_back({sdk::kCpu, 0, 0, 0, 0, 0, 0});
  const std::string wished = environment_.device();
  Scope scope{graph, {}, add_step({}, 0), 1, 1, wished.empty() ? graph.device : wished, {}, {}, {}, {}};
  for (size_t i = 0; i < inputs.size(); ++i) {
    Flow flow;
    flow.known = inputs[i];
    flow.spec = inputs[i]        ? spec_of_value(values_, inputs[i].get())
                : bounds.empty() ? unknown_spec(graph.inputs[i].type)
                                 : bounds[i];
    flow.block = add_block(flow.spec, scope.entry);
    if (flow.block != kNoBlock) value_blocks_[flow.block].stays = true;  // the caller holds them
    scope.inputs.push_back(std::move(flow));
  }
  Status status = plan_nodes(scope, plan_.nodes);
  if (!status.ok()) return status;
  for (const PipelineOutput& output : graph.outputs) {
    const Flow& flow = flow_of(scope, output.source);
    if (flow.block != kNoBlock) value_blocks_[flow.block].stays = true;
  }
  finish();
  return std::move(plan_);
}

Status Planner::plan_nodes(Scope& scope, std::vector<PlannedNode>& nodes) {
  const Graph& graph = scope.graph;
  nodes.reserve(graph.nodes.size());  // plugins get pointers to names: nothing may move
  scope.outputs.resize(graph.nodes.size());
  scope.done.resize(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    PlannedNode& planned = nodes.emplace_back();
    planned.node = &node;
    planned.path = scope.prefix + node.name;
    Status status = bind_inputs(scope, node, planned);
    if (status.ok())
      status = node.subgraph ? plan_subgraph(scope, node, planned) : plan_leaf(scope, node, planned);
    if (!status.ok()) {
      // Errors inside a subgraph have their own place already; the outermost comes first.
      return std::move(status).at(place(graph, node.position) + ", node '" + planned.path + "'");
    }
  }
  // What is read and has no bound.
  std::vector<std::vector<uint8_t>> read(graph.nodes.size());
  const auto note = [&](const Source& source) {
    if (source.node < 0) return;
    std::vector<uint8_t>& ports = read[source.node];
    ports.resize(graph.nodes[source.node].output_names.size());
    if (std::exchange(ports[source.port], uint8_t{1}) != 0) return;
    if (graph.nodes[source.node].subgraph || bounded_bytes(flow_of(scope, source).spec)) return;
    plan_.unbounded.push_back(nodes[source.node].path + "." +
                              graph.nodes[source.node].output_names[source.port]);
  };
  for (const Node& node : graph.nodes) {
    for (const InputBinding& input : node.inputs) {
      if (input.source) note(*input.source);
    }
  }
  for (const PipelineOutput& output : graph.outputs) note(output.source);
  return {};
}

const Planner::Flow& Planner::flow_of(const Scope& scope, const Source& source) const {
  return source.node < 0 ? scope.inputs[source.port] : scope.outputs[source.node][source.port];
}

IsKnown Planner::known_in(const Scope& scope, const std::optional<Source>& for_each) const {
  return [&scope, for_each](const Source& source) {
    return source.node < 0 && source != for_each && scope.inputs[source.port].known;
  };
}

ReferenceText Planner::text_in(const Scope& scope) const {
  return [this, &scope](const Source& source) -> Result<std::string> {
    const sdk::Value& known = scope.inputs[source.port].known;
    if (source.node < 0 && known) return environment_.reference_text(known.get());
    return Status(StatusCode::kInvalidArgument, "a reference whose value is not known before the run");
  };
}

// WEFT_UNBOUNDED if it is not known; 1 without for_each.
int64_t Planner::elements_of(const Scope& scope, const Node& node) const {
  return node.for_each ? flow_of(scope, *node.for_each).spec.max_count : 1;
}

// Most requests that one execute of the node can get; WEFT_UNBOUNDED if it is not known.
int64_t Planner::requests_of(const Scope& scope, const Node& node) const {
  const int64_t elements = elements_of(scope, node);
  int64_t requests = WEFT_UNBOUNDED;
  const bool known = elements != WEFT_UNBOUNDED &&
                     !__builtin_mul_overflow(scope.requests, std::max<int64_t>(elements, 1), &requests);
  return known ? requests : WEFT_UNBOUNDED;
}

std::vector<uint32_t> Planner::predecessors(const Scope& scope, const Node& node) const {
  std::vector<uint32_t> steps{scope.entry};
  for (uint32_t producer : node.depends_on) steps.push_back(scope.done[producer]);
  return steps;
}

uint32_t Planner::add_step(std::vector<uint32_t> depends_on, double cost_seconds) {
  depends_on_.push_back(std::move(depends_on));
  costs_.push_back(cost_seconds);
  return static_cast<uint32_t>(costs_.size() - 1);
}

uint32_t Planner::add_block(const weft_spec& spec, uint32_t step) {
  constexpr uint64_t kLargest = uint64_t{1} << 56;  // so that sums of many stay below 2^64
  const std::optional<uint64_t> bytes = bounded_bytes(spec);
  if (!bytes || *bytes == 0) return kNoBlock;
  value_blocks_.push_back({std::min(*bytes, kLargest), step, {}, false});
  value_copies_.push_back(1);
  value_devices_.push_back(spec.device.kind == 0 ? sdk::kCpu : spec.device);
  return static_cast<uint32_t>(value_blocks_.size() - 1);
}

// The values that the node reads live at least until `step` has finished.
void Planner::use_sources(const Scope& scope, const Node& node, uint32_t step) {
  const auto use = [&](const Source& source) {
    const Flow& flow = flow_of(scope, source);
    if (flow.block != kNoBlock) value_blocks_[flow.block].last.push_back(step);
  };
  for (const InputBinding& input : node.inputs) {
    if (input.source) use(*input.source);
    if (!input.literal) continue;
    for (const Source& source : references(*input.literal)) use(source);
  }
  for (const ParameterBinding& parameter : node.parameters) {
    for (const Source& source : references(parameter.value)) use(source);
  }
  if (node.for_each) use(*node.for_each);
  if (node.when) use(node.when->source);
}

Planner::Flow Planner::list_of(Flow element, int64_t count, uint32_t step) {
  Flow list;
  list.spec = list_spec(element.spec, count);
  list.block = add_block(list.spec, step);
  return list;
}

Status Planner::bind_inputs(Scope& scope, const Node& node, PlannedNode& planned) {
  const IsKnown known = known_in(scope, node.for_each);
  planned.constants.resize(node.inputs.size());
  planned.inputs.reserve(node.inputs.size());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const InputBinding& input = node.inputs[i];
    sdk::Value& constant = planned.constants[i];
    if (input.source) {
      const Flow& flow = flow_of(scope, *input.source);
      if (input.source == node.for_each) {
        planned.inputs.push_back(element_spec(flow.spec, input.type == "any" ? "" : input.type));
      } else {
        planned.inputs.push_back(flow.spec);
        constant = flow.known;
      }
      continue;
    }
    if (input.literal && is_known(*input.literal, known)) {
      Result<std::string> json = render(*input.literal, input.type, text_in(scope));
      if (!json.ok()) return json.status().at("input '" + input.name + "'");
      Result<sdk::Value> value = environment_.make_value(*json, input.type);
      if (!value.ok()) return value.status().at("input '" + input.name + "'");
      constant = *std::move(value);
      planned.inputs.push_back(spec_of_value(values_, constant.get()));
      continue;
    }
    const std::optional<weft_spec> bound = template_bound(scope, input);
    planned.inputs.push_back(
        bound ? *bound : unknown_spec(input.literal ? std::string_view(input.type) : std::string_view()));
  }
  return {};
}

// Of a text that is put together from values with bounds; nothing where there are others.
std::optional<weft_spec> Planner::template_bound(const Scope& scope, const InputBinding& input) const {
  constexpr int64_t kScalarBytes = 32;  // of a number or a truth, written as JSON
  const TemplateText* text = input.literal ? std::get_if<TemplateText>(&*input.literal) : nullptr;
  if (text == nullptr || text->form != TemplateText::Form::kText) return std::nullopt;
  weft_spec bound = unknown_spec(input.type);
  bound.max_bytes = 0;
  for (const TemplateText::Part& part : text->parts) {
    int64_t bytes = 0;
    if (const auto* piece = std::get_if<std::string>(&part)) {
      bytes = static_cast<int64_t>(piece->size());
    } else {
      const weft_spec& spec = flow_of(scope, std::get<Source>(part)).spec;
      const bool scalar =
          spec.kind == WEFT_KIND_BOOL || spec.kind == WEFT_KIND_INT || spec.kind == WEFT_KIND_FLOAT;
      if (!scalar && (spec.kind != WEFT_KIND_BYTES || spec.max_bytes == WEFT_UNBOUNDED)) return std::nullopt;
      bytes = scalar ? kScalarBytes : spec.max_bytes;
    }
    if (__builtin_add_overflow(bound.max_bytes, bytes, &bound.max_bytes)) return std::nullopt;
  }
  return bound;
}

Status Planner::fill_parameters(Scope& scope, const Node& node, PlannedNode& planned) {
  const std::vector<ParameterDescriptor>& declared = node.type.node->parameters;
  const IsKnown known = known_in(scope, node.for_each);
  // A parameter that may not vary between requests needs its value here.
  for (const ParameterBinding& binding : node.parameters) {
    if (is_known(binding.value, known)) continue;
    const auto descriptor = std::find_if(declared.begin(), declared.end(), [&](const ParameterDescriptor& d) {
      return d.name == binding.name;
    });
    if (descriptor == declared.end() || descriptor->per_request) continue;
    for (const Source& source : references(binding.value)) {
      if (known(source)) continue;
      return Status(StatusCode::kInvalidArgument, "the value is not known before the run")
          .at("parameter '" + binding.name + "'")
          .hint(source.node < 0 ? "give a value to the input '" + scope.graph.inputs[source.port].name + "'"
                                : std::string());
    }
  }
  Result<weft_parameters> parameters = make_parameters(declared, node.parameters, known, text_in(scope));
  if (!parameters.ok()) return parameters.status();
  for (const ParameterDescriptor& descriptor : declared) {
    const bool bound =
        std::any_of(node.parameters.begin(), node.parameters.end(),
                    [&](const ParameterBinding& binding) { return binding.name == descriptor.name; });
    if (descriptor.type != "seed" || bound || parameters->find(descriptor.name) != nullptr) continue;
    set_parameter(*parameters, descriptor.name, environment_.seed(planned.path, descriptor.name));
  }
  planned.parameters = std::make_shared<const weft_parameters>(*std::move(parameters));
  return {};
}

// "" where the model's own entry says it, or its type runs on the CPU only.
std::string Planner::device_of(const Scope& scope, const Node& node, const ModelEntry& entry) const {
  const ParameterDescriptor* parameter = find_device_parameter(*entry.offered.model);
  if (parameter == nullptr) return {};
  if (!node.device.empty()) return node.device;
  const bool own =
      std::any_of(entry.options.begin(), entry.options.end(),
                  [&](const ParameterBinding& option) { return option.name == parameter->name; });
  if (own) return {};
  return scope.device.empty() ? sdk::device_name(sdk::kCpu) : scope.device;
}

Status Planner::open_models(Scope& scope, const Node& node, PlannedNode& planned) {
  for (const ModelUse& use : node.models) {
    const ModelEntry& entry = scope.graph.models[use.model];
    const std::pair key(use.model, device_of(scope, node, entry));
    if (!scope.models.contains(key)) {
      const Result<uint32_t> opened = open_model(scope, entry, key.second);
      if (!opened.ok()) return opened.status();
      scope.models.emplace(key, *opened);
    }
    planned.models.push_back({use.parameter, scope.models.at(key)});
  }
  return {};
}

// device: what stands for the device of the model's entry; "" for what stands there.
Result<uint32_t> Planner::open_model(Scope& scope, const ModelEntry& entry, const std::string& device) {
  const auto located = [&](Status status) {
    return Status(
        std::move(status).at("model '" + entry.name + "' (" + place(scope.graph, entry.position) + ")"));
  };
  const IsKnown known = known_in(scope, std::nullopt);
  if (!is_known(entry.path, known)) {
    return located({StatusCode::kInvalidArgument, "the path depends on an input without a value"});
  }
  const Result<std::string> json = render(entry.path, "path", text_in(scope));
  if (!json.ok()) return located(json.status());
  const Result<ParameterValue> path = parse_value(*json, "path");
  if (!path.ok()) return located(path.status());
  Result<weft_parameters> options =
      make_parameters(entry.offered.model->parameters, entry.options, known, text_in(scope));
  if (!options.ok()) return located(options.status());
  if (!device.empty()) set_parameter(*options, find_device_parameter(*entry.offered.model)->name, device);
  Result<OpenModel> opened =
      environment_.open_model(scope.graph, entry, std::get<std::string>(*path), *options);
  if (!opened.ok()) return located(opened.status());
  const auto shared =
      std::find_if(plan_.models.begin(), plan_.models.end(),
                   [&](const PlannedModelEntry& other) { return other.model.handle == opened->handle; });
  const auto index = static_cast<uint32_t>(shared - plan_.models.begin());
  if (shared == plan_.models.end()) {
    plan_.models.push_back({scope.prefix + entry.name, entry.type, *std::move(opened)});
  }
  return index;
}

}  // namespace weft
