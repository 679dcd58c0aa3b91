/// Values and buffers: RAII over the host's reference-counted handles.
///
/// A Value is immutable and shared; copying one adds a reference. A Buffer is memory of the host on some device, owned by
/// one Buffer object; a tensor Value made from it shares it. Both must not outlive the process's host services.
/// Thread safety: distinct objects may be used from any thread.
#ifndef WEFT_SDK_VALUE_H
#define WEFT_SDK_VALUE_H

#include <weft/abi/memory.h>
#include <weft/abi/value.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

namespace weft::sdk {

/// Bytes of one element; 0 for a dtype that does not exist.
constexpr int64_t element_size_bytes(weft_dtype dtype) {
  switch (dtype) {
    case WEFT_DTYPE_BOOL:
    case WEFT_DTYPE_U8:
    case WEFT_DTYPE_I8: return 1;
    case WEFT_DTYPE_I16:
    case WEFT_DTYPE_F16:
    case WEFT_DTYPE_BF16: return 2;
    case WEFT_DTYPE_I32:
    case WEFT_DTYPE_F32: return 4;
    case WEFT_DTYPE_I64:
    case WEFT_DTYPE_F64: return 8;
  }
  return 0;
}

/// "f32"; "" for a dtype that does not exist.
constexpr const char* dtype_name(weft_dtype dtype) {
  constexpr const char* kNames[] = {"", "bool", "u8", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64"};
  return dtype > 0 && dtype <= WEFT_DTYPE_F64 ? kNames[dtype] : "";
}

/// Number of elements; 1 for rank 0.
inline int64_t element_count(const weft_tensor& tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i) count *= tensor.shape[i];
  return count;
}

/// A row-major view of `data`. shape: at most WEFT_MAX_RANK extents; further ones are dropped.
inline weft_tensor contiguous_tensor(void* data, weft_dtype dtype, std::span<const int64_t> shape,
                                     weft_device device = {WEFT_DEVICE_CPU, 0}) {
  weft_tensor view{};
  view.struct_size = sizeof view;
  view.dtype = dtype;
  view.device = device;
  view.data = data;
  for (int64_t extent : shape) {
    if (view.rank < WEFT_MAX_RANK) view.shape[view.rank++] = extent;
  }
  int64_t stride = 1;
  for (int32_t i = view.rank - 1; i >= 0; --i) {
    view.strides[i] = stride;
    stride *= view.shape[i];
  }
  return view;
}

/// True if the elements lie without gaps in row-major order.
inline bool is_contiguous(const weft_tensor& tensor) {
  int64_t stride = 1;
  for (int32_t i = tensor.rank - 1; i >= 0; --i) {
    if (tensor.shape[i] > 1 && tensor.strides[i] != stride) return false;
    stride *= tensor.shape[i];
  }
  return true;
}

class Value {
 public:
  Value() = default;
  /// Takes over the caller's reference.
  static Value adopt(const weft_value_api* api, const weft_value* value) {
    Value result;
    result.api_ = api;
    result.value_ = value;
    return result;
  }
  /// Adds a reference.
  static Value share(const weft_value_api* api, const weft_value* value) {
    if (value != nullptr) api->retain(value);
    return adopt(api, value);
  }
  Value(const Value& other) : api_(other.api_), value_(other.value_) {
    if (value_ != nullptr) api_->retain(value_);
  }
  Value(Value&& other) noexcept : api_(other.api_), value_(std::exchange(other.value_, nullptr)) {}
  Value& operator=(Value other) noexcept {
    std::swap(api_, other.api_);
    std::swap(value_, other.value_);
    return *this;
  }
  ~Value() {
    if (value_ != nullptr) api_->release(value_);
  }

  /// False if nothing arrived: an optional input that is not connected or whose producer was skipped.
  explicit operator bool() const { return value_ != nullptr; }
  const weft_value* get() const { return value_; }

  // Preconditions of all below: not null, and of the kind asked for (the host has checked the port's type).
  weft_kind kind() const { return api_->kind(value_); }
  std::string_view type() const { return api_->type(value_); }
  bool as_bool() const { return api_->get_bool(value_) != 0; }
  int64_t as_int() const { return api_->get_int(value_); }
  double as_float() const { return api_->get_float(value_); }  // of an int too
  /// The bytes of a text, json, path or bytes value; empty for other kinds. Lives as long as the value.
  std::string_view as_text() const {
    if (kind() != WEFT_KIND_BYTES) return {};
    uint64_t size = 0;
    const void* data = api_->get_bytes(value_, &size, nullptr);
    return {static_cast<const char*>(data), static_cast<size_t>(size)};
  }
  std::string_view media_type() const {
    uint64_t size = 0;
    const char* media_type = nullptr;
    api_->get_bytes(value_, &size, &media_type);
    return media_type != nullptr ? media_type : std::string_view();
  }
  /// The view of a tensor or image; rank 0 without data for other kinds. Lives as long as the value.
  weft_tensor as_tensor() const {
    weft_tensor view{};
    view.struct_size = sizeof view;
    if (api_->get_tensor(value_, &view, nullptr, nullptr) != WEFT_OK) return weft_tensor{};
    return view;
  }
  /// JSON object text that says what shape and dtype do not ({"color_space":"srgb"}); empty if there is none.
  std::string_view attributes() const {
    weft_tensor view{};
    view.struct_size = sizeof view;
    const char* attributes = nullptr;
    if (api_->get_tensor(value_, &view, nullptr, &attributes) != WEFT_OK || attributes == nullptr) return {};
    return attributes;
  }
  size_t size() const { return api_->list_size(value_); }
  /// Precondition: index < size().
  Value item(size_t index) const { return share(api_, api_->list_item(value_, index)); }

 private:
  const weft_value_api* api_ = nullptr;
  const weft_value* value_ = nullptr;
};

class Buffer {
 public:
  Buffer() = default;
  /// Takes over the caller's reference; `stream` is the last one that used the memory.
  Buffer(const weft_memory_api* api, weft_buffer* buffer, weft_stream* stream)
      : api_(api), buffer_(buffer), stream_(stream) {}
  Buffer(Buffer&& other) noexcept
      : api_(other.api_), buffer_(std::exchange(other.buffer_, nullptr)), stream_(other.stream_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(buffer_, other.buffer_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Buffer() {
    if (buffer_ != nullptr) api_->release(buffer_, stream_);
  }

  explicit operator bool() const { return buffer_ != nullptr; }
  weft_buffer* get() const { return buffer_; }
  // Preconditions of all below: not null.
  void* data() const { return api_->data(buffer_); }
  uint64_t size_bytes() const { return api_->size_bytes(buffer_); }
  weft_device device() const { return api_->device(buffer_); }
  /// Before `stream`, another than the one that it was allocated on, works with the contents.
  void use_on(weft_stream* stream) { stream_ = stream; }

 private:
  const weft_memory_api* api_ = nullptr;
  weft_buffer* buffer_ = nullptr;
  weft_stream* stream_ = nullptr;
};

}  // namespace weft::sdk
#endif
