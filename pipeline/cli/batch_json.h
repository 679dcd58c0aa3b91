/// What `weft batch --json` and `weft status --json` print, one object a line. Format: docs/batch.md.
#ifndef WEFT_PIPELINE_CLI_BATCH_JSON_H
#define WEFT_PIPELINE_CLI_BATCH_JSON_H

#include <string>

#include "pipeline/batch/group_commit.h"
#include "pipeline/batch/journal.h"

namespace weft::cli {

enum class BatchEnd { kComplete, kInterrupted };

/// An item that has its record.
std::string item_line(const NamedOutcome& named);
/// The last line of a batch that did not break off with an error.
std::string batch_finished_line(const BatchCounts& counts, BatchEnd end);

/// "118 of 120 items done, 2 failed", for people.
std::string batch_counts_text(const BatchCounts& counts);

}  // namespace weft::cli
#endif
