/// A model as a C++ class: weights that the host loads once and shares between the nodes that name them.
///
/// A model class T has
///   static Result<std::unique_ptr<T>> open(const ModelSource& source);   // headers and configuration only
///   Result<weft_model_estimate> estimate() const;
///   Status load(weft_stream* stream);   // may come again after evict
///   void evict();
///   Status offload(uint64_t most_bytes);   // if it can leave parts in the CPU's memory
/// and its destructor closes it. The host never calls two of them at once, nor evict while a node executes on it.
/// Nodes reach it with NodeConfig::model<T>("parameter"); they do not own it.
#ifndef WEFT_SDK_MODEL_H
#define WEFT_SDK_MODEL_H

#include <weft/abi/model.h>
#include <weft/sdk/device.h>
#include <weft/sdk/error.h>
#include <weft/sdk/host.h>
#include <weft/sdk/parameters.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace weft::sdk {

/// Where a model comes from. Lives until the model is closed.
class ModelSource {
 public:
  ModelSource(const weft_host* host, const weft_model_source* source) : host_(host), source_(source) {}
  Host host() const { return Host(host_); }
  /// File or folder, absolute.
  std::string_view path() const { return source_->path; }
  /// Lower-case hexadecimal; empty for a folder or if not known yet.
  std::string_view sha256() const { return source_->sha256 != nullptr ? source_->sha256 : ""; }
  Parameters parameters() const { return Parameters(host_, source_->parameters); }
  /// Notes a further file or folder, absolute, that the model reads, so that results depend on its content. Within open()
  /// only. Gives its SHA-256; empty under a host that keeps nothing. Errors: kNotFound, kIoError.
  Result<std::string> add_file(const std::string& path) const {
    char sha256[65] = "";
    if (source_->add_file != nullptr) {
      Status status = checked(
          [&](weft_error* error) { return source_->add_file(source_->self, path.c_str(), sha256, error); });
      if (!status.ok()) return status;
    }
    return std::string(sha256);
  }

 private:
  const weft_host* host_;
  const weft_model_source* source_;
};

inline weft_model_estimate model_estimate(uint64_t resident_bytes, uint64_t mapped_bytes,
                                          weft_device device = {WEFT_DEVICE_CPU, 0},
                                          uint64_t offloaded_bytes = 0) {
  weft_model_estimate estimate{};
  estimate.struct_size = sizeof estimate;
  estimate.resident_bytes = resident_bytes;
  estimate.mapped_bytes = mapped_bytes;
  estimate.device = device;
  estimate.offloaded_bytes = offloaded_bytes;
  return estimate;
}

/// Bytes of a device's memory that a model of that estimate holds while it is loaded.
inline uint64_t bytes_on(const weft_model_estimate& estimate, weft_device device) {
  if (same_device(estimate.device, device)) return estimate.resident_bytes;
  return device.kind == WEFT_DEVICE_CPU ? estimate.offloaded_bytes : 0;
}

/// The C functions of model class T.
template <typename T>
struct ModelFunctions {
  static weft_status open(const weft_host* host, const weft_model_source* source, void** out,
                          weft_error* error) noexcept {
    return barrier(error, [&]() -> Status {
      Result<std::unique_ptr<T>> model = T::open(ModelSource(host, source));
      if (!model.ok()) return model.status();
      *out = (*std::move(model)).release();
      return {};
    });
  }
  static weft_status estimate(void* self, weft_model_estimate* out, weft_error* error) noexcept {
    return barrier(error, [&]() -> Status {
      Result<weft_model_estimate> estimate = static_cast<T*>(self)->estimate();
      if (!estimate.ok()) return estimate.status();
      const uint32_t size = out->struct_size;
      std::memcpy(out, &*estimate, size < sizeof *out ? size : sizeof *out);
      out->struct_size = size;
      return {};
    });
  }
  static weft_status load(void* self, weft_stream* stream, weft_error* error) noexcept {
    return barrier(error, [&] { return static_cast<T*>(self)->load(stream); });
  }
  static void evict(void* self) noexcept { static_cast<T*>(self)->evict(); }
  static void close(void* self) noexcept { delete static_cast<T*>(self); }
  static weft_status offload(void* self, uint64_t most_bytes, weft_error* error) noexcept {
    return barrier(error, [&] { return static_cast<T*>(self)->offload(most_bytes); });
  }
};

}  // namespace weft::sdk
#endif
