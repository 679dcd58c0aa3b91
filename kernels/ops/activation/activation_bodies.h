/// The bodies of activation_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_BODIES_H
#define WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

/// f: an Activation, as a number. up: null for the plain form.
struct ActivationBodies {
  const char* name;
  void (*activate)(uint8_t f, float* gate, const float* up, int64_t count);
  void (*soft_cap)(float cap, float* x, int64_t count);
  void (*add)(float* x, const float* y, int64_t count);
};
WEFT_DECLARE_ISA_BODIES(ActivationBodies, kActivationBodies)

}  // namespace weft
#endif
