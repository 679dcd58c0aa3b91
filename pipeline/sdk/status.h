/// Errors as values for everything in this tree and for plugin authors.
///
/// Status is success or an Error; Result<T> is a T or an Error. An Error says what went wrong, where (file and offset,
/// node and port), what was expected, what was found, and what to do. Success costs a null pointer.
/// Thread safety: values; no shared state.
///
///   Result<Header> header = read_header(file);
///   if (!header.ok()) return header.status().at("model.gguf, offset 0");
///   use(*header);
#ifndef WEFT_SDK_STATUS_H
#define WEFT_SDK_STATUS_H

#include <weft/abi/status.h>

#include <cassert>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace weft {

enum class StatusCode : weft_status {
  kOk = WEFT_OK,
  kInvalidArgument = WEFT_INVALID_ARGUMENT,
  kInvalidShape = WEFT_INVALID_SHAPE,
  kUnsupported = WEFT_UNSUPPORTED,
  kNotFound = WEFT_NOT_FOUND,
  kAlreadyExists = WEFT_ALREADY_EXISTS,
  kCorruptData = WEFT_CORRUPT_DATA,
  kOutOfRange = WEFT_OUT_OF_RANGE,
  kIoError = WEFT_IO_ERROR,
  kOutOfMemory = WEFT_OUT_OF_MEMORY,
  kCancelled = WEFT_CANCELLED,
  kTimedOut = WEFT_TIMED_OUT,
  kVersionMismatch = WEFT_VERSION_MISMATCH,
  kPermissionDenied = WEFT_PERMISSION_DENIED,
  kInternal = WEFT_INTERNAL,
  kDeviceLost = WEFT_DEVICE_LOST,
};
inline constexpr StatusCode kLastStatusCode = StatusCode::kDeviceLost;

struct Error {
  StatusCode code = StatusCode::kInternal;
  std::string message;
  std::string where;
  std::string expected;
  std::string got;
  std::string hint;
};

/// "where: message (expected X, got Y); hint", without the parts that are empty.
std::string to_string(const Error& error);
/// The code's name in lower case with spaces, for example "corrupt data".
const char* to_string(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::make_unique<Error>(std::move(error))) {}
  Status(StatusCode code, std::string message)
      : error_(std::make_unique<Error>(Error{code, std::move(message), {}, {}, {}, {}})) {}
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other) : error_(other.error_ ? std::make_unique<Error>(*other.error_) : nullptr) {}
  Status& operator=(const Status& other) {
    if (this != &other) error_ = other.error_ ? std::make_unique<Error>(*other.error_) : nullptr;
    return *this;
  }

  bool ok() const { return error_ == nullptr; }
  StatusCode code() const { return error_ ? error_->code : StatusCode::kOk; }
  /// Precondition: !ok().
  const Error& error() const {
    assert(error_);
    return *error_;
  }

  // Builders, so that an error reads as one expression; each does nothing on success.
  /// Puts `where` in front of what is already known: the outermost place comes first.
  Status&& at(const std::string& where) && {
    if (error_) error_->where = error_->where.empty() ? where : where + ", " + error_->where;
    return std::move(*this);
  }
  Status&& expected(std::string text) && {
    if (error_) error_->expected = std::move(text);
    return std::move(*this);
  }
  Status&& got(std::string text) && {
    if (error_) error_->got = std::move(text);
    return std::move(*this);
  }
  Status&& hint(std::string text) && {
    if (error_) error_->hint = std::move(text);
    return std::move(*this);
  }

 private:
  std::unique_ptr<Error> error_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) { assert(!this->status().ok()); }
  Result(Error error) : state_(std::in_place_index<1>, Status(std::move(error))) {}

  bool ok() const { return state_.index() == 0; }
  StatusCode code() const { return ok() ? StatusCode::kOk : std::get<1>(state_).code(); }
  /// The error, to hand on; success if ok().
  Status status() const { return ok() ? Status() : std::get<1>(state_); }
  /// Precondition: !ok().
  const Error& error() const { return std::get<1>(state_).error(); }

  // Preconditions: ok().
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

 private:
  std::variant<T, Status> state_;
};

inline const char* to_string(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "ok";
    case StatusCode::kInvalidArgument: return "invalid argument";
    case StatusCode::kInvalidShape: return "invalid shape";
    case StatusCode::kUnsupported: return "unsupported";
    case StatusCode::kNotFound: return "not found";
    case StatusCode::kAlreadyExists: return "already exists";
    case StatusCode::kCorruptData: return "corrupt data";
    case StatusCode::kOutOfRange: return "out of range";
    case StatusCode::kIoError: return "input/output error";
    case StatusCode::kOutOfMemory: return "out of memory";
    case StatusCode::kCancelled: return "cancelled";
    case StatusCode::kTimedOut: return "timed out";
    case StatusCode::kVersionMismatch: return "version mismatch";
    case StatusCode::kPermissionDenied: return "permission denied";
    case StatusCode::kInternal: return "internal error";
    case StatusCode::kDeviceLost: return "device lost";
  }
  return "unknown status";
}

inline std::string to_string(const Error& error) {
  std::string text = error.where.empty() ? "" : error.where + ": ";
  text += error.message.empty() ? to_string(error.code) : error.message;
  if (!error.expected.empty() || !error.got.empty()) {
    text += " (";
    if (!error.expected.empty()) text += "expected " + error.expected;
    if (!error.expected.empty() && !error.got.empty()) text += ", ";
    if (!error.got.empty()) text += "got " + error.got;
    text += ")";
  }
  if (!error.hint.empty()) text += "; " + error.hint;
  return text;
}

}  // namespace weft
#endif
