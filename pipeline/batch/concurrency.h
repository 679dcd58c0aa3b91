/// How many items of a batch are at work at once.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_CONCURRENCY_H
#define WEFT_PIPELINE_BATCH_CONCURRENCY_H

#include <weft/sdk/status.h>

#include <cstdint>

#include "pipeline/plan/plan.h"

namespace weft {

/// Bytes on the CPU by the plan of one item. Weights are there once, the rest for each item at work.
struct ItemMemory {
  uint64_t weight_bytes = 0, bytes_per_item = 0, mapped_bytes = 0;
};
ItemMemory item_memory(const Plan& plan);

/// wanted: 0 for as many as threads and memory allow. limit_bytes: 0 for what the machine has free, which only bounds the
/// choice that is left to Weft. Errors: kOutOfMemory if `wanted` items need more than the limit, with the numbers.
Result<uint32_t> choose_concurrency(const ItemMemory& memory, uint32_t wanted, uint32_t threads,
                                    uint64_t limit_bytes);

}  // namespace weft
#endif
