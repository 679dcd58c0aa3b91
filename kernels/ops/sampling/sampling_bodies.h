/// The bodies of sampling_cpu.cc, one per instruction set; private to the op.
#ifndef WEFT_KERNELS_OPS_SAMPLING_SAMPLING_BODIES_H
#define WEFT_KERNELS_OPS_SAMPLING_SAMPLING_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

/// Limits that one pass over a row weighs the logits above of.
constexpr int kWeightLimits = 3;

/// The weight of a logit x is exp(scale (x - largest)), times 2^33, rounded to an integer (sampling.h).
struct SamplingBodies {
  const char* name;
  /// Of x [n].
  void (*weigh)(const float* x, int64_t n, float scale, float largest, uint64_t* weights);
  /// sums[i], i < kWeightLimits: of those x [n] that are at least limits[i]; the last one: of all numbers. limits descend.
  void (*sum_weights)(const float* x, int64_t n, float scale, float largest, const float* limits,
                      uint64_t* sums);
};
WEFT_DECLARE_ISA_BODIES(SamplingBodies, kSamplingBodies)

}  // namespace weft
#endif
