#include "pipeline/memory/tensor_layout.h"

#include <weft/sdk/value.h>

namespace weft {

int64_t element_bytes(weft_dtype dtype) { return sdk::element_size_bytes(dtype); }

const char* dtype_name(weft_dtype dtype) { return sdk::dtype_name(dtype); }

weft_dtype dtype_from_name(std::string_view name) {
  for (weft_dtype dtype = WEFT_DTYPE_BOOL; dtype <= WEFT_DTYPE_F64; ++dtype) {
    if (name == dtype_name(dtype)) return dtype;
  }
  return 0;
}

bool count_elements(std::span<const int64_t> shape, int64_t& count) {
  count = 1;
  bool empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return false;
    if (extent == 0) empty = true;
  }
  for (const int64_t extent : shape) {
    if (!empty && __builtin_mul_overflow(count, extent, &count)) return false;
  }
  if (empty) count = 0;
  return true;
}

weft_tensor row_major(void* data, weft_dtype dtype, std::span<const int64_t> shape) {
  weft_tensor view{};
  view.struct_size = sizeof(view);
  view.dtype = dtype;
  view.device = {WEFT_DEVICE_CPU, 0};
  view.data = data;
  for (const int64_t extent : shape) view.shape[view.rank++] = extent;
  int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    view.strides[i] = stride;
    // Beside an empty extent the others may overflow; no element uses the stride then.
    if (view.shape[i] > 0 && __builtin_mul_overflow(stride, view.shape[i], &stride)) stride = 1;
  }
  return view;
}

bool is_row_major(const weft_tensor& view) {
  for (int i = 0; i < view.rank; ++i) {
    if (view.shape[i] == 0) return true;
  }
  int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    if (view.shape[i] != 1 && view.strides[i] != stride) return false;
    stride *= view.shape[i];
  }
  return true;
}

Status check_layout(const weft_tensor& view, const void* start, uint64_t size_bytes) {
  const int64_t element = element_bytes(view.dtype);
  if (element == 0) return Status(StatusCode::kInvalidArgument, "the tensor's dtype does not exist");
  if (view.rank < 0 || view.rank > WEFT_MAX_RANK)
    return Status(StatusCode::kInvalidArgument, "the tensor's rank is wrong");
  int64_t count = 0;
  if (!count_elements({view.shape, static_cast<size_t>(view.rank)}, count)) {
    return Status(StatusCode::kInvalidArgument, "an extent is negative, or the extents' product overflows");
  }
  const auto begin = reinterpret_cast<uintptr_t>(start), first = reinterpret_cast<uintptr_t>(view.data);
  if (first < begin || first - begin > size_bytes)
    return Status(StatusCode::kOutOfRange, "the tensor starts outside its buffer");
  if (count == 0) return {};
  int64_t last = 0;  // offset of the last element, in elements
  for (int i = 0; i < view.rank; ++i) {
    int64_t reach = 0;
    if (view.strides[i] < 0) return Status(StatusCode::kInvalidArgument, "a stride is negative");
    if (__builtin_mul_overflow(view.shape[i] - 1, view.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return Status(StatusCode::kOutOfRange, "a stride leads beyond all memory");
    }
  }
  uint64_t needed = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(last) + 1, static_cast<uint64_t>(element), &needed) ||
      needed > size_bytes - (first - begin)) {
    return Status(StatusCode::kOutOfRange, "the tensor reaches beyond its buffer");
  }
  return {};
}

}  // namespace weft
