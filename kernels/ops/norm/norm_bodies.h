/// The bodies of norm_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_NORM_NORM_BODIES_H
#define WEFT_KERNELS_OPS_NORM_NORM_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

/// One row: x, y: [cols]. bias may be null.
struct NormBodies {
  const char* name;
  void (*rms)(const float* weight, float epsilon, const float* x, float* y, int64_t cols);
  void (*layer)(const float* weight, const float* bias, float epsilon, const float* x, float* y,
                int64_t cols);
  /// x, y hold f32, or bf16 where the flag is set.
  void (*layer_mixed)(const float* weight, const float* bias, float epsilon, uint8_t x_bf16, const void* x,
                      uint8_t y_bf16, void* y, int64_t cols);
};
WEFT_DECLARE_ISA_BODIES(NormBodies, kNormBodies)

}  // namespace weft
#endif
