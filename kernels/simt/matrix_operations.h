/// What ldmatrix and mma do, given the operands of all lanes of a warp. Private to this folder.
/// Source: PTX ISA, "Matrix Fragments for mma.m16n8k16", "m16n8k32" and "ldmatrix".
#ifndef WEFT_KERNELS_SIMT_MATRIX_OPERATIONS_H
#define WEFT_KERNELS_SIMT_MATRIX_OPERATIONS_H

#include <cstdint>

#include "kernels/simt/language.h"

namespace weft::simt {

/// What one lane gives to an operation of its warp, and where its result goes.
struct WarpOperands {
  uint64_t value = 0;
  int source_lane = -1;
  void* out = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
};

/// a: one row of 16 bytes, of matrix lane / 8, row lane % 8; out: uint32_t[4].
void load_matrices(const WarpOperands (&lanes)[32], bool transposed);
/// a: uint32_t[4]; b: uint32_t[2]; out: float[4], added to.
void multiply_f32(const WarpOperands (&lanes)[32], MmaInput input);
/// The same with bytes; out: int32_t[4].
void multiply_s8(const WarpOperands (&lanes)[32]);

}  // namespace weft::simt
#endif
