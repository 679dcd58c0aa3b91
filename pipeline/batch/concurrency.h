/// How many items of a batch are at work at once, and what they take.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_CONCURRENCY_H
#define WEFT_PIPELINE_BATCH_CONCURRENCY_H

#include <cstdint>

#include "pipeline/run/run.h"

namespace weft {

struct BatchPlan {
  uint32_t concurrency = 1;
  uint64_t weight_bytes = 0;    // of models, once
  uint64_t bytes_per_item = 0;  // of each item at work
  uint64_t mapped_bytes = 0;
  double seconds_per_item = 0;  // a guess of the nodes, on one core; 0: they have none
};

/// prepared: for a batch's items; those that share it are as many at once as it is for. Where each has a run of its own:
/// wanted, or one a thread for 0, as far as limit_bytes (0: what the machine has free, for the latter) allows.
BatchPlan plan_of(const PreparedRun& prepared, uint32_t wanted, uint32_t threads, uint64_t limit_bytes);

/// What the system says can be had without swapping; 0 if it does not say.
uint64_t available_bytes();

}  // namespace weft
#endif
