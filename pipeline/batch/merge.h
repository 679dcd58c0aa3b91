/// Joins the shards of a batch into one batch: journal, files and tables.
///
/// Afterwards the folder is as if one process had run all; items that no shard has finished are pending in it, and
/// `weft batch` without a shard runs them. May be repeated, when further shards are complete. Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_MERGE_H
#define WEFT_PIPELINE_BATCH_MERGE_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <vector>

#include "pipeline/batch/journal.h"
#include "pipeline/files/durable_file.h"

namespace weft {

struct MergedBatch {
  BatchCounts counts;
  size_t n_journals = 0;
};

/// folder: where the shards that share a disk have run, and where everything comes to. others: output folders of further
/// shards; their files are copied. Every file is compared with the hash in its record.
/// Errors: kNotFound if there is no shard's journal; kAlreadyExists while a shard runs, or for a name in two shards;
/// kVersionMismatch for shards of different pipelines, plugins or models; kCorruptData for a file that is not what was
/// recorded; kIoError.
Result<MergedBatch> merge_shards(const std::filesystem::path& folder,
                                 const std::vector<std::filesystem::path>& others,
                                 TemporaryFiles& temporaries);

}  // namespace weft
#endif
