// The part of Planner that makes the steps: nodes of plugins, subgraphs, and what their plans say.
#include <weft/sdk/device.h>
#include <weft/sdk/error.h>
#include <weft/sdk/model.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "pipeline/plan/bounds.h"
#include "pipeline/plan/planner.h"

namespace weft {
namespace {

constexpr uint64_t kLargestSize = uint64_t{1} << 56;  // 65,536 nodes of that size still have a sum

using sdk::same_device;

bool is_device(weft_device device) {
  return (device.kind == WEFT_DEVICE_CPU && device.index == 0) ||
         ((device.kind == WEFT_DEVICE_CUDA || device.kind == WEFT_DEVICE_SIMT) && device.index >= 0);
}

// What a plugin may not say in its plan; empty if all is well.
std::string breach(const weft_node_plan& plan, size_t n_outputs) {
  if (plan.max_batch == 0) return "gave a largest batch of 0";
  if (plan.n_outputs != n_outputs) return "changed the number of outputs";
  if (!is_device(plan.device)) return "named a device that does not exist";
  if (plan.workspace_bytes > kLargestSize || plan.state_bytes > kLargestSize)
    return "asked for more than 2^56 bytes";
  if (!std::isfinite(plan.cost_seconds) || plan.cost_seconds < 0) return "gave a cost that is no time";
  for (size_t i = 0; i < n_outputs; ++i) {
    if (!is_valid_spec(plan.outputs[i]))
      return "gave bounds of output " + std::to_string(i) + " that make no sense";
  }
  return {};
}

}  // namespace

Status Planner::plan_leaf(Scope& scope, const Node& node, PlannedNode& planned) {
  Status status = fill_parameters(scope, node, planned);
  if (status.ok()) status = open_models(scope, node, planned);
  if (!status.ok()) return status;
  int64_t requests = requests_of(scope, node);
  const bool counted = requests != WEFT_UNBOUNDED &&
                       !__builtin_mul_overflow(requests, int64_t{items_at_once_}, &requests) &&
                       requests <= std::numeric_limits<uint32_t>::max();
  planned.max_requests = counted ? static_cast<uint32_t>(requests) : 0;
  Result<NodeInstance> instance = create_node(node, planned);
  if (!instance.ok()) return instance.status();
  planned.instance = *std::move(instance);
  status = prepare_node(node, planned.instance, planned);
  if (status.ok()) status = add_siblings(node, planned);
  if (!status.ok()) return status;

  const int64_t elements = elements_of(scope, node);
  const double runs = scope.runs * static_cast<double>(std::max<int64_t>(elements, 1));
  const uint32_t step = add_step(predecessors(scope, node), planned.cost_seconds * runs);
  use_sources(scope, node, step);
  leaves_.push_back({&planned, step});
  scope.done[&node - scope.graph.nodes.data()] = step;
  std::vector<Flow>& outputs = scope.outputs[&node - scope.graph.nodes.data()];
  for (const weft_spec& spec : planned.outputs) {
    Flow flow;
    flow.spec = spec;
    if (node.for_each) flow = list_of(std::move(flow), elements, step);
    else flow.block = add_block(spec, step);
    outputs.push_back(std::move(flow));
  }
  return {};
}

// What stands nearest: at the node, on the command line, in the subgraph's file, around it.
std::string Planner::inner_device(const Scope& scope, const Node& node) const {
  if (!node.device.empty()) return node.device;
  if (std::string wished = environment_.device(); !wished.empty()) return wished;
  return node.subgraph->device.empty() ? scope.device : node.subgraph->device;
}

Status Planner::plan_subgraph(Scope& scope, const Node& node, PlannedNode& planned) {
  const Graph& graph = *node.subgraph;
  const int64_t elements = elements_of(scope, node);
  const uint32_t entry = add_step(predecessors(scope, node), 0);
  // An attempt and its time are those of one element.
  const bool one_by_one = node.retry > 0 || node.timeout_s > 0;
  const int64_t requests = one_by_one ? 1 : requests_of(scope, node);
  const bool many = requests == WEFT_UNBOUNDED || requests > elements_at_once_;
  Scope inner{graph,
              planned.path + "/",
              entry,
              scope.runs * static_cast<double>(std::max<int64_t>(elements, 1)),
              many ? elements_at_once_ : requests,
              inner_device(scope, node),
              {},
              {},
              {},
              {}};
  const size_t first_block = value_blocks_.size();
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    Flow flow;
    flow.spec = planned.inputs[i];
    flow.known = planned.constants[i];
    const std::optional<Source>& source = node.inputs[i].source;
    if (source && source != node.for_each) flow.block = flow_of(scope, *source).block;
    inner.inputs.push_back(std::move(flow));
  }
  Status status = plan_nodes(inner, planned.children);
  if (!status.ok()) return status;
  // As many elements at once as serve the node inside that takes the most.
  for (const PlannedNode& child : planned.children) {
    planned.max_batch =
        std::clamp<uint32_t>(child.max_batch, planned.max_batch, static_cast<uint32_t>(inner.requests));
  }
  for (const std::vector<Flow>& outputs : inner.outputs) {
    for (const Flow& flow : outputs) {
      if (flow.block == kNoBlock || flow.block < first_block) continue;
      value_copies_[flow.block] = std::max(value_copies_[flow.block], planned.max_batch);
    }
  }

  std::vector<uint32_t> all = inner.done;
  all.push_back(entry);
  const uint32_t exit = add_step(std::move(all), 0);
  use_sources(scope, node, exit);
  scope.done[&node - scope.graph.nodes.data()] = exit;
  for (const PlannedNode& child : planned.children) planned.cost_seconds += child.cost_seconds;
  std::vector<Flow>& outputs = scope.outputs[&node - scope.graph.nodes.data()];
  for (const PipelineOutput& output : graph.outputs) {
    Flow flow = flow_of(inner, output.source);
    planned.outputs.push_back(flow.spec);
    planned.outputs.back().value = nullptr;
    if (flow.block != kNoBlock) value_blocks_[flow.block].last.push_back(exit);
    // The elements are kept from the first run of the subgraph on.
    if (node.for_each) flow = list_of(std::move(flow), elements, entry);
    outputs.push_back(std::move(flow));
  }
  return {};
}

Result<NodeInstance> Planner::create_node(const Node& node, const PlannedNode& planned) {
  const Result<const weft_node_api*> api = environment_.node_api(node.type);
  if (!api.ok()) return api.status();
  std::vector<weft_named_model> models;
  for (const PlannedModel& model : planned.models) {
    models.push_back({model.parameter.c_str(), plan_.models[model.model].model.handle});
  }
  std::vector<const char*> names;
  std::vector<uint8_t> connected;
  for (const InputBinding& input : node.inputs) {
    names.push_back(input.name.c_str());
    connected.push_back(input.source || input.literal ? 1 : 0);
  }
  std::vector<const char*> outputs;
  for (const std::string& name : node.output_names) outputs.push_back(name.c_str());
  weft_node_config config{};
  config.struct_size = sizeof config;
  config.max_requests = planned.max_requests;
  config.name = planned.path.c_str();
  config.parameters = planned.parameters.get();
  config.models = models.data();
  config.n_models = models.size();
  config.inputs = names.data();
  config.n_inputs = names.size();
  config.input_connected = connected.data();
  config.outputs = outputs.data();
  config.n_outputs = outputs.size();
  struct Asking {
    PlanEnvironment& environment;
    const std::string& node;
  } asking{environment_, planned.path};
  config.self = &asking;
  config.today = [](void* self) -> int64_t {
    int64_t seconds = 0;
    (void)sdk::guarded([&] {
      const auto& asking_node = *static_cast<Asking*>(self);
      seconds = asking_node.environment.today(asking_node.node);
      return Status();
    });
    return seconds;
  };
  void* instance = nullptr;
  Status status = sdk::checked(
      [&](weft_error* error) { return (*api)->create(environment_.host(), &config, &instance, error); });
  if (!status.ok()) return status;
  return NodeInstance(*api, instance);
}

// A node that takes requests one by one works on as many items at a time as it has instances.
Status Planner::add_siblings(const Node& node, PlannedNode& planned) {
  while (planned.max_batch == 1 && planned.siblings.size() + 1 < instances_) {
    Result<NodeInstance> sibling = create_node(node, planned);
    if (!sibling.ok()) return sibling.status();
    PlannedNode same;
    same.inputs = planned.inputs;
    if (Status status = prepare_node(node, *sibling, same); !status.ok()) return status;
    planned.workspace_bytes = std::max(planned.workspace_bytes, same.workspace_bytes);
    planned.siblings.push_back(*std::move(sibling));
  }
  return {};
}

Status Planner::prepare_node(const Node& node, const NodeInstance& instance, PlannedNode& planned) {
  planned.outputs.reserve(node.output_names.size());
  for (const PortDescriptor& port : node.type.node->outputs)
    planned.outputs.push_back(unknown_spec(port.type));
  planned.outputs.resize(node.output_names.size(), unknown_spec(kExtraOutputType));
  weft_node_plan plan{};
  plan.struct_size = sizeof plan;
  plan.max_batch = 1;
  plan.outputs = planned.outputs.data();
  plan.n_outputs = planned.outputs.size();
  plan.device = {WEFT_DEVICE_CPU, 0};
  Status status = sdk::checked([&](weft_error* error) {
    return instance.api()->prepare(instance.get(), planned.inputs.data(), planned.inputs.size(), &plan,
                                   error);
  });
  if (!status.ok()) return status;
  if (const std::string what = breach(plan, planned.outputs.size()); !what.empty()) {
    return Status(StatusCode::kInternal, "prepare of " + node.uses + " " + what)
        .hint("this is a bug of the plugin");
  }
  for (weft_spec& spec : planned.outputs) spec.value = nullptr;  // only inputs can be known before the run
  planned.max_batch = plan.max_batch;
  const bool endless = plan.max_batch == std::numeric_limits<uint32_t>::max();
  planned.useful_batch = plan.useful_batch != 0 ? std::min(plan.useful_batch, plan.max_batch)
                         : endless              ? 1
                                                : plan.max_batch;
  planned.workspace_bytes = plan.workspace_bytes;
  planned.state_bytes = plan.state_bytes;
  planned.device = plan.device;
  planned.cost_seconds = plan.cost_seconds;
  return {};
}

DeviceMemory& Planner::memory_of(weft_device device) {
  for (DeviceMemory& memory : plan_.devices) {
    if (same_device(memory.device, device)) return memory;
  }
  plan_.devices.push_back({device, 0, 0, 0, 0, 0, 0});
  return plan_.devices.back();
}

void Planner::count_costs() {
  std::vector<double> finished(costs_.size());
  for (size_t step = 0; step < costs_.size(); ++step) {
    double start = 0;
    for (uint32_t before : depends_on_[step]) start = std::max(start, finished[before]);
    finished[step] = start + costs_[step];
    plan_.total_seconds += costs_[step];
    plan_.critical_path_seconds = std::max(plan_.critical_path_seconds, finished[step]);
  }
}

// Sums per device; workspaces get their places, values are placed only to bound how many bytes live at once.
void Planner::finish() {
  count_costs();
  for (const PlannedModelEntry& entry : plan_.models) {
    const weft_model_estimate& estimate = entry.model.estimate;
    memory_of(estimate.device).mapped_bytes += estimate.mapped_bytes;
    for (DeviceMemory& memory : plan_.devices) memory.weight_bytes += sdk::bytes_on(estimate, memory.device);
  }
  for (const Leaf& leaf : leaves_) {
    memory_of(leaf.node->device).state_bytes += leaf.node->state_bytes * (leaf.node->siblings.size() + 1);
  }
  for (weft_device device : value_devices_) memory_of(device);
  for (DeviceMemory& memory : plan_.devices) {
    std::vector<MemoryBlock> workspaces, values;
    std::vector<PlannedNode*> owners;
    for (const Leaf& leaf : leaves_) {
      if (leaf.node->workspace_bytes == 0 || !same_device(leaf.node->device, memory.device)) continue;
      // With several items on their way, no node has always finished before another one starts.
      const uint64_t each = workspace_stride(*leaf.node);
      workspaces.push_back({each * (leaf.node->siblings.size() + 1), leaf.step, {}, items_at_once_ > 1});
      owners.push_back(leaf.node);
    }
    for (size_t i = 0; i < value_blocks_.size(); ++i) {
      if (!same_device(value_devices_[i], memory.device)) continue;
      values.push_back(value_blocks_[i]);
      uint64_t bytes = 0;
      const uint64_t copies = uint64_t{value_copies_[i]} * items_at_once_;
      const bool fits = !__builtin_mul_overflow(values.back().size_bytes, copies, &bytes);
      values.back().size_bytes = fits ? std::min(bytes, kLargestSize) : kLargestSize;
      values.back().stays |= items_at_once_ > 1;
    }
    const Packing packed = pack_blocks(workspaces, Precedence(depends_on_, workspaces));
    for (size_t i = 0; i < owners.size(); ++i) owners[i]->workspace_offset = packed.offsets[i];
    memory.workspace_bytes = packed.total_bytes;
    memory.value_bytes = pack_blocks(values, Precedence(depends_on_, values)).total_bytes;
    memory.peak_bytes =
        memory.weight_bytes + memory.state_bytes + memory.workspace_bytes + memory.value_bytes;
  }
}

}  // namespace weft
