#include "kernels/ops/gemm/dense_steps.h"

#include <algorithm>
#include <cstring>

namespace weft::dense {

Scratch::Scratch(void* all_threads, uint32_t thread)
    : panel(static_cast<uint8_t*>(all_threads) + thread * kScratchBytes),
      sums(reinterpret_cast<float*>(panel + kPanelBytes)),
      row(reinterpret_cast<float*>(panel + kPanelBytes + kSumsBytes)) {}

Kernels::Kernels(DType compute_type, IsaLevel isa)
    : compute(compute_type),
      level(isa),
      panels(WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDensePanelBodies, isa)),
      rows(WEFT_ISA_BODY_WITH_BF16_AND_AMX(kDenseRowBodies, isa)),
      element(compute == DType::kBF16 ? panels.panel_of_bf16 : PanelElement::kF32),
      in_tiles(compute == DType::kBF16 && panels.multiply_bf16 == panels.multiply_bf16_tiles) {}

int64_t Kernels::row_stride(int64_t k) const {
  constexpr int64_t kLine = 64;
  const int64_t lines = round_up(k, kPadding) * element_bytes() / kLine;
  return (lines | 1) * kLine;
}

void Kernels::multiply(const PanelTask& task) const {
  if (compute == DType::kF32) panels.multiply_f32(task);
  else if (compute == DType::kBF16) panels.multiply_bf16(task);
  else panels.multiply_f16(task);
}

void to_f32(const DenseRowBodies& rows, const void* src, DType type, int64_t count, float* dst) {
  if (type == DType::kF32) std::memcpy(dst, src, static_cast<size_t>(count) * 4);
  else if (type == DType::kBF16) rows.widen(static_cast<const uint16_t*>(src), dst, count);
  else rows.widen_f16(static_cast<const uint16_t*>(src), dst, count);
}

void from_f32(const DenseRowBodies& rows, const float* src, int64_t count, DType type, void* dst) {
  if (type == DType::kF32) std::memcpy(dst, src, static_cast<size_t>(count) * 4);
  else if (type == DType::kBF16) rows.narrow(src, static_cast<uint16_t*>(dst), count);
  else rows.narrow_f16(src, static_cast<uint16_t*>(dst), count);
}

void put_panel_row(const Kernels& kernels, const void* src, DType type, int64_t count, int64_t padded,
                   uint8_t* dst) {
  const bool in_f32 = kernels.element == PanelElement::kF32;
  const int64_t bytes = kernels.element_bytes();
  if (!rounds_input(kernels.compute, type)) {
    if (in_f32) to_f32(kernels.rows, src, type, count, reinterpret_cast<float*>(dst));
    else std::memcpy(dst, src, static_cast<size_t>(count * bytes));
  } else {
    constexpr int64_t kPart = 512;
    float values[kPart];
    uint16_t rounded[kPart];
    for (int64_t i = 0; i < count; i += kPart) {
      const int64_t n = std::min(kPart, count - i);
      to_f32(kernels.rows, static_cast<const uint8_t*>(src) + i * size_bytes(type), type, n, values);
      from_f32(kernels.rows, values, n, kernels.compute,
               in_f32 ? static_cast<void*>(rounded) : dst + i * bytes);
      if (in_f32)
        to_f32(kernels.rows, rounded, kernels.compute, n, reinterpret_cast<float*>(dst + i * bytes));
    }
  }
  std::memset(dst + count * bytes, 0, static_cast<size_t>((padded - count) * bytes));
}

Parts::Parts(int64_t count, int64_t most, int64_t unit) : count_(count) {
  const int64_t wanted = (count + most - 1) / most;
  size = wanted == 0 ? unit : round_up((count + wanted - 1) / wanted, unit);
  n = (count + size - 1) / size;
}

}  // namespace weft::dense
