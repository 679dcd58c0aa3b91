#include "pipeline/check/watched_node.h"

#include <algorithm>
#include <cassert>
#include <exception>
#include <utility>

#include "pipeline/check/checks.h"

namespace weft {
namespace {

WatchedNode* the_node = nullptr;  // see the header

}  // namespace

template <typename Call>
auto WatchedNode::untimed(Call&& call) {
  {
    const std::lock_guard lock(mutex_);
    if (host_calls_++ == 0) host_since_ = Clock::now();
  }
  const auto result = call();
  const std::lock_guard lock(mutex_);
  if (--host_calls_ == 0) {
    const Clock::time_point now = Clock::now();
    if (began_ && cancelled_) host_time_ += now - std::max({*began_, *cancelled_, *host_since_});
    host_since_.reset();
  }
  return result;
}

struct WatchedNode::Calls {
  // ---- the plugin's functions, called by the host ----

  // Calls one of them, lets no exception through, and asks failures for a message.
  template <typename Call>
  static weft_status guarded(const char* function, weft_error* error, Call&& call) {
    weft_error own{};
    own.struct_size = sizeof own;
    weft_error* const filled = error != nullptr ? error : &own;
    try {
      const weft_status status = call(filled);
      if (status != WEFT_OK && filled->message[0] == '\0') {
        the_node->breach(checks::kErrors, std::string(function) + " failed with status " +
                                              std::to_string(status) + " and without a message");
      }
      return status;
    } catch (const std::exception& exception) {
      escaped(function, exception.what());
    } catch (...) {
      escaped(function, "of an unknown type");
    }
    return WEFT_INTERNAL;
  }
  static void escaped(const char* function, const char* what) {
    the_node->breach(checks::kExceptions, std::string("an exception left ") + function + ": " + what);
  }

  static weft_status create(const weft_host* host, const weft_node_config* config, void** node,
                            weft_error* error) {
    const weft_host* watched = the_node->watch(host);
    return guarded("create", error,
                   [&](weft_error* e) { return the_node->real_.api->create(watched, config, node, e); });
  }
  static weft_status prepare(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                             weft_error* error) {
    return guarded("prepare", error, [&](weft_error* e) {
      return the_node->real_.api->prepare(node, inputs, n_inputs, plan, e);
    });
  }
  static weft_status execute(void* node, weft_request* const* requests, size_t n,
                             const weft_execution* execution, weft_error* error) {
    the_node->begin_execute();
    const weft_status status = guarded("execute", error, [&](weft_error* e) {
      return the_node->real_.api->execute(node, requests, n, execution, e);
    });
    the_node->end_execute();
    return status;
  }
  static void destroy(void* node) {
    guarded("destroy", nullptr, [&](weft_error*) { return the_node->real_.api->destroy(node), WEFT_OK; });
  }

  // ---- the host's functions, called by the plugin ----

  static weft_status allocate(void* self, const weft_allocation* request, weft_stream* stream,
                              weft_buffer** out, weft_error* error) {
    const weft_memory_api* memory = static_cast<Watched*>(self)->real->memory;
    const weft_status status =
        the_node->untimed([&] { return memory->allocate(memory->self, request, stream, out, error); });
    if (status == WEFT_OK) {
      the_node->take(*out, "a buffer of " + std::to_string(request->size_bytes) + " bytes" +
                               (request->tag != nullptr ? " ('" + std::string(request->tag) + "')" : ""));
    }
    return status;
  }
  static weft_status statistics(void* self, weft_device device, weft_memory_statistics* out) {
    const weft_memory_api* memory = static_cast<Watched*>(self)->real->memory;
    return memory->statistics(memory->self, device, out);
  }
  static void retain_buffer(weft_buffer* buffer) {
    the_node->take(buffer, "a buffer");
    the_node->real_memory_->retain(buffer);
  }
  static void release_buffer(weft_buffer* buffer, weft_stream* last_use) {
    if (buffer == nullptr || !the_node->give_back(buffer, "buffer")) return;
    the_node->untimed([&] { return the_node->real_memory_->release(buffer, last_use), WEFT_OK; });
  }

  static weft_status made(weft_status status, weft_value** out, const char* what) {
    if (status == WEFT_OK) the_node->take(*out, std::string("a value (") + what + ")");
    return status;
  }
  static weft_status make_bool(int32_t value, weft_value** out) {
    return made(the_node->real_values_->make_bool(value, out), out, "bool");
  }
  static weft_status make_int(int64_t value, weft_value** out) {
    return made(the_node->real_values_->make_int(value, out), out, "int");
  }
  static weft_status make_float(double value, weft_value** out) {
    return made(the_node->real_values_->make_float(value, out), out, "float");
  }
  static weft_status make_bytes(const void* data, uint64_t size, const char* type, const char* media_type,
                                weft_value** out) {
    return made(the_node->real_values_->make_bytes(data, size, type, media_type, out), out, type);
  }
  static weft_status make_tensor(weft_buffer* buffer, const weft_tensor* view, const char* type,
                                 const char* attributes, weft_value** out) {
    return made(the_node->real_values_->make_tensor(buffer, view, type, attributes, out), out, type);
  }
  static weft_status make_list(const weft_value* const* items, size_t count, const char* element_type,
                               weft_value** out) {
    return made(the_node->real_values_->make_list(items, count, element_type, out), out, "list");
  }
  static void retain_value(const weft_value* value) {
    the_node->take(value, "a value");
    the_node->real_values_->retain(value);
  }
  static void release_value(const weft_value* value) {
    if (value != nullptr && the_node->give_back(value, "value")) the_node->real_values_->release(value);
  }

  static void complete(weft_request* request, weft_status status, const weft_error* error) {
    if (status != WEFT_OK && status != WEFT_CANCELLED && (error == nullptr || error->message[0] == '\0')) {
      the_node->breach(checks::kErrors, "a request was completed with status " + std::to_string(status) +
                                            " and without a message");
    }
    the_node->real_requests_->complete(request, status, error);
  }
};

WatchedNode::WatchedNode(const weft_node_type& type) : real_(type), type_(type), api_(*type.api) {
  assert(the_node == nullptr);
  the_node = this;
  api_.create = Calls::create;
  api_.prepare = Calls::prepare;
  api_.execute = Calls::execute;
  api_.destroy = Calls::destroy;
  type_.api = &api_;
}

WatchedNode::~WatchedNode() { the_node = nullptr; }

const weft_host* WatchedNode::watch(const weft_host* host) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Watched>& watched = hosts_[host];
  if (watched != nullptr) return &watched->host;
  // The functions without a context are the same for every host of a process.
  real_values_ = host->values;
  real_memory_ = host->memory;
  real_requests_ = host->requests;
  values_ = *host->values;
  values_.make_bool = Calls::make_bool;
  values_.make_int = Calls::make_int;
  values_.make_float = Calls::make_float;
  values_.make_bytes = Calls::make_bytes;
  values_.make_tensor = Calls::make_tensor;
  values_.make_list = Calls::make_list;
  values_.retain = Calls::retain_value;
  values_.release = Calls::release_value;
  requests_ = *host->requests;
  requests_.complete = Calls::complete;

  watched = std::make_unique<Watched>(Watched{*host, *host->memory, host, this});
  watched->memory.self = watched.get();
  watched->memory.allocate = Calls::allocate;
  watched->memory.statistics = Calls::statistics;
  watched->memory.retain = Calls::retain_buffer;
  watched->memory.release = Calls::release_buffer;
  watched->host.memory = &watched->memory;
  watched->host.values = &values_;
  watched->host.requests = &requests_;
  return &watched->host;
}

void WatchedNode::begin_execute() {
  const std::lock_guard lock(mutex_);
  began_ = Clock::now();
  host_time_ = {};
  executed_ = true;
  execute_began_.notify_all();
}

void WatchedNode::end_execute() {
  const std::lock_guard lock(mutex_);
  longest_ = worked_until(Clock::now());
  began_.reset();
}

std::chrono::nanoseconds WatchedNode::worked_until(Clock::time_point now) const {
  if (!began_ || !cancelled_) return longest_;
  const Clock::time_point from = std::max(*began_, *cancelled_);
  const auto at_memory = host_since_ ? now - std::max(from, *host_since_) : Clock::duration(0);
  return std::max<std::chrono::nanoseconds>(longest_, now - from - host_time_ - at_memory);
}

bool WatchedNode::wait_for_execute(Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return execute_began_.wait_until(lock, deadline, [this] { return executed_; });
}

void WatchedNode::reset_clock() {
  const std::lock_guard lock(mutex_);
  executed_ = false;
  cancelled_.reset();
  longest_ = {};
}

void WatchedNode::note_cancelled() {
  const std::lock_guard lock(mutex_);
  cancelled_ = Clock::now();
  host_time_ = {};
}

std::chrono::nanoseconds WatchedNode::after_cancel() const {
  const std::lock_guard lock(mutex_);
  return worked_until(Clock::now());
}

void WatchedNode::breach(const char* check, std::string detail) {
  const std::lock_guard lock(mutex_);
  breaches_.push_back({check, std::move(detail)});
}

void WatchedNode::take(const void* object, const std::string& what) {
  const std::lock_guard lock(mutex_);
  Reference& reference = references_[object];
  if (reference.count++ == 0) reference.what = what;
}

bool WatchedNode::give_back(const void* object, const char* kind) {
  const std::lock_guard lock(mutex_);
  const auto found = references_.find(object);
  if (found == references_.end()) {
    breaches_.push_back(
        {checks::kReferences, std::string("gave back a reference to a ") + kind + " that it did not own"});
    return false;
  }
  if (--found->second.count == 0) references_.erase(found);
  return true;
}

std::vector<WatchedNode::Breach> WatchedNode::take_breaches() {
  const std::lock_guard lock(mutex_);
  return std::exchange(breaches_, {});
}

std::vector<std::string> WatchedNode::held() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> held;
  for (const auto& [object, reference] : references_) held.push_back(reference.what);
  return held;
}

}  // namespace weft
