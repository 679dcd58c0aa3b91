/// What lowers the logits of tokens that were seen before; private to the op. sampling.h says what each parameter means.
#ifndef WEFT_KERNELS_OPS_SAMPLING_PENALTIES_H
#define WEFT_KERNELS_OPS_SAMPLING_PENALTIES_H

#include <cstdint>
#include <span>

#include "kernels/ops/sampling/sampling.h"

namespace weft {

struct Repetition {
  int32_t token;
  int32_t length;
};

/// Memory of one call: as many elements each as the history has.
struct PenaltyBuffers {
  std::span<int32_t> recent;
  std::span<Repetition> repetitions;
};

/// The repeat, presence and frequency penalties. scores: [vocabulary].
void penalize_seen(const SamplingParameters& parameters, std::span<const int32_t> history,
                   const PenaltyBuffers& buffers, std::span<float> scores);

/// DRY: lowers each token that would extend a repetition of the history's end.
void penalize_repetitions(const SamplingParameters& parameters, std::span<const int32_t> history,
                          const PenaltyBuffers& buffers, std::span<float> scores);

}  // namespace weft
#endif
