/// The descriptors of cuDNN's graph API, one call at a time; the first failure stays, and what follows it does nothing.
///
///   CudnnDescriber describe(dnn);
///   CudnnDescriptor x = describe.make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
///   describe.set(x, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, int64_t{1});
///   describe.finalize(x);
///   if (describe.status() != CUDNN_STATUS_SUCCESS) ...
#ifndef WEFT_KERNELS_CUDA_VENDOR_CUDNN_DESCRIPTOR_H
#define WEFT_KERNELS_CUDA_VENDOR_CUDNN_DESCRIPTOR_H

#include <algorithm>
#include <memory>
#include <span>

#include "kernels/cuda/vendor/cudnn.h"

namespace weft {

/// Null after a failure.
using CudnnDescriptor = std::unique_ptr<void, decltype(&::cudnnBackendDestroyDescriptor)>;

class CudnnDescriber {
 public:
  explicit CudnnDescriber(const Cudnn& dnn) : dnn_(&dnn) {}

  cudnnStatus_t status() const { return status_; }
  bool ok() const { return status_ == CUDNN_STATUS_SUCCESS; }

  CudnnDescriptor make(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made = nullptr;
    if (ok()) status_ = dnn_->create_descriptor(type, &made);
    return CudnnDescriptor(made, dnn_->destroy_descriptor);
  }
  template <typename T>
  void set(const CudnnDescriptor& to, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           std::span<const T> values) {
    if (ok())
      status_ = dnn_->set_attribute(to.get(), name, type, static_cast<int64_t>(values.size()), values.data());
  }
  template <typename T>
  void set(const CudnnDescriptor& to, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
           const T& value) {
    set(to, name, type, std::span<const T>(&value, 1));
  }
  void set(const CudnnDescriptor& to, cudnnBackendAttributeName_t name, const CudnnDescriptor& part) {
    set(to, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, part.get());
  }
  void finalize(const CudnnDescriptor& made) {
    if (ok()) status_ = dnn_->finalize(made.get());
  }
  /// Returns how many values were written.
  template <typename T>
  int64_t get(const CudnnDescriptor& from, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
              std::span<T> values) {
    int64_t count = 0;
    const auto room = static_cast<int64_t>(values.size());
    if (ok()) status_ = dnn_->get_attribute(from.get(), name, type, room, &count, values.data());
    return ok() ? std::min(count, room) : 0;
  }

 private:
  const Cudnn* dnn_;
  cudnnStatus_t status_ = CUDNN_STATUS_SUCCESS;
};

}  // namespace weft
#endif
