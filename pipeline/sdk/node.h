/// A node as a C++ class, and the C functions that the host calls for it.
///
/// A node class T has a constructor T(const NodeConfig&), or, if creation can fail,
///   static Result<std::unique_ptr<T>> create(const NodeConfig& config);
/// and
///   Status prepare(Specs inputs, Plan plan);   // bounds of the outputs, workspace, largest batch
/// and one of
///   Status run(Request& request, const Execution& execution);                   // one request at a time
///   Status execute(std::span<Request> requests, const Execution& execution);    // a batch; completes each request
/// The host never calls two of them at once on one object. A T that throws fails the request, not the program.
#ifndef WEFT_SDK_NODE_H
#define WEFT_SDK_NODE_H

#include <weft/abi/node.h>
#include <weft/sdk/request.h>

#include <algorithm>
#include <concepts>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft::sdk {

/// What a node is created from; for the duration of creation. Parameters and models live until the node is destroyed.
class NodeConfig {
 public:
  NodeConfig(const weft_host* host, const weft_node_config* config) : host_(host), config_(config) {}
  Host host() const { return Host(host_); }
  /// The node's name in the pipeline, for messages.
  std::string_view name() const { return config_->name; }
  /// Per-request parameters hold their defaults here; read those from the request.
  Parameters parameters() const { return Parameters(host_, config_->parameters); }
  /// The model that parameter `parameter` names, as the class that the model type was declared with; NULL if none is.
  template <typename Model>
  Model* model(std::string_view parameter) const {
    for (size_t i = 0; i < config_->n_models; ++i) {
      if (parameter == config_->models[i].parameter) return static_cast<Model*>(config_->models[i].model);
    }
    return nullptr;
  }
  /// Most requests that one execute can have at a time; 0 where that is not known.
  uint32_t max_requests() const { return config_->max_requests; }
  /// Declared inputs first, then (WEFT_NODE_EXTRA_INPUTS) further ones in file order.
  size_t n_inputs() const { return config_->n_inputs; }
  std::string_view input_name(size_t port) const { return config_->inputs[port]; }
  bool input_connected(size_t port) const { return config_->input_connected[port] != 0; }
  /// Declared outputs first, then (WEFT_NODE_EXTRA_OUTPUTS) further ones, those that the pipeline refers to.
  size_t n_outputs() const { return config_->n_outputs; }
  std::string_view output_name(size_t port) const { return config_->outputs[port]; }
  /// The day of the run: seconds from 1970-01-01T00:00:00 to its first moment, in local time. Asking makes results depend
  /// on it, so ask only if they do. 0 under a host that has no days.
  int64_t today_seconds() const { return config_->today != nullptr ? config_->today(config_->self) : 0; }

 private:
  const weft_host* host_;
  const weft_node_config* config_;
};

/// The bounds of a node's inputs, by port.
class Specs {
 public:
  Specs(const weft_spec* specs, size_t count) : specs_(specs), count_(count) {}
  size_t size() const { return count_; }
  const weft_spec& operator[](size_t port) const {  // the host's struct may be longer than this header's
    const auto* bytes = reinterpret_cast<const unsigned char*>(specs_);
    return *reinterpret_cast<const weft_spec*>(bytes + port * specs_->struct_size);
  }

 private:
  const weft_spec* specs_;
  size_t count_;
};

inline weft_spec spec(weft_kind kind) {
  weft_spec result{};
  result.struct_size = sizeof result;
  result.kind = kind;
  result.max_bytes = WEFT_UNBOUNDED;
  result.max_count = WEFT_UNBOUNDED;
  return result;
}
/// Text, json, path or bytes of at most max_bytes, or WEFT_UNBOUNDED.
inline weft_spec bytes_spec(int64_t max_bytes) {
  weft_spec result = spec(WEFT_KIND_BYTES);
  result.max_bytes = max_bytes;
  return result;
}
/// A tensor with exact or largest extents; at most WEFT_MAX_RANK of them.
inline weft_spec tensor_spec(weft_dtype dtype, std::span<const int64_t> shape,
                             weft_device device = {WEFT_DEVICE_CPU, 0}) {
  weft_spec result = spec(WEFT_KIND_TENSOR);
  result.dtype = dtype;
  result.device = device;
  for (int64_t extent : shape) {
    if (result.rank < WEFT_MAX_RANK) result.shape[result.rank++] = extent;
  }
  return result;
}
/// A list of at most max_count elements, each of at most max_element_bytes; WEFT_UNBOUNDED where not known.
inline weft_spec list_spec(int64_t max_count, int64_t max_element_bytes) {
  weft_spec result = spec(WEFT_KIND_LIST);
  result.max_count = max_count;
  result.max_bytes = max_element_bytes;
  return result;
}

/// What prepare fills in.
class Plan {
 public:
  explicit Plan(weft_node_plan* plan) : plan_(plan) {}
  size_t n_outputs() const { return plan_->n_outputs; }
  /// Each output port gets exact or upper bounds: spec(...), bytes_spec(...), tensor_spec(...), list_spec(...), or those of
  /// an input. `bounds.value` is not taken over: an output is not known before it is made.
  void set_output(size_t port, weft_spec bounds) const {
    bounds.value = nullptr;
    auto* bytes = reinterpret_cast<unsigned char*>(plan_->outputs);
    const uint32_t stride = plan_->outputs->struct_size;
    unsigned char* target = bytes + port * stride;
    std::memcpy(target, &bounds, std::min<size_t>(stride, sizeof bounds));
    std::memcpy(target, &stride, sizeof stride);
  }
  /// Most requests that one execute has at a time; 1 unless set.
  void set_max_batch(uint32_t requests) const { plan_->max_batch = requests; }
  /// How many at once it takes until more of them save nothing, where that is fewer than max_batch.
  void set_useful_batch(uint32_t requests) const { plan_->useful_batch = requests; }
  /// Scratch memory given to each execute.
  void set_workspace_bytes(uint64_t size_bytes) const { plan_->workspace_bytes = size_bytes; }
  /// What the node itself holds between calls, such as a KV cache.
  void set_state_bytes(uint64_t size_bytes) const { plan_->state_bytes = size_bytes; }
  /// Where it computes, and has workspace and state; the CPU unless set.
  void set_device(weft_device device) const { plan_->device = device; }
  /// Rough duration of one request on one core.
  void set_cost_seconds(double seconds) const { plan_->cost_seconds = seconds; }

 private:
  weft_node_plan* plan_;
};

/// The C functions of node class T.
template <typename T>
class NodeFunctions {
  struct Instance {
    Host host;
    std::unique_ptr<T> node;
  };

  static weft_status create(const weft_host* host, const weft_node_config* config, void** out,
                            weft_error* error) noexcept {
    return barrier(error, [&]() -> Status {
      const NodeConfig node_config(host, config);
      auto instance = std::make_unique<Instance>(Instance{Host(host), nullptr});
      if constexpr (requires { T::create(node_config); }) {
        Result<std::unique_ptr<T>> node = T::create(node_config);
        if (!node.ok()) return node.status();
        instance->node = *std::move(node);
      } else {
        instance->node = std::make_unique<T>(node_config);
      }
      *out = instance.release();
      return {};
    });
  }

  static weft_status prepare(void* self, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                             weft_error* error) noexcept {
    return barrier(error, [&]() -> Status {
      plan->max_batch = 1;
      return static_cast<Instance*>(self)->node->prepare(Specs(inputs, n_inputs), Plan(plan));
    });
  }

  static weft_status execute(void* self, weft_request* const* requests, size_t n,
                             const weft_execution* c_execution, weft_error* error) noexcept {
    return barrier(error, [&]() -> Status {
      Instance& instance = *static_cast<Instance*>(self);
      const Execution execution(instance.host, c_execution);
      if constexpr (requires(Request & request) { instance.node->run(request, execution); }) {
        for (size_t i = 0; i < n; ++i) {
          Request request(instance.host, requests[i]);
          const Status status = guarded([&] { return instance.node->run(request, execution); });
          request.complete(status);
        }
        return {};
      } else {
        std::vector<Request> batch;
        batch.reserve(n);
        for (size_t i = 0; i < n; ++i) batch.emplace_back(instance.host, requests[i]);
        Status status = instance.node->execute(std::span<Request>(batch), execution);
        if (!status.ok()) return status;  // fails the requests that are not completed
        const auto answer = [](Request& request) {
          if (!request.completed())
            request.complete(Status(StatusCode::kInternal, "the node left a request unanswered"));
        };
        std::for_each(batch.begin(), batch.end(), answer);
        std::for_each(execution.joined().begin(), execution.joined().end(), answer);
        return {};
      }
    });
  }

  static void destroy(void* self) noexcept { delete static_cast<Instance*>(self); }

 public:
  static constexpr weft_node_api kApi = {sizeof(weft_node_api), 0, create, prepare, execute, destroy};
};

}  // namespace weft::sdk
#endif
