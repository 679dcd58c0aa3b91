/// The functions of matmul_cpu.cc, matmul_tiles_cpu.cc and matmul_float_cpu.cc, once per body. Private to this folder.
#ifndef WEFT_KERNELS_OPS_MATMUL_MATMUL_BODIES_H
#define WEFT_KERNELS_OPS_MATMUL_MATMUL_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"
#include "kernels/ops/matmul/packed_layout.h"

namespace weft {

/// One group of 16 rows of a packed matrix times some rows of activations.
struct GroupTask {
  WeightFormat format;
  int64_t k;
  const uint8_t* group;  // group_bytes(format, k)
  int64_t n_rows;        // of activations
  const void* rounded;   // quantised formats: [n_rows][k / 32] of what round_steps() of the same body makes
  const float* x;        // float formats: [n_rows], x_stride elements apart
  int64_t x_stride;
  float* y;  // [n_rows][lanes], y_stride elements apart
  int64_t y_stride;
  int lanes;  // valid rows of the group, 1 to 16
};

struct MatmulBodies {
  const char* name;
  int64_t rounded_bytes;  // of 32 rounded values: a RoundedStep or a PlaneStep
  /// Rounds `steps` times 32 values.
  void (*round_steps)(const float* x, int64_t steps, void* out);
  void (*multiply_group)(const GroupTask& task);
};
WEFT_DECLARE_ISA_BODIES(MatmulBodies, kMatmulBodies)

/// The recipe of the level kAmx (README.md): two planes of int8, products in tiles. Tests have it in other bodies too.
WEFT_DECLARE_ISA_BODY(MatmulBodies, kTileMatmulBodies, amx)

struct FloatMatmulBodies {
  void (*multiply_group)(const GroupTask& task);
};
WEFT_DECLARE_ISA_BODIES(FloatMatmulBodies, kFloatMatmulBodies)

}  // namespace weft
#endif
