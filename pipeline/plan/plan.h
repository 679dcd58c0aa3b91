/// Everything that is decided before a run: node instances, bounds of all values, workspaces, peak memory, cost.
///
/// create_plan opens models (headers only), creates and prepares every node in topological order, and packs the
/// workspaces of each device into one arena: two nodes share bytes only if one always finishes before the other starts,
/// whatever the number of threads. No weight is loaded, nothing of the pipeline runs.
/// Ownership: the Plan owns the node instances and constant values; graph, environment and models outlive it.
/// Thread safety: built on one thread ([main] of the contract); const access from any.
///
///   Result<Plan> plan = create_plan(graph, input_values, environment);
///   Result<Budget> budget = check_budget(*plan, {WEFT_DEVICE_CPU, 0}, max_memory_bytes);
#ifndef WEFT_PIPELINE_PLAN_PLAN_H
#define WEFT_PIPELINE_PLAN_PLAN_H

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>
#include <weft/sdk/value.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipeline/graph/graph.h"
#include "pipeline/plan/parameters.h"

namespace weft {

struct OpenModel {
  void* handle = nullptr;  // equal for nodes that share a model
  weft_model_estimate estimate{};
  std::string path;  // for reports
};

/// What a plan asks of the run: implemented by run/, and by tests. Called on one thread.
class PlanEnvironment {
 public:
  virtual ~PlanEnvironment() = default;
  virtual const weft_host* host() = 0;
  /// The functions of a node type, its library loaded.
  virtual Result<const weft_node_api*> node_api(const Catalog::NodeEntry& type) = 0;
  /// entry: of `graph`; path: rendered; parameters: the model type's, options filled in.
  virtual Result<OpenModel> open_model(const Graph& graph, const ModelEntry& entry, const std::string& path,
                                       const weft_parameters& parameters) = 0;
  /// The device that the user wants instead of what files say of all their models; "" for what they say.
  virtual std::string device() { return {}; }
  /// A value of port type `type` from JSON text.
  virtual Result<sdk::Value> make_value(const std::string& json, const std::string& type) = 0;
  /// What ${...} inserts for a value.
  virtual Result<std::string> reference_text(const weft_value* value) = 0;
  /// A value for a seed that the pipeline leaves open. node: its path, "outer/inner".
  virtual int64_t seed(const std::string& node, const std::string& parameter) = 0;
  /// The day of the run, as weft_node_config::today. node: the one that asks.
  virtual int64_t today(const std::string& node) = 0;
};

/// A node made by its plugin. Move-only; destroys it.
class NodeInstance {
 public:
  NodeInstance() = default;
  NodeInstance(const weft_node_api* api, void* node) : api_(api), node_(node) {}
  NodeInstance(NodeInstance&& other) noexcept;
  NodeInstance& operator=(NodeInstance&& other) noexcept;
  ~NodeInstance();

  const weft_node_api* api() const { return api_; }  // null for a subgraph
  void* get() const { return node_; }

 private:
  const weft_node_api* api_ = nullptr;
  void* node_ = nullptr;
};

struct PlannedModel {
  std::string parameter;  // of the node
  uint32_t model = 0;     // index into Plan::models
};

struct PlannedNode {
  std::string path;            // "outer/inner"
  const Node* node = nullptr;  // of the graph that the plan was made from
  NodeInstance instance;
  /// Made like it, each with a workspace of its own behind that one's: a node that takes requests one by one has several
  /// where items go through the graph at the same time.
  std::vector<NodeInstance> siblings;
  /// Those known before the run, drawn seeds included; per-request ones with references hold their defaults.
  std::shared_ptr<const weft_parameters> parameters;
  std::vector<PlannedModel> models;
  /// By input: the value, where it is known before the run (literals, inputs of the pipeline); else null. Not set for the
  /// input that for_each feeds.
  std::vector<sdk::Value> constants;
  std::vector<weft_spec> inputs, outputs;  // bounds; of one element where the node runs for_each
  uint32_t max_batch = 1;     // requests of one execute; of a subgraph: elements that go through it at once
  uint32_t max_requests = 1;  // what the node was told: most that an execute can have at a time; 0: not known
  uint32_t useful_batch = 1;  // requests at once from which on more of them save nothing
  uint64_t workspace_bytes = 0;   // of one execute; 0 for a subgraph, whose nodes have their own
  uint64_t workspace_offset = 0;  // in the device's arena
  uint64_t state_bytes = 0;
  weft_device device{WEFT_DEVICE_CPU, 0};
  double cost_seconds = 0;            // a guess, on one core, of one element where the node runs for_each
  std::vector<PlannedNode> children;  // of a subgraph, in the order of its Graph::nodes
};

/// From the workspace of one instance to the next one's.
inline uint64_t workspace_stride(const PlannedNode& node) { return (node.workspace_bytes + 63) / 64 * 64; }

struct PlannedModelEntry {
  std::string name;  // as in "models", "outer/writer" in a subgraph
  std::string type;
  OpenModel model;
};

/// Bytes on one device. peak_bytes is the sum of all but mapped_bytes.
struct DeviceMemory {
  weft_device device{};
  uint64_t weight_bytes = 0;     // resident bytes of distinct models
  uint64_t mapped_bytes = 0;     // file pages that the system may drop
  uint64_t state_bytes = 0;      // what nodes hold between calls
  uint64_t workspace_bytes = 0;  // the arena
  uint64_t value_bytes = 0;      // bound on the values alive at once, of those whose size is bounded
  uint64_t peak_bytes = 0;
};

struct Plan {
  std::vector<PlannedNode> nodes;         // in the order of Graph::nodes
  std::vector<PlannedModelEntry> models;  // distinct ones
  std::vector<DeviceMemory> devices;      // the CPU first
  std::vector<std::string> unbounded;     // "node.port": values whose size is not known before they exist
  double total_seconds = 0;               // cost of all nodes, on one core
  double critical_path_seconds = 0;       // cost of the longest chain
};

/// More elements at once give the engines inside a subgraph nothing more, and cost memory for values between nodes.
constexpr uint32_t kMostElementsAtOnce = 64;
/// The same of items, where their number is chosen for the user.
constexpr uint32_t kMostItemsAtOnce = 64;

/// How much goes on at the same time.
struct PlanWidth {
  uint32_t elements_at_once =
      kMostElementsAtOnce;     // most elements of a for_each that go through a subgraph together
  uint32_t items_at_once = 1;  // most executions of the whole graph at a time
  uint32_t instances = 1;      // of a node that takes requests one by one, where there are several items
};

/// inputs: the values of graph.inputs by index; a null one is not known (that is so for `weft plan`, and for inputs that
/// differ between items). bounds: by input, what is known of those; may be empty.
/// Errors: those of the environment and of the plugins' create and prepare, each naming node and file position;
/// kInvalidArgument for a parameter out of range once its template is filled in.
Result<Plan> create_plan(const Graph& graph, std::span<const sdk::Value> inputs, PlanEnvironment& environment,
                         const PlanWidth& width = {}, std::span<const weft_spec> bounds = {});

/// The most elements that go through any subgraph of the plan together; 1 without for_each.
uint32_t elements_at_once(const Plan& plan);

/// As many items at once as serve the node that gains most from a batch; 1 if none does.
uint32_t useful_items(const Plan& plan);

/// What a run within a limit has to know.
struct Budget {
  uint64_t model_bytes = 0;  // left for resident weights on the device; models beyond it take turns
  enum class Models { kAllResident, kTakeTurns } models = Models::kAllResident;
};
/// limit_bytes: of each device; 0: none. Weights may take turns if no node needs more at once than what is left.
/// Errors: kOutOfMemory with the bytes of the largest models and nodes if the run cannot fit.
Result<Budget> check_budget(const Plan& plan, weft_device device, uint64_t limit_bytes);

}  // namespace weft
#endif
