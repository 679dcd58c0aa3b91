#include "pipeline/run/request.h"

#include <weft/sdk/error.h>

#include <utility>

#include "pipeline/loader/port_type.h"
#include "pipeline/run/input_files.h"

namespace fs = std::filesystem;

weft_request::weft_request(weft_request&& other) noexcept
    : host(other.host),
      ports(other.ports),
      node(other.node),
      element(other.element),
      lane(other.lane),
      place(std::move(other.place)),
      outer_elements(other.outer_elements),
      inputs(std::move(other.inputs)),
      parameters(std::move(other.parameters)),
      outputs(std::move(other.outputs)),
      parts(std::move(other.parts)),
      status(std::move(other.status)),
      breach(std::move(other.breach)),
      began_files(other.began_files),
      joined_bytes(other.joined_bytes),
      completed(other.completed.load(std::memory_order_relaxed)) {}

std::string weft_request::describe() const {
  return "node '" + *node + "'" + (element > 0 ? ", element " + std::to_string(element) : "");
}

void weft_request::reset() {
  for (weft::Value& output : outputs) output = {};
  parts.clear();
  status = {};
  breach = {};
  began_files = false;
  joined_bytes = 0;
  completed.store(false, std::memory_order_relaxed);
}

weft::Status weft_request::join_parts() {
  for (size_t port = 0; port < parts.size(); ++port) {
    const Parts& part = parts[port];
    if (part.count == 0 || outputs[port]) continue;
    const bool is_list = part.type.starts_with("list<");
    auto joined = is_list ? weft::Value::list(part.items, part.type.substr(5, part.type.size() - 6).c_str())
                          : weft::Value::bytes(part.bytes, part.type.c_str());
    if (!joined.ok()) return joined.status();
    outputs[port] = std::move(*joined);
    joined_bytes += part.bytes.size();
  }
  return {};
}

namespace weft {
namespace {

/// Notes a breach of the contract and gives its code.
weft_status refuse(weft_request* request, const Status& status) {
  const auto code = static_cast<weft_status>(status.code());
  // After its completion a request is the host's again.
  if (!request->completed.load(std::memory_order_relaxed) && request->breach.ok()) request->breach = status;
  (void)sdk::guarded([&] { return request->host->on_breach(*request, status), Status(); });
  return code;
}

Status port_error(const weft_request& request, size_t port, StatusCode code, std::string message) {
  const std::string name = port < request.ports->size() ? (*request.ports)[port].name : std::to_string(port);
  return Status(code, std::move(message)).at("output '" + name + "'");
}

/// Whether the node may still use the request and the port exists.
Status check_port(const weft_request& request, size_t port) {
  if (request.completed.load(std::memory_order_relaxed)) {
    return port_error(request, port, StatusCode::kInvalidArgument,
                      "an output came after the request was completed");
  }
  if (port >= request.ports->size()) {
    return port_error(request, port, StatusCode::kInvalidArgument, "the node has no output of that number");
  }
  return {};
}

const weft_value* input(weft_request* request, size_t port) {
  return port < request->inputs.size() ? request->inputs[port].get() : nullptr;
}

const weft_parameters* parameters(weft_request* request) { return request->parameters.get(); }

weft_status emit(weft_request* request, size_t port, const weft_value* handle) {
  Status status = sdk::guarded([&]() -> Status {
    if (Status wrong = check_port(*request, port); !wrong.ok()) return wrong;
    if (!handle) return port_error(*request, port, StatusCode::kInvalidArgument, "a part is no value");
    const Value part = Value::share(handle);
    const OutputPort& declared = (*request->ports)[port];
    if (!port_type_satisfies(part.type(), declared.type) ||
        (part.kind() != WEFT_KIND_BYTES && part.kind() != WEFT_KIND_LIST)) {
      return port_error(*request, port, StatusCode::kInvalidArgument, "a part has the wrong type")
          .expected(declared.type + ", text-like or a list")
          .got(part.type());
    }
    if (request->parts.empty()) request->parts.resize(request->ports->size());
    weft_request::Parts& parts = request->parts[port];
    if (parts.count > 0 && parts.type != part.type()) {
      return port_error(*request, port, StatusCode::kInvalidArgument,
                        "parts of one output have different types");
    }
    parts.type = part.type();
    if (part.kind() == WEFT_KIND_BYTES) {
      parts.bytes += part.bytes_view();
    } else {
      for (size_t i = 0; i < part.size(); ++i) parts.items.push_back(part.item(i));
    }
    ++parts.count;
    const int64_t bound = declared.bound ? declared.bound->max_bytes : WEFT_UNBOUNDED;
    if (bound >= 0 && declared.bound->kind == WEFT_KIND_BYTES &&
        parts.bytes.size() > static_cast<uint64_t>(bound)) {
      return port_error(*request, port, StatusCode::kOutOfRange, "streamed parts exceed the declared bound")
          .expected("at most " + std::to_string(bound) + " bytes");
    }
    request->host->on_part(*request, static_cast<uint32_t>(port), part);
    return {};
  });
  return status.ok() ? WEFT_OK : refuse(request, status);
}

weft_status set_output(weft_request* request, size_t port, const weft_value* handle) {
  Status status = sdk::guarded([&]() -> Status {
    if (Status wrong = check_port(*request, port); !wrong.ok()) return wrong;
    if (!handle) return port_error(*request, port, StatusCode::kInvalidArgument, "an output is no value");
    Value value = Value::share(handle);
    const OutputPort& declared = (*request->ports)[port];
    if (!port_type_satisfies(value.type(), declared.type)) {
      return port_error(*request, port, StatusCode::kInvalidArgument, "an output has the wrong type")
          .expected(declared.type)
          .got(value.type());
    }
    if (request->outputs[port]) {
      return port_error(*request, port, StatusCode::kInvalidArgument, "an output was set twice");
    }
    if (declared.bound) {
      if (Status beyond = check_bound(value, *declared.bound); !beyond.ok()) {
        return std::move(beyond).at("output '" + declared.name + "'");
      }
    }
    request->outputs[port] = std::move(value);
    return {};
  });
  return status.ok() ? WEFT_OK : refuse(request, status);
}

void progress(weft_request* request, int64_t done, int64_t total, const char* unit) {
  (void)sdk::guarded(
      [&] { return request->host->on_progress(*request, done, total, unit ? unit : ""), Status(); });
}

int32_t cancelled(weft_request* request) { return request->host->cancelled(*request); }

void complete(weft_request* request, weft_status code, const weft_error* error) {
  if (request->completed.exchange(true, std::memory_order_acq_rel)) {
    // The request may be gone when its second completion comes; while it is not, the breach is noted.
    (void)sdk::guarded([&] {
      request->host->on_breach(
          *request, Status(StatusCode::kInternal, "a request was completed twice").at(request->describe()));
      return Status();
    });
    return;
  }
  Status failed = sdk::guarded([&]() -> Status {
    if (code != WEFT_OK)
      return error ? sdk::from_c(code, *error) : sdk::from_c(code, "the node gave no reason");
    if (!request->breach.ok()) return request->breach;
    return request->join_parts();
  });
  request->status = std::move(failed);
  request->host->on_complete(*request);
}

weft_status resolve_input(weft_request* request, const char* path, char* resolved, size_t capacity,
                          weft_error* error) {
  return sdk::barrier(error, [&]() -> Status {
    const std::string given = path ? path : "";
    const Result<fs::path> place = find_input(given, request->host->input_folder());
    if (!place.ok()) return place.status();
    Status refused =
        given.ends_with('/') ? request->host->on_input_folder(*place) : request->host->on_input_file(*place);
    return refused.ok() ? copy_path(*place, resolved, capacity) : std::move(refused).at(given);
  });
}

weft_status begin_output(weft_request* request, const char* path, char* temporary, size_t capacity,
                         weft_error* error) {
  return sdk::barrier(error, [&]() -> Status {
    request->began_files = true;
    auto begun = request->host->output_folder().begin(path ? path : "", request->writer());
    if (!begun.ok()) return begun.status();
    return copy_path(*begun, temporary, capacity);
  });
}

weft_status commit_output(weft_request* request, const char* temporary, char* final_path, size_t capacity,
                          weft_error* error) {
  return sdk::barrier(error, [&]() -> Status {
    auto committed = request->host->output_folder().commit(temporary ? temporary : "", request->writer());
    if (!committed.ok()) return committed.status();
    request->host->on_file(*request, committed->file.path, committed->file.size_bytes);
    if (!final_path || capacity == 0) return {};
    return copy_path(committed->final_path, final_path, capacity);
  });
}

constexpr weft_request_api kApi = {sizeof(weft_request_api),
                                   0,
                                   input,
                                   parameters,
                                   emit,
                                   set_output,
                                   progress,
                                   cancelled,
                                   complete,
                                   resolve_input,
                                   begin_output,
                                   commit_output};

Status beyond(const std::string& declared, const std::string& got) {
  return Status(StatusCode::kOutOfRange, "an output exceeds the bound that prepare declared")
      .expected(declared)
      .got(got);
}

const char* run_record(const weft_request* request, size_t* size) {
  const std::string* record = nullptr;  // without memory to make one there is none
  (void)sdk::guarded([&] { return record = &request->host->run_record(), Status(); });
  if (size) *size = record ? record->size() : 0;
  return record ? record->c_str() : "";
}

constexpr weft_run_record_api kRunRecordApi = {sizeof(weft_run_record_api), 0, run_record};

}  // namespace

const weft_run_record_api* run_record_api() { return &kRunRecordApi; }

const weft_request_api* request_api() { return &kApi; }

Status check_bound(const Value& value, const weft_spec& bound) {
  if (bound.kind == 0) return {};
  if (value.kind() != bound.kind)
    return beyond("kind " + std::to_string(bound.kind), "kind " + std::to_string(value.kind()));
  const auto at_most = [](int64_t limit, uint64_t got) {
    return limit < 0 || got <= static_cast<uint64_t>(limit);
  };
  if (value.kind() == WEFT_KIND_BYTES && !at_most(bound.max_bytes, value.bytes_view().size())) {
    return beyond("at most " + std::to_string(bound.max_bytes) + " bytes",
                  std::to_string(value.bytes_view().size()));
  }
  if (value.kind() == WEFT_KIND_LIST) {
    if (!at_most(bound.max_count, value.size())) {
      return beyond("at most " + std::to_string(bound.max_count) + " elements", std::to_string(value.size()));
    }
    for (size_t i = 0; i < value.size() && bound.max_bytes >= 0; ++i) {
      if (!at_most(bound.max_bytes, value.item(i).content_bytes())) {
        return beyond("elements of at most " + std::to_string(bound.max_bytes) + " bytes",
                      std::to_string(value.item(i).content_bytes()));
      }
    }
  }
  if (value.kind() == WEFT_KIND_TENSOR) {
    weft_tensor view{};
    view.struct_size = sizeof(view);
    value_api()->get_tensor(value.get(), &view, nullptr, nullptr);
    if (bound.dtype != 0 && view.dtype != bound.dtype) {
      return beyond("dtype " + std::to_string(bound.dtype), "dtype " + std::to_string(view.dtype));
    }
    if (bound.rank == 0) return {};  // no rank declared
    if (view.rank != bound.rank)
      return beyond("rank " + std::to_string(bound.rank), "rank " + std::to_string(view.rank));
    for (int i = 0; i < view.rank; ++i) {
      if (!at_most(bound.shape[i], static_cast<uint64_t>(view.shape[i]))) {
        return beyond(
            "an extent of at most " + std::to_string(bound.shape[i]) + " in dimension " + std::to_string(i),
            std::to_string(view.shape[i]));
      }
    }
  }
  return {};
}

}  // namespace weft
