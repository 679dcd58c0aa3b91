/// The bodies of top_k_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_TOP_K_TOP_K_BODIES_H
#define WEFT_KERNELS_OPS_TOP_K_TOP_K_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

struct TopKBodies {
  const char* name;
  /// maxima[i] = the largest number of x[i * block .. (i + 1) * block), the last block being what is left of n; -infinity if
  /// there is none.
  void (*block_maxima)(const float* x, int64_t n, int64_t block, float* maxima);
  /// The places of the x that are at least `threshold`, ascending; at most `most` of them. Returns their number.
  int64_t (*find_at_least)(const float* x, int64_t n, float threshold, int64_t most, int32_t* places);
};
WEFT_DECLARE_ISA_BODIES(TopKBodies, kTopKBodies)

}  // namespace weft
#endif
