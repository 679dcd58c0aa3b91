/// What a queue knows, as the journal of a batch, so that everything that reads a batch's folder reads a queue's outcome.
///
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_QUEUE_GATHER_H
#define WEFT_PIPELINE_QUEUE_GATHER_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <vector>

#include "pipeline/batch/journal.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/queue/queue.h"

namespace weft {

/// folder: the workers' --out, or a new one. others: the --out of workers that share no disk with it; their files are
/// copied. Afterwards folder/ is that of a batch in which those items have a record that have one in the queue; every file
/// is compared with its hash. May be repeated while workers run, and when there is more.
/// Errors: kNotFound for a queue that does not exist; kVersionMismatch if the folder is of another batch; kCorruptData for a
/// file that is nowhere as it was recorded; kAlreadyExists while `weft batch` runs in the folder; kIoError; kTimedOut.
Result<BatchCounts> gather_records(Queue& queue, const std::filesystem::path& folder,
                                   const std::vector<std::filesystem::path>& others,
                                   TemporaryFiles& temporaries);

}  // namespace weft
#endif
