/// Sixteen lanes of f32 or i32 (and 64 bytes) for sources that are compiled once per instruction set: one zmm
/// register, two ymm registers, or the compiler's generic vectors.
///
/// Include it only from a source given to weft_isa_sources(). Every function is internal to the object.
/// Operations are lane by lane and IEEE single precision; fma() is fused where the body has FMA (avx2,
/// avx512) and a product and a sum in the scalar body, which is why bits agree within a body, not across
/// bodies.
///
///   for (int64_t i = 0; i < n; i += kLanes) f32_store(y + i, fma(f32_load(x + i), f32_load(w + i), f32_load(y + i)));
#ifndef WEFT_KERNELS_CPU_LANES_H
#define WEFT_KERNELS_CPU_LANES_H

#include <stdint.h>

#define WEFT_LANE_FN static inline __attribute__((always_inline, unused))

namespace weft {
inline constexpr int kLanes = 16;
}

#if defined(WEFT_ISA_AVX512)
#include "kernels/cpu/lanes_avx512.h"
#elif defined(WEFT_ISA_AVX2)
#include "kernels/cpu/lanes_avx2.h"
#else
#include "kernels/cpu/lanes_scalar.h"
#endif

#endif
