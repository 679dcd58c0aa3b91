/// The inner product of ops/gemm and ops/convolution: a panel of activations, prepared in scratch, times groups of packed
/// weights. Private to those two.
///
/// Rows of a panel come in runs of equal length (a convolution's run is a row of pixels; a matrix is one run), and k comes in
/// taps of equal length (a convolution's kernel positions; a matrix has one). Element k of tap t of row i of run r is
///
///   a + run_offsets[r] + i * row_stride + tap_offsets[t] + k * sizeof(element)              bytes
///
/// so that a convolution's taps read one prepared patch of the image in turn.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_PANEL_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_PANEL_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"
#include "kernels/ops/gemm/dense_layout.h"

namespace weft {

enum class PanelStart : uint8_t {
  kZero,      // sums = products
  kContinue,  // sums = sums + products
};

enum class PanelElement : uint8_t { kF32, kBF16, kF16 };

/// Where finished sums go at once, for products without an activation: out = sums + bias + more_bias + residual. Run
/// offsets and strides in
/// elements.
struct PanelOutput {
  void* out = nullptr;  // first column of the first run; null: sums stay sums
  PanelElement type = PanelElement::kF32;
  int64_t row_stride = 0;
  const int64_t* run_offsets = nullptr;  // [n_runs]
  int64_t columns = 0;                   // of the groups' outputs, those that exist
  const float* bias = nullptr;           // [columns] or null
  const float* more_bias = nullptr;      // the same
  const void* residual = nullptr;        // as out, or null; may be it
  PanelElement residual_type = PanelElement::kF32;
  int64_t residual_row_stride = 0;
  const int64_t* residual_run_offsets = nullptr;
};

struct PanelTask {
  const uint8_t*
      a;  // elements: f32, or what panel_of_bf16 says. Zero from k to the next multiple of kPadding
  int64_t row_stride;
  const int64_t* run_offsets;  // [n_runs]
  int64_t n_runs;
  int64_t run_rows;
  const int64_t* tap_offsets;  // [n_taps]
  int64_t n_taps;
  int64_t k;            // of a tap, at least 1
  const uint8_t* w;     // tap 0 of the first group, as dense_layout.h says
  int64_t tap_bytes;    // of a group's weights, from one tap to the next
  int64_t group_bytes;  // from one group to the next
  int64_t n_groups;
  const uint8_t* next_w = nullptr;  // what w will be in the next task, if known: may be read ahead
  float*
      sums;  // [n_runs * run_rows][n_groups * kGroup], sums_stride elements apart; undefined after an output
  int64_t sums_stride;
  PanelStart start;
  PanelOutput output;
};

struct DensePanelBodies {
  const char* name;
  /// What products of bf16 read their activations as: bf16, or, in bodies without bf16 arithmetic, f32 that bf16 can hold.
  PanelElement panel_of_bf16;
  void (*multiply_f32)(const PanelTask& task);
  void (*multiply_bf16)(const PanelTask& task);
  void (*multiply_f16)(const PanelTask& task);  // panels of f32, weights of f16
  /// As multiply_bf16, of panels of bf16, through kernels/cpu/tiles.h; in the amx body they are one. For tests elsewhere.
  void (*multiply_bf16_tiles)(const PanelTask& task);
};
WEFT_DECLARE_ISA_BODIES(DensePanelBodies, kDensePanelBodies)
WEFT_DECLARE_ISA_BODY(DensePanelBodies, kDensePanelBodies, avx512bf16)
WEFT_DECLARE_ISA_BODY(DensePanelBodies, kDensePanelBodies, amx)

}  // namespace weft
#endif
