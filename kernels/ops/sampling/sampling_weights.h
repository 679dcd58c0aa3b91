/// The weights by which tokens are drawn (sampling.h), a vector at a time; private to the op.
///
/// Exact: all levels give the same. What is not a number weighs nothing.
/// Thread safety: pure functions; no allocation.
#ifndef WEFT_KERNELS_OPS_SAMPLING_SAMPLING_WEIGHTS_H
#define WEFT_KERNELS_OPS_SAMPLING_SAMPLING_WEIGHTS_H

#include <array>
#include <cstdint>
#include <span>

#include "kernels/cpu/isa.h"
#include "kernels/ops/sampling/sampling_bodies.h"

namespace weft {

/// Of each x, none of them above `largest`. weights: x.size().
void weigh(std::span<const float> x, float scale, float largest, std::span<uint64_t> weights,
           IsaLevel level = active_isa());

/// The sums of the weights of those x that are at least limits[i], which descend; the last one: of all.
std::array<uint64_t, kWeightLimits + 1> sum_weights(std::span<const float> x, float scale, float largest,
                                                    const std::array<float, kWeightLimits>& limits,
                                                    IsaLevel level = active_isa());

}  // namespace weft
#endif
