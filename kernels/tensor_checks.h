/// Checks of views that several ops share, and elements of any float type for code that is not hot.
///
///   if (Status s = check_float_view("the input of a product", g.a, 2); !s.ok()) return s;
#ifndef WEFT_KERNELS_TENSOR_CHECKS_H
#define WEFT_KERNELS_TENSOR_CHECKS_H

#include <weft/sdk/status.h>

#include <string>

#include "kernels/quant/half.h"
#include "kernels/tensor.h"

namespace weft {

/// "[2, 64, 64, 320]"
std::string shape_text(const TensorView& view);

/// Whether `view` is f32, bf16 or f16, in the processor's memory, of this rank, without negative extents, with adjacent
/// elements in its last dimension and, if it has elements, memory. Errors: kUnsupported, kInvalidShape, kInvalidArgument,
/// which say `name`.
Status check_float_view(const char* name, const TensorView& view, int rank);

/// Whether both have the same shape. Errors: kInvalidShape.
Status check_same_shape(const char* name, const TensorView& view, const TensorView& expected);

inline bool is_aligned(const void* p, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(bytes) == 0;
}

/// Element number i of f32, bf16 or f16 memory.
inline float load_element(const void* data, DType dtype, int64_t i) {
  if (dtype == DType::kF32) return static_cast<const float*>(data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(data)[i];
  return dtype == DType::kF16 ? f32_from_f16_bits(bits) : f32_from_bf16_bits(bits);
}
inline void store_element(void* data, DType dtype, int64_t i, float value) {
  if (dtype == DType::kF32) static_cast<float*>(data)[i] = value;
  else static_cast<uint16_t*>(data)[i] = dtype == DType::kF16 ? f16_bits(value) : bf16_bits(value);
}
/// The value as an element of that type has it.
inline float rounded_to(DType dtype, float value) {
  if (dtype == DType::kF16) return f32_from_f16_bits(f16_bits(value));
  return dtype == DType::kBF16 ? f32_from_bf16_bits(bf16_bits(value)) : value;
}

}  // namespace weft
#endif
