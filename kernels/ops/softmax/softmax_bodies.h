/// The bodies of softmax_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_BODIES_H
#define WEFT_KERNELS_OPS_SOFTMAX_SOFTMAX_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

struct SoftmaxBodies {
  const char* name;
  /// The largest of x [n], numbers only; -infinity if there is none.
  float (*largest)(const float* x, int64_t n);
  /// y = exp(scale * (x - largest)); returns their sum.
  double (*exponentials)(const float* x, int64_t n, float scale, float largest, float* y);
  /// The sum of exp(x - largest), numbers only.
  double (*sum_exponentials)(const float* x, int64_t n, float largest);
  /// y *= factor.
  void (*multiply)(float* y, int64_t n, float factor);
};
WEFT_DECLARE_ISA_BODIES(SoftmaxBodies, kSoftmaxBodies)

}  // namespace weft
#endif
