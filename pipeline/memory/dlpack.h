/// Tensors in and out of other frameworks, as DLPack 1.x lays them out
/// (https://dmlc.github.io/dlpack/latest/c_api.html).
///
/// Nothing is copied either way. DLPack carries no stream: on a device with streams the producer makes the
/// consumer's stream wait before it hands the tensor over; on the CPU nothing is pending. Strides are always
/// filled.
#ifndef WEFT_PIPELINE_MEMORY_DLPACK_H
#define WEFT_PIPELINE_MEMORY_DLPACK_H

#include <weft/abi/types.h>

#include <cstdint>

#include "pipeline/memory/buffer.h"

extern "C" {

// The names and layout of the DLPack specification, version 1.
struct DLPackVersion {
  uint32_t major, minor;
};
struct DLDevice {
  int32_t device_type;  // 1: CPU, 2: CUDA
  int32_t device_id;
};
struct DLDataType {
  uint8_t code;  // 0: int, 1: uint, 2: float, 4: bfloat, 6: bool
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements
  uint64_t byte_offset;
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  uint64_t flags;  // bit 0: read-only; bit 1: copied
  DLTensor dl_tensor;
};
}

namespace weft {

inline constexpr uint64_t kDlpackReadOnly = 1;

/// Shares `buffer` (a reference is added, dropped by the deleter) through a new managed tensor over `view`.
/// The tensor is read-only: other holders of the buffer rely on its contents. Errors: kUnsupported (dtype),
/// kOutOfMemory.
Result<DLManagedTensorVersioned*> to_dlpack(const Buffer& buffer, const weft_tensor& view);

struct ImportedTensor {
  Buffer buffer;
  weft_tensor view;
};
/// Takes over `tensor`; its deleter runs when the last reference to the buffer goes, or at once on an error.
/// Absent strides are filled in as row-major. Errors: kVersionMismatch (major), kUnsupported (device, dtype,
/// lanes), kInvalidShape (rank above WEFT_MAX_RANK, negative or overflowing extents, negative strides),
/// kInvalidArgument (no data).
Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor);

}  // namespace weft
#endif
