#include "kernels/tensor_checks.h"

namespace weft {

std::string shape_text(const TensorView& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(view.shape[i]);
  return text + "]";
}

Status check_float_view(const char* name, const TensorView& view, int rank) {
  if (view.dtype != DType::kF32 && view.dtype != DType::kBF16 && view.dtype != DType::kF16) {
    return Status(StatusCode::kUnsupported, std::string(name) + " has an element type that is not served")
        .expected("f32, bf16 or f16")
        .got("type " + std::to_string(static_cast<int>(view.dtype)));
  }
  if (view.device.kind != WEFT_DEVICE_CPU)
    return Status(StatusCode::kUnsupported, std::string(name) + " is not in the processor's memory");
  bool possible = view.rank == rank;
  for (int i = 0; i < view.rank; ++i) possible = possible && view.shape[i] >= 0;
  if (!possible) {
    return Status(StatusCode::kInvalidShape, std::string(name) + " has an impossible shape")
        .expected(std::to_string(rank) + " extents of at least 0")
        .got(shape_text(view));
  }
  if (view.count() == 0) return {};
  if (view.shape[rank - 1] > 1 && view.strides[rank - 1] != 1) {
    return Status(StatusCode::kInvalidShape, std::string(name) + " has gaps in its last dimension")
        .expected("a stride of 1")
        .got(std::to_string(view.strides[rank - 1]));
  }
  if (view.data == nullptr)
    return Status(StatusCode::kInvalidArgument, std::string(name) + " is a null pointer");
  return {};
}

Status check_same_shape(const char* name, const TensorView& view, const TensorView& expected) {
  bool same = view.rank == expected.rank;
  for (int i = 0; same && i < view.rank; ++i) same = view.shape[i] == expected.shape[i];
  if (same) return {};
  return Status(StatusCode::kInvalidShape, std::string(name) + " has another shape than it needs")
      .expected(shape_text(expected))
      .got(shape_text(view));
}

}  // namespace weft
