/// One request of a batch: its inputs, parameters and outputs, progress, cancellation and files.
///
/// The host owns requests; a Request is a handle that knows whether it was completed. Ports go by index, in the order of
/// the descriptor. Thread safety: one thread at a time per request; cancelled() from any thread.
#ifndef WEFT_SDK_REQUEST_H
#define WEFT_SDK_REQUEST_H

#include <weft/sdk/host.h>
#include <weft/sdk/parameters.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::sdk {

/// A file being written below the output folder. The node writes temporary(); without commit() the host removes it.
class OutputFile {
 public:
  OutputFile(const weft_request_api* api, weft_request* request, std::string temporary)
      : api_(api), request_(request), temporary_(std::move(temporary)) {}
  const std::string& temporary() const { return temporary_; }
  /// Makes the temporary with this content. Errors: kIoError.
  Status write(std::string_view bytes) const {
    std::FILE* file = std::fopen(temporary_.c_str(), "wbe");
    const bool written = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    const int wrong = errno;
    if ((file == nullptr || std::fclose(file) == 0) && written) return {};
    const int reason = written ? errno : wrong;
    const bool is_full = reason == ENOSPC || reason == EDQUOT;
    return Status(StatusCode::kIoError, std::string("the file cannot be written: ") + std::strerror(reason))
        .at(temporary_)
        .hint(is_full ? "free some space or choose another folder" : "");
  }
  /// Syncs and renames; returns the final path. Errors: kIoError.
  Result<std::string> commit() const {
    std::string path(PATH_MAX, '\0');
    Status status = checked([&](weft_error* error) {
      return api_->commit_output(request_, temporary_.c_str(), path.data(), path.size(), error);
    });
    if (!status.ok()) return status;
    path.resize(std::char_traits<char>::length(path.c_str()));
    return path;
  }

 private:
  const weft_request_api* api_;
  weft_request* request_;
  std::string temporary_;
};

class Request {
 public:
  Request(Host host, weft_request* request) : host_(host), api_(host.get()->requests), request_(request) {}

  const Host& host() const { return host_; }
  weft_request* get() const { return request_; }

  /// Null if nothing is connected or its producer was skipped.
  Value input(size_t port) const { return Value::share(host_.get()->values, api_->input(request_, port)); }
  /// All parameters of the node, with this request's values.
  Parameters parameters() const { return Parameters(host_.get(), api_->parameters(request_)); }

  /// Streams a part of an output while it is made; the concatenation of the parts must be the output.
  Status emit(size_t port, const Value& part) const {
    return from_c(api_->emit(request_, port, part.get()), "the host refused a part of an output");
  }
  Status emit_text(size_t port, std::string_view part) const {
    Result<Value> value = host_.make_text(part);
    return value.ok() ? emit(port, *value) : value.status();
  }
  /// Errors: kInvalidArgument (type), kOutOfRange (beyond the prepared bound).
  Status set_output(size_t port, const Value& value) const {
    return from_c(api_->set_output(request_, port, value.get()),
                  "the host refused an output: wrong type, or beyond the prepared bound");
  }
  /// For `return request.set_output(0, request.host().make_text(...))`.
  Status set_output(size_t port, const Result<Value>& value) const {
    return value.ok() ? set_output(port, *value) : value.status();
  }
  /// total: 0 if not known. unit: "tokens", "steps".
  void progress(int64_t done, int64_t total, const char* unit) const {
    api_->progress(request_, done, total, unit);
  }
  /// Poll at least every 100 ms; once true, stop and complete with kCancelled.
  bool cancelled() const { return api_->cancelled(request_) != 0; }
  static Status cancelled_status() { return Status(StatusCode::kCancelled, "cancelled"); }

  /// The last call for a request; exactly once. Nodes that implement run() leave it to the SDK.
  void complete(const Status& status) {
    if (std::exchange(completed_, true)) return;
    weft_error error;
    error.struct_size = sizeof error;
    error.code = WEFT_OK;
    error.message[0] = error.where[0] = error.expected[0] = error.got[0] = error.hint[0] = '\0';
    const weft_status code = to_c(status, &error);
    api_->complete(request_, code, code == WEFT_OK ? nullptr : &error);
  }
  bool completed() const { return completed_; }

  /// The absolute path of an existing file, from its path in the pipeline. Errors: kNotFound, kPermissionDenied.
  Result<std::string> resolve_input(const std::string& path) const {
    return path_from([&](char* out, size_t capacity, weft_error* error) {
      return api_->resolve_input(request_, path.c_str(), out, capacity, error);
    });
  }
  /// Errors: kPermissionDenied (outside of the output folder), kAlreadyExists, kIoError.
  Result<OutputFile> begin_output(const std::string& path) const {
    Result<std::string> temporary = path_from([&](char* out, size_t capacity, weft_error* error) {
      return api_->begin_output(request_, path.c_str(), out, capacity, error);
    });
    if (!temporary.ok()) return temporary.status();
    return OutputFile(api_, request_, *std::move(temporary));
  }
  /// Writes a whole file below the output folder; its final path as a value. Errors: those of begin_output, write, commit.
  Result<Value> save(std::string_view path, std::string_view bytes) const {
    const Result<OutputFile> file = begin_output(std::string(path));
    if (!file.ok()) return file.status();
    if (Status status = file->write(bytes); !status.ok()) return status;
    const Result<std::string> written = file->commit();
    return written.ok() ? host_.make_path(*written) : written.status();
  }

 private:
  template <typename Call>
  static Result<std::string> path_from(Call&& call) {
    std::string path(PATH_MAX, '\0');
    Status status = checked([&](weft_error* error) { return call(path.data(), path.size(), error); });
    if (!status.ok()) return status;
    path.resize(std::char_traits<char>::length(path.c_str()));
    return path;
  }

  Host host_;
  const weft_request_api* api_;
  weft_request* request_;
  bool completed_ = false;
};

/// What one call of execute gets beside its requests.
class Execution {
 public:
  Execution(Host host, const weft_execution* execution) : host_(host), execution_(execution) {}
  weft_stream* stream() const { return execution_->stream; }
  /// The workspace that prepare asked for: 64-byte aligned, undefined contents, for this call only.
  void* workspace() const { return execution_->workspace; }
  uint64_t workspace_bytes() const { return execution_->workspace_bytes; }

  /// Whether requests may still come while this call works.
  bool may_grow() const { return execution_->more != nullptr; }
  /// Requests that have become ready since the call began, at most `capacity`, to be completed by it like its first ones;
  /// none if there are none. Each lives until it was completed and more() is called again. Never waits; one thread at a time.
  std::vector<Request*> more(size_t capacity) const {
    std::vector<Request*> joined;
    while (!joined_.empty() && joined_.front().completed()) joined_.pop_front();
    if (!may_grow() || capacity == 0) return joined;
    std::vector<weft_request*> handles(capacity);
    handles.resize(execution_->more(execution_->self, handles.data(), capacity));
    for (weft_request* handle : handles) joined.push_back(&joined_.emplace_back(host_, handle));
    return joined;
  }
  /// What more() gave and may be open still.
  std::deque<Request>& joined() const { return joined_; }

 private:
  Host host_;
  const weft_execution* execution_;
  mutable std::deque<Request> joined_;
};

}  // namespace weft::sdk
#endif
