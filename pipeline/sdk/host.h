/// The host's services: making values, allocating memory, threads, messages, extensions.
///
/// A reference to the weft_host that every create and open receives; it lives as long as the process.
/// Thread safety: any thread.
#ifndef WEFT_SDK_HOST_H
#define WEFT_SDK_HOST_H

#include <weft/abi/host.h>
#include <weft/sdk/error.h>
#include <weft/sdk/executor.h>
#include <weft/sdk/value.h>

#include <limits>
#include <string>
#include <vector>

namespace weft::sdk {

/// Memory for a tensor that is being made, and its view.
struct NewTensor {
  Buffer buffer;
  weft_tensor view{};
  template <typename T>
  T* data() const {
    return static_cast<T*>(view.data);
  }
};

class Host {
 public:
  explicit Host(const weft_host* host) : host_(host) {}
  const weft_host* get() const { return host_; }
  Executor executor() const { return Executor(host_->executor); }

  // Values. Errors: kOutOfMemory; kInvalidArgument for text that is not UTF-8.
  Result<Value> make_text(std::string_view text) const { return make_bytes(text, "text", nullptr); }
  Result<Value> make_json(std::string_view json) const { return make_bytes(json, "json", nullptr); }
  Result<Value> make_path(std::string_view path) const { return make_bytes(path, "path", nullptr); }
  /// type: "text", "json", "path" or "bytes"; media_type NULL: the type's own. Copies.
  Result<Value> make_bytes(std::string_view bytes, const char* type, const char* media_type) const {
    return made([&](weft_value** out) {
      return host_->values->make_bytes(bytes.data(), bytes.size(), type, media_type, out);
    });
  }
  Result<Value> make_bool(bool value) const {
    return made([&](weft_value** out) { return host_->values->make_bool(value ? 1 : 0, out); });
  }
  Result<Value> make_int(int64_t value) const {
    return made([&](weft_value** out) { return host_->values->make_int(value, out); });
  }
  Result<Value> make_float(double value) const {
    return made([&](weft_value** out) { return host_->values->make_float(value, out); });
  }
  /// items: all of the port type `element_type`; may be empty.
  Result<Value> make_list(std::span<const Value> items, const char* element_type) const {
    std::vector<const weft_value*> handles;
    handles.reserve(items.size());
    for (const Value& item : items) handles.push_back(item.get());
    return made([&](weft_value** out) {
      return host_->values->make_list(handles.data(), handles.size(), element_type, out);
    });
  }
  /// Shares `buffer`, which may be dropped afterwards; view.data points into it. attributes: JSON object text or NULL.
  Result<Value> make_tensor(const Buffer& buffer, const weft_tensor& view, const char* type = "tensor",
                            const char* attributes = nullptr) const {
    return made([&](weft_value** out) {
      return host_->values->make_tensor(buffer.get(), &view, type, attributes, out);
    });
  }

  /// Contents are undefined. tag names the buffer in traces. Errors: kOutOfMemory, kUnsupported (device).
  Result<Buffer> allocate(uint64_t size_bytes, weft_stream* stream, const char* tag,
                          weft_device device = {WEFT_DEVICE_CPU, 0}) const {
    weft_allocation request{};
    request.struct_size = sizeof request;
    request.device = device;
    request.size_bytes = size_bytes;
    request.tag = tag;
    weft_buffer* buffer = nullptr;
    Status status = checked([&](weft_error* error) {
      return host_->memory->allocate(host_->memory->self, &request, stream, &buffer, error);
    });
    if (!status.ok()) return status;
    return Buffer(host_->memory, buffer, stream);
  }
  /// A row-major tensor, to be filled and then passed to make_tensor. Errors: as allocate; kInvalidShape for more than
  /// WEFT_MAX_RANK or negative extents, kOutOfRange if the size overflows.
  Result<NewTensor> allocate_tensor(weft_dtype dtype, std::span<const int64_t> shape, weft_stream* stream,
                                    const char* tag) const {
    if (shape.size() > WEFT_MAX_RANK) return Status(StatusCode::kInvalidShape, "too many dimensions");
    int64_t size_bytes = element_size_bytes(dtype);
    if (size_bytes == 0) return Status(StatusCode::kUnsupported, "unknown dtype " + std::to_string(dtype));
    for (int64_t extent : shape) {
      if (extent < 0) return Status(StatusCode::kInvalidShape, "negative extent " + std::to_string(extent));
      if (__builtin_mul_overflow(size_bytes, extent, &size_bytes)) {
        return Status(StatusCode::kOutOfRange, "the size of a tensor overflows");
      }
    }
    Result<Buffer> buffer = allocate(static_cast<uint64_t>(size_bytes), stream, tag);
    if (!buffer.ok()) return buffer.status();
    NewTensor tensor;
    tensor.view = contiguous_tensor(buffer->data(), dtype, shape);
    tensor.buffer = *std::move(buffer);
    return tensor;
  }

  /// message: one line of UTF-8.
  void log(weft_log_level level, const std::string& message) const {
    host_->log(host_->self, level, message.c_str());
  }
  /// The table of an extension, for example extension<weft_packed_weights_api>(WEFT_PACKED_WEIGHTS_ID); NULL if the host
  /// does not have it.
  template <typename Api>
  const Api* extension(const char* id) const {
    return static_cast<const Api*>(host_->extension(host_->self, id));
  }

 private:
  template <typename Make>
  Result<Value> made(Make&& make) const {
    weft_value* value = nullptr;
    Status status = from_c(make(&value), "the host could not make a value");
    if (!status.ok()) return status;
    return Value::adopt(host_->values, value);
  }

  const weft_host* host_;
};

}  // namespace weft::sdk
#endif
