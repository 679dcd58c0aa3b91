#include "pipeline/memory/dlpack.h"

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
  int64_t shape[WEFT_MAX_RANK] = {};
  int64_t strides[WEFT_MAX_RANK] = {};
};

void delete_export(DLManagedTensorVersioned* self) { delete static_cast<Export*>(self->manager_ctx); }

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
  if (tensor.device.device_type != WEFT_DEVICE_CPU && tensor.device.device_type != WEFT_DEVICE_CUDA) {
    return Status(StatusCode::kUnsupported, "a DLPack tensor is on a device that Weft does not serve")
        .got("device type " + std::to_string(tensor.device.device_type));
  }
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

}  // namespace

Result<DLManagedTensorVersioned*> to_dlpack(const Buffer& buffer, const weft_tensor& view) {
  const DtypePair* found = nullptr;
  for (const DtypePair& pair : kPairs) {
    if (pair.dtype == view.dtype) found = &pair;
  }
  if (!found) return Status(StatusCode::kUnsupported, "the tensor's dtype has no DLPack counterpart");
  auto* shared = new (std::nothrow) Export;
  if (!shared) return Status(StatusCode::kOutOfMemory, "no memory for a DLPack tensor");
  shared->buffer = buffer;
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

Result<ImportedTensor> from_dlpack(DLManagedTensorVersioned* tensor) {
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
  uint64_t size = 0;
  if (!reach_bytes(*view, size))
    return refuse(Status(StatusCode::kInvalidShape, "a DLPack tensor's strides overflow"));
  auto buffer = wrap_memory(view->data, size, view->device, tensor, delete_import);
  if (!buffer.ok()) return refuse(buffer.status());
  return ImportedTensor{std::move(*buffer), *view};
}

}  // namespace weft
