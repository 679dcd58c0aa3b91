/// Tensors in and out of other frameworks, as DLPack 1.x lays them out
/// (https://dmlc.github.io/dlpack/latest/c_api.html).
///
/// Nothing is copied either way. A managed tensor carries no stream, so that streams are handed over beside it, as in Python's
/// `__dlpack__(stream=...)` (https://data-apis.org/array-api/latest/API_specification/generated/array_api.array.__dlpack__.html):
/// the consumer names the stream that it will use, and the producer makes it wait for the contents; on the CPU nothing is pending.
/// Devices are numbered as DLPack does: CUDA's are kDLCUDA, simt:0 is kDLExtDev. Strides are always filled.
#ifndef WEFT_PIPELINE_MEMORY_DLPACK_H
#define WEFT_PIPELINE_MEMORY_DLPACK_H

#include <weft/abi/types.h>

#include <cstdint>
#include <optional>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/device_pool.h"

extern "C" {

// The names and layout of the DLPack specification, version 1.
struct DLPackVersion {
  uint32_t major, minor;
};
struct DLDevice {
  int32_t device_type;  // 1: CPU, 2: CUDA, 12: another, as an extension
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

/// A consumer's stream on a device. Nothing: the consumer keeps order by itself. It has seen the contents complete, and has ended
/// its work when it calls the deleter.
using ConsumerStream = std::optional<NativeStream>;
/// What the `stream` argument of `__dlpack__` means: absent CUDA's legacy default stream, 1 the same, 2 the calling thread's
/// default stream, -1 nothing, other numbers a handle. On the CPU it must be absent; simt:0 has no default stream, so that it
/// must be there. Errors: kInvalidArgument.
Result<ConsumerStream> consumer_stream(weft_device device, std::optional<int64_t> argument);

/// Shares `buffer` (a reference is added, dropped by the deleter) through a new managed tensor over `view`.
/// consumer: is made to wait for the contents here. The deleter may be called while work is queued on that stream: the memory goes
/// back behind it; the stream exists until then.
/// The tensor is read-only: other holders of the buffer rely on its contents. Errors: kUnsupported (dtype),
/// kOutOfMemory, kInvalidArgument (no stream of the buffer's device), kDeviceLost.
Result<DLManagedTensorVersioned*> to_dlpack(const Buffer& buffer, const weft_tensor& view,
                                            const ConsumerStream& consumer = {});

struct ImportedTensor {
  Buffer buffer;
  weft_tensor view;
};
/// Takes over `tensor`; its deleter runs when the last reference to the buffer goes, or at once on an error.
/// Absent strides are filled in as row-major. Errors: kVersionMismatch (major), kUnsupported (dtype, lanes, a device),
/// kInvalidShape (rank above WEFT_MAX_RANK, negative or overflowing extents, negative strides),
/// kInvalidArgument (no data).
Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor);
/// The same on the pool's device. consumer: a stream of the pool, which the producer has made to wait for the contents; whoever
/// acquires the buffer waits for this place of it. The deleter runs once all work that used the buffer has passed, as
/// DevicePool::when_passed() says. Errors also: kDeviceLost.
Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor, DevicePool& pool, weft_stream* consumer);

}  // namespace weft
#endif
