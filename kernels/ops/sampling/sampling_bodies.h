/// The passes over a whole vocabulary, once per body. Private to the op.
#ifndef WEFT_KERNELS_OPS_SAMPLING_SAMPLING_BODIES_H
#define WEFT_KERNELS_OPS_SAMPLING_SAMPLING_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

struct SamplingBodies {
  /// The largest of x [n], numbers only; -infinity if there is none.
  float (*largest)(const float* x, int64_t n);
  /// y = x, with -infinity where x is not a number.
  void (*copy_numbers)(const float* x, int64_t n, float* y);
  /// Sum of exp((x - largest) * inverse_temperature) over the x that are at least `threshold`. 16 sums in f32 over each
  /// 4096 elements, added in double.
  double (*sum_weights)(const float* x, int64_t n, float largest, float inverse_temperature, float threshold);
  /// The places of the x that are at least `threshold`, ascending; at most `most` of them. Returns their number.
  int64_t (*find_at_least)(const float* x, int64_t n, float threshold, int64_t most, int32_t* places);
};
WEFT_DECLARE_ISA_BODIES(SamplingBodies, kSamplingBodies)

}  // namespace weft
#endif
