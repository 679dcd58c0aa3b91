/// Element types and the non-owning tensor view that every op of the compute library takes.
///
/// A view does not own and does not allocate; the caller keeps the memory alive for the length of the call. Extents and
/// strides are in elements, outermost dimension first. Strides are explicit, so that a slice is a view.
///
///   float x[6]; TensorView view = TensorView::contiguous(x, DType::kF32, {2, 3});
#ifndef WEFT_KERNELS_TENSOR_H
#define WEFT_KERNELS_TENSOR_H

#include <weft/abi/types.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace weft {

enum class DType : weft_dtype {
  kBool = WEFT_DTYPE_BOOL,
  kU8 = WEFT_DTYPE_U8,
  kI8 = WEFT_DTYPE_I8,
  kI16 = WEFT_DTYPE_I16,
  kI32 = WEFT_DTYPE_I32,
  kI64 = WEFT_DTYPE_I64,
  kF16 = WEFT_DTYPE_F16,
  kBF16 = WEFT_DTYPE_BF16,
  kF32 = WEFT_DTYPE_F32,
  kF64 = WEFT_DTYPE_F64,
};

constexpr int64_t size_bytes(DType dtype) {
  switch (dtype) {
    case DType::kBool:
    case DType::kU8:
    case DType::kI8: return 1;
    case DType::kI16:
    case DType::kF16:
    case DType::kBF16: return 2;
    case DType::kI32:
    case DType::kF32: return 4;
    case DType::kI64:
    case DType::kF64: return 8;
  }
  return 0;
}

struct Device {
  weft_device_kind kind = WEFT_DEVICE_CPU;
  int32_t index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

struct TensorView {
  static constexpr int kMaxRank = WEFT_MAX_RANK;

  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  int64_t shape[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};
  Device device;

  /// A row-major view. `shape` has at most kMaxRank extents. Constness of `data` is the op's contract, not the type's:
  /// an op's header says which views it writes.
  static TensorView contiguous(const void* data, DType dtype, std::initializer_list<int64_t> shape) {
    assert(shape.size() <= kMaxRank);
    TensorView view;
    view.data = const_cast<void*>(data);
    view.dtype = dtype;
    for (int64_t extent : shape) view.shape[view.rank++] = extent;
    int64_t stride = 1;
    for (int i = view.rank - 1; i >= 0; --i) {
      view.strides[i] = stride;
      stride *= view.shape[i];
    }
    return view;
  }

  int64_t count() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace weft
#endif
