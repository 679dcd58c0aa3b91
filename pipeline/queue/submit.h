/// Items of a batch into a queue, and a queue's items to their end without being run.
///
/// All items are read and checked as by `weft batch` before the first one is stored. Submitting may be cut off and is
/// repeated with the same command: what the queue has stays as it is. Thread safety: one thread; tokens from any.
#ifndef WEFT_PIPELINE_QUEUE_SUBMIT_H
#define WEFT_PIPELINE_QUEUE_SUBMIT_H

#include <weft/sdk/status.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/batch/batch.h"
#include "pipeline/queue/queue.h"

namespace weft {

struct SubmitOptions {
  std::string pipeline;  // the file, as the user named it
  std::string items;     // these three as in BatchOptions
  std::vector<std::string> matrix;
  std::string name_template;
  uint32_t tries = 3;
  std::chrono::milliseconds silence{30'000};  // of a worker, after which its items go to others
};

struct SubmittedItems {
  uint64_t added = 0, known = 0;  // known: they were in the queue before
  std::vector<InvalidItem>
      invalid;  // of those added: they fail without being run; the first ones, as Batch::invalid_items
};

/// Errors: those of Batch::open, and of the queue; kVersionMismatch if the queue is of another pipeline, plugins or models;
/// kAlreadyExists for an item whose name the queue has for another one, and if the queue was cancelled; kCancelled.
Result<SubmittedItems> submit_items(const BatchSetup& setup, const SubmitOptions& options, Queue& queue,
                                    const CancelToken* cancel);

/// Gives every item without a record that it was cancelled; workers give up what they have at work within seconds.
/// Returns how many it were. May be repeated. Errors: those of the queue.
Result<uint64_t> cancel_items(Queue& queue);

}  // namespace weft
#endif
