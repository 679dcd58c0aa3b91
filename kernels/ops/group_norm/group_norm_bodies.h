/// The bodies of group_norm_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_BODIES_H
#define WEFT_KERNELS_OPS_GROUP_NORM_GROUP_NORM_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"
#include "kernels/ops/gemm/dense_panel.h"

namespace weft {

/// Some neighbouring channels of one image. Strides in elements.
struct MomentsTask {
  const void* x;  // the first pixel's first channel
  PanelElement type;
  int64_t rows, cols, row_stride, col_stride;
  int64_t channels;
  float* mean;     // [channels]
  float* squares;  // [channels]: the sum of squared differences from the mean
};

struct GroupNormBodies {
  const char* name;
  void (*moments)(const MomentsTask& task);
};
WEFT_DECLARE_ISA_BODIES(GroupNormBodies, kGroupNormBodies)

}  // namespace weft
#endif
