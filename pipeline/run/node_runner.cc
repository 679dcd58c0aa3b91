#include "pipeline/run/node_runner.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <utility>

#include "pipeline/graph/graph.h"
#include "pipeline/graph/parameter_value.h"
#include "pipeline/loader/port_type.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/stream.h"
#include "pipeline/plan/parameters.h"
#include "pipeline/run/host.h"
#include "pipeline/run/output_folder.h"
#include "pipeline/run/request.h"

namespace weft {
namespace {

std::vector<ParameterDescriptor> describe_parameters(const weft_node_type& type) {
  std::vector<ParameterDescriptor> described;
  for (size_t i = 0; i < type.n_parameters; ++i) {
    const weft_parameter& from = type.parameters[i];
    ParameterDescriptor to;
    to.name = from.name;
    to.type = from.type;
    if (from.default_json) to.default_json = from.default_json;
    to.minimum = from.minimum;
    to.maximum = from.maximum;
    for (const char* const* choice = from.choices; choice && *choice; ++choice) to.choices.push_back(*choice);
    to.unit = from.unit ? from.unit : "";
    to.help = from.help ? from.help : "";
    to.per_request = (from.flags & WEFT_PARAMETER_PER_REQUEST) != 0;
    to.optional = (from.flags & WEFT_PARAMETER_OPTIONAL) != 0;
    described.push_back(std::move(to));
  }
  return described;
}

/// The exact bounds of a value that is there.
weft_spec spec_of(const Value& value) {
  weft_spec spec{};
  spec.struct_size = sizeof(spec);
  spec.device = {WEFT_DEVICE_CPU, 0};
  spec.max_bytes = spec.max_count = WEFT_UNBOUNDED;
  if (!value) return spec;
  spec.kind = value.kind();
  spec.value = value.get();
  if (value.kind() == WEFT_KIND_BYTES) spec.max_bytes = static_cast<int64_t>(value.bytes_view().size());
  if (value.kind() == WEFT_KIND_LIST) {
    spec.max_count = static_cast<int64_t>(value.size());
    spec.max_bytes = 0;
    for (size_t i = 0; i < value.size(); ++i) {
      spec.max_bytes = std::max(spec.max_bytes, static_cast<int64_t>(value.item(i).content_bytes()));
    }
  }
  if (value.kind() == WEFT_KIND_TENSOR) {
    weft_tensor view{};
    view.struct_size = sizeof(view);
    value_api()->get_tensor(value.get(), &view, nullptr, nullptr);
    spec.dtype = view.dtype;
    spec.rank = view.rank;
    std::copy(view.shape, view.shape + view.rank, spec.shape);
  }
  return spec;
}

/// Widens `bound` so that it covers `other` too.
void widen(weft_spec& bound, const weft_spec& other) {
  const auto larger = [](int64_t a, int64_t b) {
    return a < 0 || b < 0 ? int64_t{WEFT_UNBOUNDED} : std::max(a, b);
  };
  if (bound.kind != other.kind) bound.kind = 0;
  if (bound.dtype != other.dtype) bound.dtype = 0;
  if (bound.rank != other.rank) bound.kind = 0;
  bound.max_bytes = larger(bound.max_bytes, other.max_bytes);
  bound.max_count = larger(bound.max_count, other.max_count);
  for (int i = 0; i < bound.rank; ++i) bound.shape[i] = larger(bound.shape[i], other.shape[i]);
  bound.value = nullptr;
}

}  // namespace

struct NodeRunner::State final : RequestHost {
  State(Host& given_host, const weft_node_type& given_type, NodeRunnerOptions given_options)
      : host(given_host),
        type(given_type),
        options(std::move(given_options)),
        folder(options.out_folder, given_host.temporaries()) {}
  ~State() override {
    if (node) type.api->destroy(node);
  }

  Status create_node();
  Result<weft_node_plan> prepare(const std::vector<NodeRequest>& given);
  Result<std::vector<NodeResult>> run(const std::vector<NodeRequest>& given,
                                      std::chrono::milliseconds patience, Arrival arrival);
  /// Executes the requests from `first` on, as many as the node takes; how many those were.
  Result<size_t> execute(size_t first, const weft_node_plan& plan, std::chrono::milliseconds patience,
                         Arrival arrival);
  static size_t more(void* self, weft_request** requests, size_t capacity);
  void check_result(const weft_request& request);
  void note(std::string violation) {
    const std::lock_guard lock(mutex);
    violations.push_back(std::move(violation));
  }

  bool cancelled(const weft_request&) const override { return cancel.load(); }
  void on_start(weft_request&) override {}
  void on_part(const weft_request&, uint32_t, const Value&) override {}
  void on_progress(const weft_request& request, int64_t done, int64_t total, const char*) override {
    const std::lock_guard lock(mutex);
    results[request.element].progress_done = done;
    results[request.element].progress_total = total;
  }
  void on_file(const weft_request& request, const std::string& relative_path, uint64_t) override {
    const std::lock_guard lock(mutex);
    results[request.element].files.push_back(relative_path);
  }
  Status on_input_file(const std::filesystem::path&) override { return {}; }
  Status on_input_folder(const std::filesystem::path&) override { return {}; }
  void on_breach(weft_request&, const Status& breach) override { note(to_string(breach.error())); }
  void on_complete(weft_request& request) override {
    // A node that failed may leave its file to the host.
    if (folder.discard(request.writer()) > 0 && request.status.ok()) {
      note("a request completed with an output file that it neither committed nor will");
    }
    const std::lock_guard lock(mutex);
    --open;
    all_complete.notify_all();
  }
  OutputFolder& output_folder() override { return folder; }
  const std::filesystem::path& input_folder() const override { return options.in_folder; }
  const std::string& item() const override { return no_item; }
  const std::string& run_record() const override { return no_record; }

  Host& host;
  const weft_node_type& type;
  NodeRunnerOptions options;
  const std::string no_item, no_record;  // no pipeline runs here
  OutputFolder folder;
  std::shared_ptr<const weft_parameters> parameters;
  std::vector<std::string> input_names;
  std::vector<OutputPort> ports;
  std::vector<weft_spec> bounds;  // of the outputs
  std::string name = "node";
  void* node = nullptr;
  weft_stream stream;
  std::vector<weft_request> requests;
  std::vector<NodeResult> results;
  std::atomic<bool> cancel{false};
  std::mutex mutex;
  std::condition_variable all_complete;
  size_t open = 0, most_open = 1;
  size_t next = 0;  // the first request that the node has not got
  std::vector<std::string> violations;
};

Status NodeRunner::State::create_node() {
  const std::vector<ParameterDescriptor> declared = describe_parameters(type);
  std::vector<ParameterBinding> bindings;
  for (const auto& [parameter, json] : options.parameters_json) {
    const bool known =
        std::any_of(declared.begin(), declared.end(),
                    [&name = parameter](const ParameterDescriptor& d) { return d.name == name; });
    if (!known) return Status(StatusCode::kInvalidArgument, "the node has no parameter '" + parameter + "'");
    bindings.push_back({parameter, Literal(std::in_place_index<0>, json), {}});
  }
  auto made = make_parameters(
      declared, bindings, [](const Source&) { return true; },
      [](Source) -> Result<std::string> {
        return Status(StatusCode::kInvalidArgument, "a runner has no other nodes to refer to");
      });
  if (!made.ok()) return made.status();
  for (const ParameterDescriptor& parameter : declared) {
    // A seed that nobody gave is 0 here, so that a test repeats.
    if (parameter.type == "seed" && !made->find(parameter.name))
      set_parameter(*made, parameter.name, int64_t{0});
  }
  parameters = std::make_shared<const weft_parameters>(std::move(*made));
  for (size_t i = 0; i < type.n_inputs; ++i) input_names.emplace_back(type.inputs[i].name);
  input_names.insert(input_names.end(), options.extra_inputs.begin(), options.extra_inputs.end());
  bounds.resize(type.n_outputs + options.extra_outputs.size());
  for (size_t i = 0; i < type.n_outputs; ++i)
    ports.push_back({type.outputs[i].name, type.outputs[i].type, &bounds[i]});
  for (const std::string& output : options.extra_outputs)
    ports.push_back({output, kExtraOutputType, &bounds[ports.size()]});

  std::vector<const char*> inputs;
  for (const std::string& input : input_names) inputs.push_back(input.c_str());
  const std::vector<uint8_t> connected(inputs.size(), 1);
  std::vector<const char*> outputs;
  for (const OutputPort& port : ports) outputs.push_back(port.name.c_str());
  std::vector<weft_named_model> models;
  for (const auto& [parameter, model] : options.models) models.push_back({parameter.c_str(), model});
  weft_node_config config{};
  config.struct_size = sizeof(config);
  config.name = name.c_str();
  config.parameters = parameters.get();
  config.models = models.data();
  config.n_models = models.size();
  config.inputs = inputs.data();
  config.n_inputs = inputs.size();
  config.input_connected = connected.data();
  config.outputs = outputs.data();
  config.n_outputs = outputs.size();
  return sdk::guarded([&] {
    return sdk::checked(
        [&](weft_error* error) { return type.api->create(host.table(), &config, &node, error); });
  });
}

Result<weft_node_plan> NodeRunner::State::prepare(const std::vector<NodeRequest>& given) {
  std::vector<weft_spec> inputs;
  for (size_t port = 0; port < input_names.size(); ++port) {
    const auto value_at = [&](const NodeRequest& request) {
      return port < request.inputs.size() ? request.inputs[port] : Value();
    };
    weft_spec bound = spec_of(value_at(given[0]));
    for (size_t i = 1; i < given.size(); ++i) widen(bound, spec_of(value_at(given[i])));
    inputs.push_back(bound);
  }
  for (weft_spec& bound : bounds) bound = spec_of(Value());
  weft_node_plan plan{};
  plan.struct_size = sizeof(plan);
  plan.max_batch = 1;
  plan.outputs = bounds.data();
  plan.n_outputs = bounds.size();
  plan.device = {WEFT_DEVICE_CPU, 0};
  Status status = sdk::guarded([&] {
    return sdk::checked([&](weft_error* error) {
      return type.api->prepare(node, inputs.data(), inputs.size(), &plan, error);
    });
  });
  if (!status.ok()) return status;
  if (plan.max_batch == 0) {
    note("prepare left max_batch at 0");
    plan.max_batch = 1;
  }
  return plan;
}

// The next request, as long as no more are open than the node takes.
size_t NodeRunner::State::more(void* self, weft_request** into, size_t capacity) {
  auto& state = *static_cast<State*>(self);
  const std::lock_guard lock(state.mutex);
  if (capacity == 0 || state.next == state.requests.size() || state.open >= state.most_open) return 0;
  ++state.open;
  into[0] = &state.requests[state.next++];
  return 1;
}

Result<size_t> NodeRunner::State::execute(size_t first, const weft_node_plan& plan,
                                          std::chrono::milliseconds patience, Arrival arrival) {
  Buffer workspace;
  if (plan.workspace_bytes > 0) {
    auto allocated = allocate_buffer(host.cpu_pool(), plan.workspace_bytes, 64, &stream, "workspace");
    if (!allocated.ok()) return allocated.status();
    workspace = std::move(*allocated);
  }
  const size_t largest = arrival == Arrival::kOneByOne ? 1 : plan.max_batch;
  std::vector<weft_request*> batch;
  for (size_t i = first; i < requests.size() && batch.size() < largest; ++i) batch.push_back(&requests[i]);
  {
    const std::lock_guard lock(mutex);
    open = batch.size();
    next = first + batch.size();
    most_open = plan.max_batch;
  }
  weft_execution execution{};
  execution.struct_size = sizeof(execution);
  execution.stream = &stream;
  execution.workspace = workspace.data();
  execution.workspace_bytes = plan.workspace_bytes;
  execution.self = this;
  execution.more = arrival == Arrival::kOneByOne ? more : nullptr;
  Status status = sdk::guarded([&] {
    return sdk::checked([&](weft_error* error) {
      return type.api->execute(node, batch.data(), batch.size(), &execution, error);
    });
  });
  for (size_t i = first; i < next; ++i) {
    if (status.ok() || requests[i].completed.exchange(true)) continue;
    requests[i].status = status;
    on_complete(requests[i]);
  }
  std::unique_lock lock(mutex);
  if (!all_complete.wait_for(lock, patience, [&] { return open == 0; })) {
    return Status(StatusCode::kTimedOut, "requests are still open long after execute returned")
        .got(std::to_string(open) + " of " + std::to_string(next - first));
  }
  return next - first;
}

void NodeRunner::State::check_result(const weft_request& request) {
  if (!request.status.ok()) return;
  for (size_t port = 0; port < ports.size(); ++port) {
    const std::string output = "output '" + ports[port].name + "'";
    if (!request.outputs[port]) {
      const bool optional = port < type.n_outputs && (type.outputs[port].flags & WEFT_PORT_OPTIONAL) != 0;
      if (!optional) note(output + " is not optional and was not set");
      continue;
    }
    if (port >= request.parts.size() || request.parts[port].count == 0) continue;
    const weft_request::Parts& parts = request.parts[port];
    const bool equal =
        request.outputs[port].kind() != WEFT_KIND_BYTES || request.outputs[port].bytes_view() == parts.bytes;
    if (!equal) note(output + " is not the concatenation of its streamed parts");
  }
}

Result<std::vector<NodeResult>> NodeRunner::State::run(const std::vector<NodeRequest>& given,
                                                       std::chrono::milliseconds patience, Arrival arrival) {
  if (given.empty()) return std::vector<NodeResult>();
  auto plan = prepare(given);
  if (!plan.ok()) return plan.status();
  results = std::vector<NodeResult>(given.size());
  requests.clear();
  requests.reserve(given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    weft_request& request = requests.emplace_back();
    request.host = this;
    request.ports = &ports;
    request.node = &name;
    request.element = static_cast<uint32_t>(i);
    request.inputs = given[i].inputs;
    request.inputs.resize(input_names.size());
    request.parameters = parameters;
    request.outputs.resize(ports.size());
  }
  for (size_t first = 0; first < requests.size();) {
    const Result<size_t> done = execute(first, *plan, patience, arrival);
    if (!done.ok()) return done.status();
    first += *done;
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    check_result(requests[i]);
    results[i].status = requests[i].status;
    results[i].outputs = std::move(requests[i].outputs);
    results[i].part_counts.resize(ports.size());
    for (size_t port = 0; port < requests[i].parts.size(); ++port) {
      results[i].part_counts[port] = requests[i].parts[port].count;
    }
  }
  requests.clear();
  return std::move(results);
}

NodeRunner::NodeRunner(std::unique_ptr<State> state) : state_(std::move(state)) {}
NodeRunner::NodeRunner(NodeRunner&&) noexcept = default;
NodeRunner& NodeRunner::operator=(NodeRunner&&) noexcept = default;
NodeRunner::~NodeRunner() = default;

Result<NodeRunner> NodeRunner::create(Host& host, const weft_node_type& type, NodeRunnerOptions options) {
  auto state = std::make_unique<State>(host, type, std::move(options));
  if (Status status = state->create_node(); !status.ok()) return status;
  return NodeRunner(std::move(state));
}

Result<std::vector<NodeResult>> NodeRunner::run(const std::vector<NodeRequest>& requests,
                                                std::chrono::milliseconds patience, Arrival arrival) {
  return state_->run(requests, patience, arrival);
}

void NodeRunner::cancel() { state_->cancel.store(true); }

const std::vector<std::string>& NodeRunner::violations() const { return state_->violations; }

}  // namespace weft
