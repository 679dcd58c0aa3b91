/// The values that flow through ports: the host's side of weft/abi/value.h.
///
/// Value is one reference to an immutable weft_value; copying it adds a reference, never copies content.
/// Thread safety: immutable; any thread.
///
///   Result<Value> topic = Value::text("a red apple");
#ifndef WEFT_PIPELINE_MEMORY_VALUE_H
#define WEFT_PIPELINE_MEMORY_VALUE_H

#include <weft/abi/value.h>
#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

class Value {
 public:
  Value() = default;
  /// Takes over the caller's reference.
  static Value adopt(const weft_value* handle) { return Value(handle); }
  /// Adds a reference; null stays null.
  static Value share(const weft_value* handle);
  Value(const Value& other) : Value(share(other.handle_)) {}
  Value(Value&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Value& operator=(Value other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Value();

  static Value boolean(int32_t truth);
  static Value integer(int64_t number);
  static Value real(double number);
  /// Errors: kInvalidArgument if `utf8` is not valid UTF-8.
  static Result<Value> text(std::string_view utf8);
  /// type: "text", "json", "path" or "bytes". Errors: as make_bytes of the contract.
  static Result<Value> bytes(std::string_view data, const char* type, const char* media_type = nullptr);
  /// Items of any kind; element_type as make_list of the contract.
  static Result<Value> list(const std::vector<Value>& items, const char* element_type);

  explicit operator bool() const { return handle_ != nullptr; }
  const weft_value* get() const { return handle_; }
  const weft_value* release() { return std::exchange(handle_, nullptr); }

  // Preconditions: not null.
  weft_kind kind() const;
  const std::string& type() const;
  /// The content of a bytes value (text, json, path, bytes); empty for other kinds.
  std::string_view bytes_view() const;
  size_t size() const;  // of a list; 0 for other kinds
  Value item(size_t index) const;
  /// Bytes of content, shared or not: what the live-bytes counter counts.
  uint64_t content_bytes() const;

 private:
  explicit Value(const weft_value* handle) : handle_(handle) {}
  const weft_value* handle_ = nullptr;
};

/// The table that plugins get.
const weft_value_api* value_api();

/// Offset of the first byte that is not part of valid UTF-8, or text.size().
size_t find_invalid_utf8(std::string_view text);

}  // namespace weft
#endif
