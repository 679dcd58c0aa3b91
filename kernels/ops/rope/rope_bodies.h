/// The bodies of rope_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_ROPE_ROPE_BODIES_H
#define WEFT_KERNELS_OPS_ROPE_ROPE_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

/// One head: x: [n_rotated] of it; cos_sin: pairs.
struct RopeBodies {
  const char* name;
  void (*interleaved)(const float* cos_sin, float* x, int64_t n_rotated);
  void (*halves)(const float* cos_sin, float* x, int64_t n_rotated);
};
WEFT_DECLARE_ISA_BODIES(RopeBodies, kRopeBodies)

}  // namespace weft
#endif
