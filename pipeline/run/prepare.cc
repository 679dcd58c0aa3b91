#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <set>
#include <span>
#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/residency/models.h"
#include "pipeline/run/host.h"
#include "pipeline/run/run_state.h"

namespace weft {
namespace {

sdk::Value to_sdk(Value value) { return sdk::Value::adopt(value_api(), value.release()); }

int64_t draw_from_system() {
  uint32_t bits = 0;
  if (::getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) bits = 0;
  return bits & 0x7fffffff;  // every tool that a pipeline meets takes 31 bits
}

int64_t today_of_system() {
  const std::time_t now = std::time(nullptr);
  std::tm day{};
  ::localtime_r(&now, &day);
  day.tm_hour = day.tm_min = day.tm_sec = 0;
  return ::timegm(&day);  // of the local date, as if it were UTC's
}

/// The run's side of planning: loads plugins, opens models, makes values, draws seeds.
class RunEnvironment final : public PlanEnvironment {
 public:
  RunEnvironment(PreparedRun::State& state, const PluginProvider& plugins, const RunOptions& options)
      : state_(state), plugins_(plugins), options_(options) {
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
    return OpenModel{(*model)->handle(), (*model)->estimate(), (*model)->path().string()};
  }

  Result<sdk::Value> make_value(const std::string& json, const std::string& type) override {
    auto value = value_from_json(json, type, state_.host.cpu_pool());
    if (!value.ok()) return value.status();
    return to_sdk(std::move(*value));
  }

  Result<std::string> reference_text(const weft_value* value) override {
    return value_to_template_text(Value::share(value));
  }

  int64_t seed(const std::string& node, const std::string& parameter) override {
    return recorded_or(node, parameter,
                       [&] { return options_.draw_seed ? options_.draw_seed() : draw_from_system(); });
  }

  int64_t today(const std::string& node) override {
    return recorded_or(node, DrawnSeed::kToday,
                       [&] { return options_.today ? options_.today() : today_of_system(); });
  }

 private:
  template <typename Draw>
  int64_t recorded_or(const std::string& node, const std::string& parameter, Draw draw) {
    DrawnSeed drawn{node, parameter, 0};
    const auto recorded = std::find_if(
        options_.seeds.begin(), options_.seeds.end(),
        [&](const DrawnSeed& known) { return known.node == node && known.parameter == parameter; });
    if (recorded != options_.seeds.end()) {
      drawn.value = recorded->value;
    } else {
      drawn.value = draw();
    }
    const bool again = std::any_of(state_.seeds.begin(), state_.seeds.end(), [&](const DrawnSeed& known) {
      return known.node == node && known.parameter == parameter;
    });
    if (!again) state_.seeds.push_back(drawn);
    return drawn.value;
  }

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
  std::set<const PluginDescriptor*> used_;
};

Result<std::vector<Value>> make_inputs(const Graph& graph, const RunOptions& options, Pool& pool) {
  for (const auto& [name, given] : options.inputs) {
    const auto known =
        std::find_if(graph.inputs.begin(), graph.inputs.end(),
                     [&name = name](const PipelineInput& input) { return input.name == name; });
    if (known == graph.inputs.end()) {
      return Status(StatusCode::kInvalidArgument, "the pipeline has no input '" + name + "'");
    }
  }
  std::vector<Value> values;
  for (const PipelineInput& input : graph.inputs) {
    const auto given = options.inputs.find(input.name);
    Result<Value> value = Value();
    if (given != options.inputs.end()) {
      value = given->second.json.empty() ? value_from_argument(given->second.text, input.type, pool)
                                         : value_from_json(given->second.json, input.type, pool);
    } else if (input.default_json) {
      value = value_from_json(*input.default_json, input.type, pool);
    } else {
      return Status(StatusCode::kInvalidArgument, "the input '" + input.name + "' has no value")
          .hint("--set " + input.name + "=...");
    }
    if (!value.ok()) return value.status().at("input '" + input.name + "'");
    values.push_back(std::move(*value));
  }
  return values;
}

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
  const bool drawn = std::any_of(state.seeds.begin(), state.seeds.end(),
                                 [&](const DrawnSeed& seed) { return of_node(seed) && !is_day(seed); });
  // What a path leads to may change while the path does not.
  const bool names_file =
      std::any_of(type.parameters.begin(), type.parameters.end(), [&](const ParameterDescriptor& declared) {
        const ParameterValue* value =
            declared.type == "path" ? compiled.planned->parameters->find(declared.name) : nullptr;
        return value && *value != ParameterValue(std::string());
      });
  if (drawn || names_file) return std::nullopt;
  ResultKey key;
  key.plugin_sha256 = compiled.node->type.plugin->sha256;
  key.node_type = type.name;
  key.node_version = type.version;
  key.isa_level = options.isa_level;
  key.numerics_profile = options.numerics_profile;
  for (const DrawnSeed& day : state.seeds) {
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

/// Makes state.plan, with as many elements of a for_each going through subgraphs together as the limit allows.
Result<Budget> plan_within(uint64_t limit_bytes, std::span<const sdk::Value> inputs,
                           PlanEnvironment& environment, PreparedRun::State& state) {
  for (uint32_t elements = kMostElementsAtOnce;; elements /= 2) {
    auto plan = create_plan(state.graph, inputs, environment, elements);
    if (!plan.ok()) return plan.status();
    state.plan = std::move(*plan);
    auto budget = check_budget(state.plan, {WEFT_DEVICE_CPU, 0}, limit_bytes);
    elements = std::min(elements, elements_at_once(state.plan));
    if (budget.ok() || elements == 1) return budget;
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
const std::vector<DrawnSeed>& PreparedRun::drawn_seeds() const { return state_->seeds; }

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
  state->inputs = std::move(*inputs);
  std::vector<sdk::Value> known;
  for (const Value& value : state->inputs) known.push_back(to_sdk(value));

  RunEnvironment environment(*state, plugins, options);
  auto budget = plan_within(options.max_memory_bytes, known, environment, *state);
  if (!budget.ok()) return budget.status();
  const bool turns = budget->models == Budget::Models::kTakeTurns;
  host.models().set_limit_bytes(turns ? budget->model_bytes : host.options().max_memory_bytes);

  const CompileOptions compile{
      .model_of = [&](void* handle) { return state->models.at(handle); },
      .cache_key = [&](const CompiledNode& node) { return cache_key_of(node, *state, options); }};
  uint32_t next_flat = 0;
  state->compiled = compile_graph(graph, state->plan.nodes, state->plan, compile, next_flat);
  flatten(state->plan.nodes, state->flat);
  return PreparedRun(std::move(state));
}

}  // namespace weft
