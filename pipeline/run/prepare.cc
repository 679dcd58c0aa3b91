#include <weft/sdk/device.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/graph/literal.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/devices.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/residency/models.h"
#include "pipeline/run/host.h"
#include "pipeline/run/input_files.h"
#include "pipeline/run/item_values.h"
#include "pipeline/run/run_state.h"

namespace weft {
namespace {

sdk::Value to_sdk(Value value) { return sdk::Value::adopt(value_api(), value.release()); }

/// The run's side of planning: loads plugins, opens models, makes values, draws seeds.
class RunEnvironment final : public PlanEnvironment {
 public:
  /// device: the full name of what the options name.
  RunEnvironment(PreparedRun::State& state, const PluginProvider& plugins, const RunOptions& options,
                 std::string device)
      : state_(state), plugins_(plugins), options_(options), device_(std::move(device)) {
    note_plugins(state.graph);
  }

  const weft_host* host() override { return state_.host.table(); }

  Result<const weft_node_api*> node_api(const Catalog::NodeEntry& type) override {
    auto plugin = plugins_(*type.plugin);
    if (!plugin.ok()) return plugin.status();
    for (size_t i = 0; i < (*plugin)->n_nodes; ++i) {
      if (type.node->name == (*plugin)->nodes[i].name) return (*plugin)->nodes[i].api;
    }
    return Status(StatusCode::kVersionMismatch, "the plugin no longer has the node '" + type.node->name + "'")
        .at(type.plugin->path);
  }

  Result<OpenModel> open_model(const Graph& graph, const ModelEntry& entry, const std::string& path,
                               const weft_parameters& parameters) override {
    auto type = model_type(entry.type);
    if (!type.ok()) return type.status();
    ModelRequest request;
    request.type = *type;
    request.path = path;
    request.sha256 = entry.sha256;
    request.pipeline_folder = graph.folder;
    if (options_.readable_files) {
      if (Status refused = keep_to_search_path(path, request); !refused.ok()) return refused;
    }
    request.parameters = std::make_shared<const weft_parameters>(parameters);
    request.parameters_key = parameters_key(parameters);
    auto model = state_.host.models().open(request);
    if (!model.ok()) return model.status();
    state_.models[(*model)->handle()] = *model;
    state_.opened.emplace_back(std::move(request), *model);
    return OpenModel{(*model)->handle(), (*model)->estimate(), (*model)->path().string()};
  }

  std::string device() override { return device_; }

  Result<sdk::Value> make_value(const std::string& json, const std::string& type) override {
    auto value = value_from_json(json, type, state_.host.cpu_pool());
    if (!value.ok()) return value.status();
    return to_sdk(std::move(*value));
  }

  Result<std::string> reference_text(const weft_value* value) override {
    return value_to_template_text(Value::share(value));
  }

  int64_t seed(const std::string& node, const std::string& parameter) override {
    for (const DrawnSeed& drawn :
         state_.item.seeds) {  // asked again: the node has siblings, or the plan is made anew
      if (drawn.node == node && drawn.parameter == parameter) return drawn.value;
    }
    state_.item.seeds.push_back({node, parameter, seed_value(options_, node, parameter)});
    return state_.item.seeds.back().value;
  }

  int64_t today(const std::string& node) override { return seed(node, DrawnSeed::kToday); }

 private:
  // A pipeline from a picture names models, not files.
  Status keep_to_search_path(const std::string& path, ModelRequest& request) const {
    const std::filesystem::path given(path);
    const bool climbs = std::find(given.begin(), given.end(), "..") != given.end();
    const auto& folders = state_.host.options().model_folders;
    if (given.is_absolute() || climbs || folders.empty()) {
      return Status(StatusCode::kPermissionDenied,
                    "a pipeline from a picture finds models on the search path only")
          .got("'" + path + "'")
          .hint("`weft models` lists them; WEFT_MODELS names folders to search");
    }
    request.pipeline_folder = folders.front();
    return {};
  }

  void note_plugins(const Graph& graph) {
    for (const Node& node : graph.nodes) {
      if (node.type.plugin) used_.insert(node.type.plugin);
      if (node.subgraph) note_plugins(*node.subgraph);
    }
  }

  /// Of the plugins that the pipeline's nodes come from.
  Result<const weft_model_type*> model_type(const std::string& name) {
    for (const PluginDescriptor* descriptor : used_) {
      const bool offers = std::any_of(descriptor->models.begin(), descriptor->models.end(),
                                      [&](const ModelTypeDescriptor& model) { return model.name == name; });
      if (!offers) continue;
      auto plugin = plugins_(*descriptor);
      if (!plugin.ok()) return plugin.status();
      for (size_t i = 0; i < (*plugin)->n_models; ++i) {
        if (name == (*plugin)->models[i].name) return &(*plugin)->models[i];
      }
    }
    return Status(StatusCode::kNotFound,
                  "no plugin that the pipeline uses has the model type '" + name + "'");
  }

  PreparedRun::State& state_;
  const PluginProvider& plugins_;
  const RunOptions& options_;
  const std::string device_;
  std::set<const PluginDescriptor*> used_;
};

/// What a node's results depend on besides its parameters and inputs; nothing where a result may not be kept.
std::optional<ResultKey> cache_key_of(const CompiledNode& compiled, const PreparedRun::State& state,
                                      const RunOptions& options) {
  const NodeTypeDescriptor& type = *compiled.node->type.node;
  constexpr uint32_t kOutsideWorld =
      WEFT_NODE_READS_FILES | WEFT_NODE_WRITES_FILES | WEFT_NODE_USES_NETWORK | WEFT_NODE_NONDETERMINISTIC;
  if (!type.has(WEFT_NODE_PURE) || type.has(kOutsideWorld)) return std::nullopt;
  // A drawn seed asks for something new each time.
  const auto of_node = [&](const DrawnSeed& seed) { return seed.node == compiled.planned->path; };
  const auto is_day = [](const DrawnSeed& seed) { return seed.parameter == DrawnSeed::kToday; };
  const bool drawn = std::any_of(state.item.seeds.begin(), state.item.seeds.end(),
                                 [&](const DrawnSeed& seed) { return of_node(seed) && !is_day(seed); });
  // What a path leads to may change while the path does not.
  const bool names_file =
      std::any_of(type.parameters.begin(), type.parameters.end(), [&](const ParameterDescriptor& declared) {
        const ParameterValue* value =
            declared.type == "path" ? compiled.planned->parameters->find(declared.name) : nullptr;
        const bool varies = std::any_of(compiled.bindings.begin(), compiled.bindings.end(),
                                        [&](const ParameterBinding& bound) {
                                          return declared.type == "path" && bound.name == declared.name &&
                                                 !references(bound.value).empty();
                                        });
        return varies || (value && *value != ParameterValue(std::string()));
      });
  if (drawn || names_file) return std::nullopt;
  ResultKey key;
  key.plugin_sha256 = compiled.node->type.plugin->sha256;
  key.node_type = type.name;
  key.node_version = type.version;
  key.isa_level = options.isa_level;
  for (size_t port = type.outputs.size(); port < compiled.ports.size(); ++port)
    key.outputs.push_back(compiled.ports[port].name);
  key.numerics_profile = options.numerics_profile;
  for (const DrawnSeed& day : state.item.seeds) {
    if (of_node(day) && is_day(day))
      key.parameters.push_back(day.parameter + "=" + std::to_string(day.value));
  }
  for (size_t i = 0; i < compiled.models.size(); ++i) {
    const Model& model = *compiled.models[i];
    std::string hash = compiled.model_parameters[i] + "=" + std::to_string(model.type().version) + ":" +
                       model.sha256() + ":" + model.parameters_key();
    for (const ModelPart& part : model.parts()) hash += ":" + part.sha256;
    key.model_hashes.push_back(std::move(hash));
  }
  return key;
}

/// What is left for weights on each device of a plan.
using Budgets = std::vector<std::pair<weft_device, Budget>>;

Result<Budgets> check_budgets(uint64_t limit_bytes, PreparedRun::State& state) {
  Budgets budgets;
  for (const DeviceMemory& memory : state.plan.devices) {
    if (Status opened = state.host.devices().open(memory.device); !opened.ok()) return opened;
    const bool cpu = memory.device.kind == WEFT_DEVICE_CPU;
    auto budget = check_budget(state.plan, memory.device,
                               cpu ? limit_bytes : state.host.devices().limit_bytes(memory.device));
    if (!budget.ok()) return budget.status();
    budgets.emplace_back(memory.device, *budget);
  }
  return budgets;
}

/// Calls change(model, bytes that the plan leaves for weights on its device) for the models on devices. Whether one was changed.
bool change_models(PreparedRun::State& state, const std::function<bool(Model&, uint64_t)>& change) {
  bool changed = false;
  for (const DeviceMemory& memory : state.plan.devices) {
    const uint64_t limit = state.host.devices().limit_bytes(memory.device);  // 0: the CPU
    const uint64_t fixed = memory.peak_bytes - memory.weight_bytes;
    for (const PlannedModelEntry& entry : state.plan.models) {
      if (!sdk::same_device(entry.model.estimate.device, memory.device) || fixed >= limit) continue;
      changed |= change(*state.models.at(entry.model.handle), limit - fixed);
    }
  }
  return changed;
}

/// Asks models that are too large for what a plan leaves of their devices to leave parts of themselves on the CPU.
bool offload_models(PreparedRun::State& state) {
  return change_models(state, [&](Model& model, uint64_t room) {
    return model.estimate().resident_bytes > room && state.host.models().offload(model, room).ok();
  });
}

/// Asks those that did so for an earlier run, and have room in this one, to be whole again.
bool bring_back_models(PreparedRun::State& state) {
  return change_models(state, [&](Model& model, uint64_t room) {
    return model.estimate().offloaded_bytes > 0 && model.whole_bytes() <= room &&
           state.host.models().bring_back(model).ok();
  });
}

/// Whether there are some that would be whole, had this plan the room.
bool models_wait_for_room(PreparedRun::State& state) {
  return std::ranges::any_of(state.plan.models, [&](const PlannedModelEntry& entry) {
    const Model& model = *state.models.at(entry.model.handle);
    return model.estimate().offloaded_bytes > 0 && !model.is_in_plan();
  });
}

/// Makes state.plan for `items` items at once, with as many elements of a for_each going through subgraphs together as the
/// limit allows; if may_offload, with parts of models left on the CPU where a device has too little for them. Models are whole
/// where it has enough.
Result<Budgets> plan_within(uint64_t limit_bytes, uint32_t items, bool may_offload,
                            std::span<const sdk::Value> inputs, PlanEnvironment& environment,
                            PreparedRun::State& state) {
  PlanWidth width{.items_at_once = items, .instances = state.host.threads()};
  for (bool came_back = false;;) {
    auto plan = create_plan(state.graph, inputs, environment, width, state.input_bounds);
    if (!plan.ok()) return plan.status();
    state.plan = std::move(*plan);
    state.items_at_once = items;
    auto budgets = check_budgets(limit_bytes, state);
    const uint32_t at_once = std::min(width.elements_at_once, elements_at_once(state.plan));
    if (budgets.ok()) {
      if (!came_back && bring_back_models(state)) {
        came_back = true;
        continue;
      }
      // As where the model was whole before: fewer at once come before layers on the CPU.
      const bool fewer_may_do = at_once > 1 || (items > 1 && !may_offload);
      if (!fewer_may_do || !models_wait_for_room(state)) return budgets;
      budgets = Status(StatusCode::kOutOfMemory, "with fewer at once models are whole");
    }
    width.elements_at_once = std::max(at_once / 2, 1u);
    if (at_once > 1) continue;
    const bool short_of_memory = budgets.code() == StatusCode::kOutOfMemory;
    if (!may_offload || !short_of_memory || !offload_models(state)) return budgets;
  }
}

/// The same for as many items as pay off and fit: those that fill the largest batch, and some that other nodes work on.
Result<Budgets> plan_useful_items(const RunOptions& options, std::span<const sdk::Value> inputs,
                                  PlanEnvironment& environment, PreparedRun::State& state) {
  auto budgets = plan_within(0, kMostItemsAtOnce, false, inputs, environment, state);
  if (!budgets.ok() && budgets.code() != StatusCode::kOutOfMemory) return budgets;
  const uint64_t limit = options.max_memory_bytes;
  uint32_t items = std::min(useful_items(state.plan) + state.host.threads() + 1, kMostItemsAtOnce);
  for (; items > 1; items /= 2) {
    budgets = plan_within(limit != 0 ? limit : options.items->available_bytes, items, false, inputs,
                          environment, state);
    if (!budgets.ok()) continue;
    if (limit == 0) budgets->front().second = Budget{};  // the CPU's
    return budgets;
  }
  return plan_within(limit, 1, true, inputs, environment, state);
}

/// By input: 1 if each item brings its own; empty where there are no items.
std::vector<uint8_t> varying_inputs(const PreparedRun::State& state, const RunOptions& options) {
  std::vector<uint8_t> varying;
  for (size_t i = 0; options.items && i < state.item.inputs.size(); ++i)
    varying.push_back(state.item.inputs[i] ? 0 : 1);
  return varying;
}

/// Of what the user asked for; "" for nothing.
Result<std::string> full_device_name(const std::string& given) {
  if (given.empty()) return given;
  const std::optional<weft_device> device = sdk::device_named(given);
  if (device) return sdk::device_name(*device);
  return Status(StatusCode::kInvalidArgument, "this is not the name of a device")
      .expected(sdk::kDeviceNames)
      .got("'" + given + "'")
      .hint("`weft doctor` lists the devices of this machine");
}

void note_item_seeds(const CompiledGraph& graph, PreparedRun::State& state) {
  for (const CompiledNode& node : graph.nodes) {
    for (const std::string& parameter : node.item_seeds)
      state.item_seeds.emplace_back(node.planned->path, parameter);
    if (node.child) note_item_seeds(*node.child, state);
  }
}

void flatten(const std::vector<PlannedNode>& nodes, std::vector<const PlannedNode*>& flat) {
  for (const PlannedNode& node : nodes) {
    flat.push_back(&node);
    flatten(node.children, flat);
  }
}

}  // namespace

PreparedRun::PreparedRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
PreparedRun::PreparedRun(PreparedRun&&) noexcept = default;
PreparedRun& PreparedRun::operator=(PreparedRun&&) noexcept = default;
PreparedRun::~PreparedRun() = default;

const Graph& PreparedRun::graph() const { return state_->graph; }
const Plan& PreparedRun::plan() const { return state_->plan; }
const std::vector<DrawnSeed>& PreparedRun::drawn_seeds() const { return state_->item.seeds; }
uint32_t PreparedRun::items_at_once() const { return state_->items_at_once; }
bool PreparedRun::shared_by_items() const { return state_->sharing != nullptr; }
bool PreparedRun::models_unchanged() const {
  return std::all_of(state_->opened.begin(), state_->opened.end(), [&](const auto& opened) {
    const auto now = state_->host.models().open(opened.first);
    return now.ok() && *now == opened.second;
  });
}

std::vector<UsedModel> PreparedRun::used_models() const {
  std::vector<UsedModel> used;
  for (const PlannedModelEntry& entry : state_->plan.models) {
    const Model& model = *state_->models.at(entry.model.handle);
    used.push_back({entry.name, model.path().string(), model.sha256()});
    for (const ModelPart& part : model.parts()) used.push_back({entry.name, part.path.string(), part.sha256});
  }
  return used;
}

Result<PreparedRun> prepare_run(const Graph& graph, const PluginProvider& plugins, Host& host,
                                const RunOptions& options) {
  auto state = std::make_unique<PreparedRun::State>(graph, host);
  auto inputs = make_inputs(graph, options, host.cpu_pool());
  if (!inputs.ok()) return inputs.status();
  state->item.inputs = std::move(*inputs);
  state->input_bounds = input_bounds(graph, options);
  std::vector<sdk::Value> known;
  for (const Value& value : state->item.inputs) known.push_back(value ? to_sdk(value) : sdk::Value());

  auto wished = full_device_name(options.device);
  if (!wished.ok()) return wished.status();
  RunEnvironment environment(*state, plugins, options, *std::move(wished));
  const std::filesystem::path folder = graph.folder.empty() ? "." : graph.folder;
  const KnownFiles::Scope files(host.known_files(), folder, options.readable_files);
  const uint32_t items = options.items ? options.items->at_once : 1;
  auto budgets = items == 0 ? plan_useful_items(options, known, environment, *state)
                            : plan_within(options.max_memory_bytes, items, true, known, environment, *state);
  if (!budgets.ok()) return budgets.status();
  for (const PlannedModelEntry& entry : state->plan.models)
    state->places.push_back(state->models.at(entry.model.handle)->place());
  for (const auto& [device, budget] : *budgets) {
    const bool turns = budget.models == Budget::Models::kTakeTurns;
    // Weights of earlier runs may stay on the CPU; a device has no more than it has.
    const bool within = turns || device.kind != WEFT_DEVICE_CPU;
    host.models().set_limit_bytes(device, within ? budget.model_bytes : host.options().max_memory_bytes);
  }

  const CompileOptions compile{
      .varying_inputs = varying_inputs(*state, options),
      .model_of = [&](void* handle) { return state->models.at(handle); },
      .cache_key = [&](const CompiledNode& node) { return cache_key_of(node, *state, options); }};
  uint32_t next_flat = 0;
  state->compiled = compile_graph(graph, state->plan.nodes, state->plan, compile, next_flat);
  flatten(state->plan.nodes, state->flat);
  note_item_seeds(state->compiled, *state);
  state->sharing = options.items ? std::make_unique<Sharing>() : nullptr;
  return PreparedRun(std::move(state));
}

}  // namespace weft
