/// The work of create_plan: walks a graph and its subgraphs, makes nodes, and flattens everything into one list of steps
/// whose order and memory can be analysed. Internal to plan/.
///
/// A subgraph becomes an entry step, the steps of its own nodes, and an exit step that waits for all of them, so that
/// reachability between steps is what the run guarantees.
#ifndef WEFT_PIPELINE_PLAN_PLANNER_H
#define WEFT_PIPELINE_PLAN_PLANNER_H

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/plan/lifetime.h"
#include "pipeline/plan/plan.h"

namespace weft {

class Planner {
 public:
  Planner(PlanEnvironment& environment, const PlanWidth& width)
      : environment_(environment),
        values_(*environment.host()->values),
        elements_at_once_(std::max(width.elements_at_once, 1u)),
        items_at_once_(std::max(width.items_at_once, 1u)),
        instances_(std::clamp(width.instances, 1u, items_at_once_)) {}

  Result<Plan> plan(const Graph& graph, std::span<const sdk::Value> inputs,
                    std::span<const weft_spec> bounds);

 private:
  static constexpr uint32_t kNoBlock = UINT32_MAX;

  /// What is known about the output of a node or an input of a graph.
  struct Flow {
    weft_spec spec{};
    uint32_t block = kNoBlock;  // of its memory, in value_blocks_
    sdk::Value known;
  };
  /// A graph while it is walked.
  struct Scope {
    const Graph& graph;
    std::string prefix;                      // "outer/" in a subgraph
    uint32_t entry = 0;                      // the step that its nodes wait for
    double runs = 1;                         // how often it runs, as far as that is known
    int64_t requests = 1;                    // most elements that it takes at once
    std::string device;                      // of models that do not say; "" for the CPU
    std::vector<Flow> inputs;                // of the graph
    std::vector<std::vector<Flow>> outputs;  // by node and port
    std::vector<uint32_t> done;              // by node: the step with which it has finished
    /// Index in the graph and device that a node wants it on -> index in the plan.
    std::map<std::pair<uint32_t, std::string>, uint32_t> models;
  };

  Status plan_nodes(Scope& scope, std::vector<PlannedNode>& nodes);
  Status plan_leaf(Scope& scope, const Node& node, PlannedNode& planned);
  Status plan_subgraph(Scope& scope, const Node& node, PlannedNode& planned);

  Status bind_inputs(Scope& scope, const Node& node, PlannedNode& planned);
  Status fill_parameters(Scope& scope, const Node& node, PlannedNode& planned);
  Status open_models(Scope& scope, const Node& node, PlannedNode& planned);
  std::string inner_device(const Scope& scope, const Node& node) const;
  std::string device_of(const Scope& scope, const Node& node, const ModelEntry& entry) const;
  Result<uint32_t> open_model(Scope& scope, const ModelEntry& entry, const std::string& device);
  Result<NodeInstance> create_node(const Node& node, const PlannedNode& planned);
  Status prepare_node(const Node& node, const NodeInstance& instance, PlannedNode& planned);
  Status add_siblings(const Node& node, PlannedNode& planned);
  std::optional<weft_spec> template_bound(const Scope& scope, const InputBinding& input) const;

  const Flow& flow_of(const Scope& scope, const Source& source) const;
  IsKnown known_in(const Scope& scope, const std::optional<Source>& for_each) const;
  ReferenceText text_in(const Scope& scope) const;
  int64_t elements_of(const Scope& scope, const Node& node) const;
  int64_t requests_of(const Scope& scope, const Node& node) const;
  std::vector<uint32_t> predecessors(const Scope& scope, const Node& node) const;
  uint32_t add_step(std::vector<uint32_t> depends_on, double cost_seconds);
  uint32_t add_block(const weft_spec& spec, uint32_t step);
  void use_sources(const Scope& scope, const Node& node, uint32_t step);
  Flow list_of(Flow element, int64_t count, uint32_t step);

  void finish();
  void count_costs();
  DeviceMemory& memory_of(weft_device device);

  PlanEnvironment& environment_;
  const weft_value_api& values_;
  const uint32_t elements_at_once_, items_at_once_, instances_;
  Plan plan_;
  std::vector<std::vector<uint32_t>> depends_on_;  // by step: smaller steps
  std::vector<double> costs_;                      // by step
  std::vector<MemoryBlock> value_blocks_;
  std::vector<weft_device> value_devices_;  // by block
  std::vector<uint32_t> value_copies_;      // by block: elements of subgraphs that have one each at once
  struct Leaf {
    PlannedNode* node;
    uint32_t step;
  };
  std::vector<Leaf> leaves_;
};

}  // namespace weft
#endif
