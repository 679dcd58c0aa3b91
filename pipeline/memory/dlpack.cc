#include "pipeline/memory/dlpack.h"

#include <weft/sdk/device.h>

#include <functional>
#include <memory>
#include <new>
#include <span>

#include "pipeline/memory/tensor_layout.h"

namespace weft {
namespace {

enum DlTypeCode : uint8_t { kInt = 0, kUint = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

struct DtypePair {
  weft_dtype dtype;
  uint8_t code, bits;
};
constexpr DtypePair kPairs[] = {{WEFT_DTYPE_BOOL, kBool, 8},  {WEFT_DTYPE_U8, kUint, 8},
                                {WEFT_DTYPE_I8, kInt, 8},     {WEFT_DTYPE_I16, kInt, 16},
                                {WEFT_DTYPE_I32, kInt, 32},   {WEFT_DTYPE_I64, kInt, 64},
                                {WEFT_DTYPE_F16, kFloat, 16}, {WEFT_DTYPE_BF16, kBfloat, 16},
                                {WEFT_DTYPE_F32, kFloat, 32}, {WEFT_DTYPE_F64, kFloat, 64}};

/// What manager_ctx points to: the reference, and the extents that dl_tensor points to.
struct Export {
  DLManagedTensorVersioned tensor{};
  Buffer buffer;
  ConsumerStream left_by;  // whose work the memory goes back behind
  int64_t shape[WEFT_MAX_RANK] = {};
  int64_t strides[WEFT_MAX_RANK] = {};
};

// CUDA's default streams as handles.
NativeStream native(int64_t number) { return reinterpret_cast<NativeStream>(number); }
constexpr int64_t kLegacyStream = 1, kPerThreadStream = 2;

void delete_export(DLManagedTensorVersioned* self) {
  auto* shared = static_cast<Export*>(self->manager_ctx);
  if (shared->left_by) {
    [[maybe_unused]] const Status lost = shared->buffer.get()->uses->leave_foreign(*shared->left_by);
  }
  delete shared;
}

/// What a buffer over memory of another library's device has for an owner.
struct Import {
  DLManagedTensorVersioned* tensor;
  DevicePool& pool;
};

void delete_device_import(void* owner, weft_buffer* buffer, weft_stream* last_use) noexcept {
  const std::unique_ptr<Import> import(static_cast<Import*>(owner));
  import->pool.when_passed(*buffer->uses, last_use, [tensor = import->tensor] {
    if (tensor->deleter) tensor->deleter(tensor);
});
}  // namespace

void delete_import(void* owner, weft_buffer*, weft_stream*) noexcept {
  auto* tensor = static_cast<DLManagedTensorVersioned*>(owner);
  if (tensor->deleter) tensor->deleter(tensor);
}

/// Bytes from the first element to the end of the last one. Precondition: no negative extents or strides.
bool reach_bytes(const weft_tensor& view, uint64_t& bytes) {
  uint64_t last = 0;
  for (int i = 0; i < view.rank; ++i) {
    uint64_t reach = 0;
    if (view.shape[i] == 0) return bytes = 0, true;
    if (__builtin_mul_overflow(uint64_t(view.shape[i] - 1), uint64_t(view.strides[i]), &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return false;
    }
  }
  return !__builtin_mul_overflow(last + 1, uint64_t(element_bytes(view.dtype)), &bytes);
}

Result<weft_tensor> view_of(const DLTensor& tensor) {
  weft_tensor view{};
  view.struct_size = sizeof(view);
  for (const DtypePair& pair : kPairs) {
    if (tensor.dtype.code == pair.code && tensor.dtype.bits == pair.bits && tensor.dtype.lanes == 1)
      view.dtype = pair.dtype;
  }
  if (view.dtype == 0) {
    return Status(StatusCode::kUnsupported, "a DLPack tensor has an element type that Weft does not serve")
        .got("code " + std::to_string(tensor.dtype.code) + ", " + std::to_string(tensor.dtype.bits) +
             " bits, " + std::to_string(tensor.dtype.lanes) + " lanes");
  }
  int64_t count = 0;
  if (tensor.ndim < 0 || tensor.ndim > WEFT_MAX_RANK || (tensor.ndim > 0 && !tensor.shape) ||
      !count_elements({tensor.shape, static_cast<size_t>(tensor.ndim)}, count)) {
    return Status(StatusCode::kInvalidShape, "a DLPack tensor's rank or extents are out of range");
  }
  if (!tensor.data && count > 0) return Status(StatusCode::kInvalidArgument, "a DLPack tensor has no data");
  const weft_tensor filled = row_major(nullptr, view.dtype, {tensor.shape, static_cast<size_t>(tensor.ndim)});
  view.device = {tensor.device.device_type, tensor.device.device_id};
  view.rank = tensor.ndim;
  view.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  for (int i = 0; i < view.rank; ++i) {
    view.shape[i] = tensor.shape[i];
    view.strides[i] = tensor.strides ? tensor.strides[i] : filled.strides[i];
    if (view.strides[i] < 0)
      return Status(StatusCode::kInvalidShape, "a DLPack tensor has a negative stride");
  }
  return view;
}

}  // namespace weft

Result<ConsumerStream> consumer_stream(weft_device device, std::optional<int64_t> argument) {
  const auto refuse = [&](const char* expected) {
    return Status(StatusCode::kInvalidArgument, "the stream of a tensor's consumer cannot be used")
        .at(sdk::device_name(device))
        .expected(expected)
        .got(argument ? std::to_string(*argument) : "none");
  };
  if (device.kind == WEFT_DEVICE_CPU) {
    if (argument) return refuse("none: a tensor on the CPU has no stream");
    return ConsumerStream();
  }
  if (!argument) {
    if (device.kind != WEFT_DEVICE_CUDA) return refuse("a handle: this device has no default stream");
    return ConsumerStream(native(kLegacyStream));
  }
  if (*argument == -1) return ConsumerStream();
  if (*argument <= 0) return refuse("-1 for no stream, 1 or 2 for a default stream, or a handle");
  return ConsumerStream(native(*argument));
}

Result<DLManagedTensorVersioned*> to_dlpack(const Buffer& buffer, const weft_tensor& view,
                                            const ConsumerStream& consumer) {
  const DtypePair* found = nullptr;
  for (const DtypePair& pair : kPairs) {
    if (pair.dtype == view.dtype) found = &pair;
  }
  if (!found) return Status(StatusCode::kUnsupported, "the tensor's dtype has no DLPack counterpart");
  if (consumer) {
    if (!buffer.get()->uses)
      return Status(StatusCode::kInvalidArgument, "a tensor on the CPU has no stream to wait for");
    if (Status status = buffer.get()->uses->hand_over(*consumer); !status.ok()) return status;
  }
  auto* shared = new (std::nothrow) Export;
  if (!shared) return Status(StatusCode::kOutOfMemory, "no memory for a DLPack tensor");
  shared->buffer = buffer;
  shared->left_by = consumer;
  // The deleter may be called by another thread; what the legacy stream does comes after all threads' default streams.
  if (consumer == native(kPerThreadStream)) shared->left_by = native(kLegacyStream);
  for (int i = 0; i < view.rank; ++i) {
    shared->shape[i] = view.shape[i];
    shared->strides[i] = view.strides[i];
  }
  DLManagedTensorVersioned& tensor = shared->tensor;
  tensor.version = {1, 0};
  tensor.manager_ctx = shared;
  tensor.deleter = delete_export;
  tensor.flags = kDlpackReadOnly;
  tensor.dl_tensor.data = view.data;
  tensor.dl_tensor.device = {view.device.kind, view.device.index};
  tensor.dl_tensor.ndim = view.rank;
  tensor.dl_tensor.dtype = {found->code, found->bits, 1};
  tensor.dl_tensor.shape = shared->shape;
  tensor.dl_tensor.strides = shared->strides;
  return &tensor;
}

namespace {

/// The buffer over a tensor's memory, which takes the tensor over.
using MakeBuffer = std::function<Result<Buffer>(const weft_tensor& view, uint64_t size_bytes)>;

Result<ImportedTensor> import(DLManagedTensorVersioned* tensor, weft_device device, const MakeBuffer& make) {
  const auto refuse = [&](Status status) {
    if (tensor->deleter) tensor->deleter(tensor);
    return status;
  };
  if (tensor->version.major != 1) {
    return refuse(Status(StatusCode::kVersionMismatch, "a DLPack tensor has another major version")
                      .expected("1")
                      .got(std::to_string(tensor->version.major)));
  }
  auto view = view_of(tensor->dl_tensor);
  if (!view.ok()) return refuse(view.status());
  if (!sdk::same_device(view->device, device)) {
    return refuse(Status(StatusCode::kUnsupported, "a DLPack tensor is on another device")
                      .expected(sdk::device_name(device))
                      .got("device type " + std::to_string(view->device.kind) + ", number " +
                           std::to_string(view->device.index)));
  }
  uint64_t size = 0;
  if (!reach_bytes(*view, size))
    return refuse(Status(StatusCode::kInvalidShape, "a DLPack tensor's strides overflow"));
  auto buffer = make(*view, size);
  if (!buffer.ok()) return refuse(buffer.status());
  return ImportedTensor{std::move(*buffer), *view};
}

}  // namespace

Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor) {
  return import(tensor, sdk::kCpu, [&](const weft_tensor& view, uint64_t size) {
    return wrap_memory(view.data, size, view.device, tensor, delete_import);
  });
}

Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor, DevicePool& pool,
                                   weft_stream* consumer) {
  return import(tensor, pool.device(), [&](const weft_tensor& view, uint64_t size) -> Result<Buffer> {
    std::shared_ptr<BufferUses> uses = pool.uses(consumer);
    if (Status status = uses->ready(consumer); !status.ok()) return status;
    std::unique_ptr<Import> owner(new Import{tensor, pool});
    auto buffer = wrap_memory(view.data, size, view.device, owner.get(), delete_device_import);
    if (!buffer.ok()) return buffer;
    owner.release();
    buffer->get()->uses = std::move(uses);
    return buffer;
  });
}

}  // namespace weft
