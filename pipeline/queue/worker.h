/// A worker: takes items from a queue, runs them, and stores in the queue how each ended.
///
/// An item is run in folder/workers/WORKER/items/NAME/. If its record is the first that the server gets, its files move to
/// folder/items/NAME/; else they are removed, for another worker has done the same. A failed item goes back to the queue until
/// it has been tried QueueSetup::tries times. So does one whose worker died; it then runs alone, so that an item that takes
/// its worker down takes no others with it. While the server is away the worker goes on with what it has, and waits.
/// Ownership: what is given outlives the call. Threads: those of run_items, and one that talks to the server.
///
///   Result<WorkerCounts> counts = run_worker(setup, queue, what, {.folder = "out"}, callbacks, &drain, cancel);
#ifndef WEFT_PIPELINE_QUEUE_WORKER_H
#define WEFT_PIPELINE_QUEUE_WORKER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "pipeline/batch/batch.h"
#include "pipeline/batch/group_commit.h"
#include "pipeline/queue/queue.h"
#include "pipeline/run/cancel.h"

namespace weft {

struct WorkerOptions {
  std::filesystem::path folder = "out";
  uint32_t concurrency = 0;  // as BatchOptions has it
  BatchOptions::Changes changes =
      BatchOptions::Changes::kRefuse;  // of pipeline, plugins, models since submission
};

struct WorkerCallbacks {
  GroupCommit::OnRecorded on_recorded;  // an item whose record is this worker's
  std::function<void(const Item&, const Event&)> on_event;
  std::function<void(const Item&)> on_end;          // it executes no more, whatever comes of it
  std::function<void(const std::string&)> on_note;  // what a person should know; any may be empty
};

struct WorkerCounts {
  uint64_t done = 0, failed = 0;  // with a record of this worker
  enum class End { kNothingLeft, kDrained, kQueueCancelled } end = End::kNothingLeft;
};

/// setup.graph: parsed from what.pipeline. Ends when every submitted item has a record, whoever runs the last ones.
/// drain: begins no further item; cancel: gives up those at work, and is set when the queue is cancelled.
/// Errors: kVersionMismatch if pipeline, plugins or models are not those that were submitted, with what differs; kNotFound if
/// the queue is removed meanwhile; kIoError if the folder takes no files; those of run_items.
Result<WorkerCounts> run_worker(const BatchSetup& setup, Queue& queue, const QueueSetup& what,
                                const WorkerOptions& options, const WorkerCallbacks& callbacks,
                                const CancelToken* drain, CancelToken& cancel);

}  // namespace weft
#endif
