/// Rows of elements on their way into a panel and out of the sums. Private to ops/gemm, ops/convolution and ops/group_norm.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_ROWS_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_ROWS_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"
#include "kernels/ops/gemm/dense_panel.h"

namespace weft {

/// Rows of sums on their way out: out = f(sums + bias + more_bias) + residual, or, with gates,
/// out = (sums + bias) * f(gates + gate_bias) + residual. f: an Activation as a number, or kNoActivation. Strides in elements.
struct RowsOutput {
  static constexpr uint8_t kNoActivation = 255;
  int64_t n_rows, count;  // of a row
  const float* sums;
  int64_t sums_stride;  // also of gates
  const float* bias;    // or null, as the next four
  const float* more_bias;
  const float* gates;
  const float* gate_bias;
  const void* residual;
  int64_t residual_stride;
  void* out;
  int64_t out_stride;
  PanelElement residual_type;
  PanelElement out_type;
  uint8_t activation;
};

/// An element's bits depend on the element alone.
struct DenseRowBodies {
  /// to[i] = f32 of the bf16 (f16) at from[i].
  void (*widen)(const uint16_t* from, float* to, int64_t count);
  void (*widen_f16)(const uint16_t* from, float* to, int64_t count);
  /// to[i] = from[i] rounded to bf16 (f16), to nearest even.
  void (*narrow)(const float* from, uint16_t* to, int64_t count);
  void (*narrow_f16)(const float* from, uint16_t* to, int64_t count);
  /// x[i] = x[i] * scale[i] + shift[i], fused where the body can.
  void (*scale_shift)(float* x, const float* scale, const float* shift, int64_t count);
  /// to[i] = f(from[i] * scale[i] + shift[i]) in one pass, f being SiLU or nothing: the input of a residual block.
  void (*scale_shift_silu)(const void* from, PanelElement from_type, const float* scale, const float* shift,
                           void* to, PanelElement to_type, int64_t count);
  void (*scale_shift_only)(const void* from, PanelElement from_type, const float* scale, const float* shift,
                           void* to, PanelElement to_type, int64_t count);
  void (*finish)(const RowsOutput& rows);
};
WEFT_DECLARE_ISA_BODIES(DenseRowBodies, kDenseRowBodies)
WEFT_DECLARE_ISA_BODY(DenseRowBodies, kDenseRowBodies, avx512bf16)
WEFT_DECLARE_ISA_BODY(DenseRowBodies, kDenseRowBodies, amx)

}  // namespace weft
#endif
