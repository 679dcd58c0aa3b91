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
      element(compute == DType::kF32 ? PanelElement::kF32 : panels.panel_of_bf16) {}

int64_t Kernels::row_stride(int64_t k) const {
  constexpr int64_t kLine = 64;
  const int64_t lines = round_up(k, kPadding) * element_bytes() / kLine;
  return (lines | 1) * kLine;
}

void Kernels::multiply(const PanelTask& task) const {
  if (compute == DType::kF32) panels.multiply_f32(task);
  else panels.multiply_bf16(task);
}

void put_panel_row(const Kernels& kernels, const void* src, DType type, int64_t count, int64_t padded,
                   uint8_t* dst) {
  float* f32 = reinterpret_cast<float*>(dst);
  uint16_t* bf16 = reinterpret_cast<uint16_t*>(dst);
  if (kernels.element == PanelElement::kBF16) {
    if (type == DType::kBF16) std::memcpy(bf16, src, static_cast<size_t>(count) * 2);
    else kernels.rows.narrow(static_cast<const float*>(src), bf16, count);
  } else if (type == DType::kBF16) {
    kernels.rows.widen(static_cast<const uint16_t*>(src), f32, count);
  } else if (kernels.compute == DType::kF32) {
    std::memcpy(f32, src, static_cast<size_t>(count) * 4);
  } else {
    constexpr int64_t kPart = 512;
    uint16_t rounded[kPart];
    for (int64_t i = 0; i < count; i += kPart) {
      const int64_t n = std::min(kPart, count - i);
      kernels.rows.narrow(static_cast<const float*>(src) + i, rounded, n);
      kernels.rows.widen(rounded, f32 + i, n);
    }
  }
  const int64_t bytes = kernels.element_bytes();
  std::memset(dst + count * bytes, 0, static_cast<size_t>((padded - count) * bytes));
}

Parts::Parts(int64_t count, int64_t most, int64_t unit) : count_(count) {
  const int64_t wanted = (count + most - 1) / most;
  size = wanted == 0 ? unit : round_up((count + wanted - 1) / wanted, unit);
  n = (count + size - 1) / size;
}

}  // namespace weft::dense
