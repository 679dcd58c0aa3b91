/// What happens to the logits of tokens that were seen before, wherever the logits are. sampling.h says what each parameter
/// means. Depends on the history alone, so that a device is told of it and never sees a history.
///
/// Thread safety: pure functions; the buffers belong to one call at a time.
#ifndef WEFT_KERNELS_OPS_SAMPLING_LOGIT_CHANGES_H
#define WEFT_KERNELS_OPS_SAMPLING_LOGIT_CHANGES_H

#include <cstdint>
#include <span>

#include "kernels/ops/sampling/sampling.h"

namespace weft {

/// Of one token's logit x: (x > 0 ? x / divisor : x * divisor) - lowered_by.
struct LogitChange {
  int32_t token;
  float divisor;
  float lowered_by;
};
inline float changed(float logit, const LogitChange& change) {
  return (logit > 0 ? logit / change.divisor : logit * change.divisor) - change.lowered_by;
}

struct Repetition {
  int32_t token;
  int32_t length;
};

/// Memory of one call.
struct LogitChangeBuffers {
  std::span<int32_t> recent;          // [history]
  std::span<Repetition> repetitions;  // [history]
  std::span<LogitChange> changes;     // [2 history]
};

/// The changes by the repeat, presence and frequency penalties and then those by DRY, to be applied in this order: at most one
/// of either a token, ascending; tokens of the vocabulary only. In buffers.changes.
std::span<const LogitChange> logit_changes(const SamplingParameters& parameters,
                                           std::span<const int32_t> history, int64_t vocabulary,
                                           const LogitChangeBuffers& buffers);

}  // namespace weft
#endif
