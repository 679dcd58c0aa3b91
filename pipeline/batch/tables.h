/// What came out of a batch, as tables next to the items' files.
///
///   results.jsonl   a line an item that is done, in the order of the source:
///                   {"name": "000017", "inputs": {...}, "outputs": {...}, "files": [{"path", "size_bytes", "sha256"}],
///                    "seeds": {...}, "seconds": 1.25}
///   results.csv     the same with a column an input and an output; texts as they are, other values as JSON
///   failures.csv    name, place, code, reason, inputs of each item that failed; failures.jsonl has the same
/// Paths are relative to the output folder. Tables replace earlier ones when they are whole.
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_TABLES_H
#define WEFT_PIPELINE_BATCH_TABLES_H

#include <weft/sdk/status.h>

#include <filesystem>

#include "pipeline/batch/journal.h"
#include "pipeline/files/durable_file.h"

namespace weft {

/// suffix: of the files' names, "" or "-3-of-8" for a shard. Errors: kIoError, kCorruptData.
Status write_tables(Journal& journal, const std::filesystem::path& folder, const std::string& suffix,
                    TemporaryFiles& temporaries);

}  // namespace weft
#endif
