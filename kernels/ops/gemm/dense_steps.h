/// The steps before and after a panel's products, for ops/gemm and ops/convolution, and what ops/group_norm shares of them; private to
/// those three.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_STEPS_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_STEPS_H

#include <cstdint>
#include <optional>

#include "kernels/cpu/isa.h"
#include "kernels/ops/activation/activation.h"
#include "kernels/ops/gemm/dense_panel.h"
#include "kernels/ops/gemm/dense_rows.h"
#include "kernels/tensor.h"

namespace weft::dense {

/// One thread's scratch.
struct Scratch {
  Scratch(void* all_threads, uint32_t thread);
  uint8_t* panel;  // kPanelBytes
  float* sums;     // kSumsBytes
  float* row;      // kRowBytes
};

/// The bodies that serve a compute type at a level, and what they want.
struct Kernels {
  Kernels(DType compute_type, IsaLevel isa);
  DType compute;
  IsaLevel level;
  const DensePanelBodies& panels;
  const DenseRowBodies& rows;
  PanelElement element;  // of panels
  bool in_tiles;         // whether products are computed by AMX

  int64_t element_bytes() const { return element == PanelElement::kF32 ? 4 : 2; }
  /// Bytes from one row of a panel with k elements to the next: an odd number of cache lines, so that rows do not compete for
  /// the same sets.
  int64_t row_stride(int64_t k) const;
  /// Whether rows so many bytes apart compete for the same sets of a cache. Tiles read more rows at once.
  bool compete(int64_t stride_bytes) const { return stride_bytes % (in_tiles ? 1024 : 4096) == 0; }
  void multiply(const PanelTask& task) const;
};

/// Precondition: kF32, kBF16 or kF16.
inline PanelElement panel_element(DType type) {
  return type == DType::kF32    ? PanelElement::kF32
         : type == DType::kBF16 ? PanelElement::kBF16
                                : PanelElement::kF16;
}

/// Whether activations of `type` are rounded before products that are computed in `compute`.
inline bool rounds_input(DType compute, DType type) { return compute != DType::kF32 && type != compute; }

/// Rows of elements to f32 and, rounded, from it.
void to_f32(const DenseRowBodies& rows, const void* src, DType type, int64_t count, float* dst);
void from_f32(const DenseRowBodies& rows, const float* src, int64_t count, DType type, void* dst);

/// Writes `count` elements to a row of a panel, rounded as the compute type says, and zeros up to `padded`.
void put_panel_row(const Kernels& kernels, const void* src, DType type, int64_t count, int64_t padded,
                   uint8_t* dst);

/// RowsOutput's number of an activation or of none.
inline uint8_t activation_number(std::optional<Activation> f) {
  return f ? static_cast<uint8_t>(*f) : RowsOutput::kNoActivation;
}

/// How [0, count) is cut into parts that are as equal as multiples of `unit` can be, none above `most`.
struct Parts {
  Parts(int64_t count, int64_t most, int64_t unit);
  int64_t size;  // of all but the last
  int64_t n;
  int64_t begin(int64_t i) const { return i * size; }
  int64_t end(int64_t i) const { return (i + 1) * size < count_ ? (i + 1) * size : count_; }

 private:
  int64_t count_;
};

/// Where thread's part of [0, count) begins.
inline int64_t share_begin(int64_t count, uint32_t thread, uint32_t n_threads) {
  return count / n_threads * thread + count % n_threads * thread / n_threads;
}

}  // namespace weft::dense
#endif
