/// What a batch will take, before it is started.
///
/// The first items are run for real, in a folder that is removed afterwards; how many fit beside each other and what memory
/// they need is the plan's. Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_ESTIMATE_H
#define WEFT_PIPELINE_BATCH_ESTIMATE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <vector>

#include "pipeline/batch/batch.h"

namespace weft {

struct BatchEstimate {
  uint64_t n_items = 0,
           n_recorded = 0;  // of the source; of those, with a record in the output folder already
  std::vector<InvalidItem> invalid;
  BatchPlan plan;
  uint64_t n_measured = 0;      // items that were run for this; 0: none succeeded
  double seconds_per_item = 0;  // of one item at work, beside plan.concurrency - 1 others
  uint64_t disk_bytes_per_item = 0;
  uint64_t free_disk_bytes = 0;  // where the output folder is or will be

  uint64_t n_to_do() const { return n_items > n_recorded ? n_items - n_recorded : 0; }
  double seconds() const { return static_cast<double>(n_to_do()) * seconds_per_item / plan.concurrency; }
  uint64_t memory_bytes() const { return plan.weight_bytes + plan.concurrency * plan.bytes_per_item; }
  uint64_t disk_bytes() const { return n_to_do() * disk_bytes_per_item; }
};

/// Nothing is written to options.folder. Errors: those of Batch::open; kCancelled.
Result<BatchEstimate> estimate_batch(const BatchSetup& setup, const BatchOptions& options,
                                     const CancelToken* cancel);

}  // namespace weft
#endif
