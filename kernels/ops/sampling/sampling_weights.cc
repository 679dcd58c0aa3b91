#include "kernels/ops/sampling/sampling_weights.h"

namespace weft {

void weigh(std::span<const float> x, float scale, float largest, std::span<uint64_t> weights,
           IsaLevel level) {
  WEFT_ISA_BODY(kSamplingBodies, level)
      .weigh(x.data(), static_cast<int64_t>(x.size()), scale, largest, weights.data());
}

std::array<uint64_t, kWeightLimits + 1> sum_weights(std::span<const float> x, float scale, float largest,
                                                    const std::array<float, kWeightLimits>& limits,
                                                    IsaLevel level) {
  std::array<uint64_t, kWeightLimits + 1> sums;
  WEFT_ISA_BODY(kSamplingBodies, level)
      .sum_weights(x.data(), static_cast<int64_t>(x.size()), scale, largest, limits.data(), sums.data());
  return sums;
}

}  // namespace weft
