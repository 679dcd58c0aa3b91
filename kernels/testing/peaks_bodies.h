/// The loops of peaks_cpu.cc, once per body. Private to this folder.
#ifndef WEFT_KERNELS_TESTING_PEAKS_BODIES_H
#define WEFT_KERNELS_TESTING_PEAKS_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

struct PeakBodies {
  /// Does `rounds` times kPeakChains operations on 16 lanes; returns a value that depends on all of them.
  float (*f32)(int64_t rounds);
  float (*int8)(int64_t rounds);
  /// The same of pairs of bf16: two products a lane. Null in bodies without such an instruction.
  float (*bf16)(int64_t rounds);
};
WEFT_DECLARE_ISA_BODIES(PeakBodies, kPeakBodies)
WEFT_DECLARE_ISA_BODY(PeakBodies, kPeakBodies, avx512bf16)
WEFT_DECLARE_ISA_BODY(PeakBodies, kPeakBodies, amx)

/// Independent chains: enough to hide the latency of one operation.
inline constexpr int kPeakChains = 12;
inline constexpr int kPeakPairChains = 24;  // of bf16 pairs, whose latency is longer

}  // namespace weft
#endif
