#include "pipeline/batch/estimate.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "pipeline/files/scratch_folder.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

/// Free bytes where `folder` is or will be made; 0 if the system does not say.
uint64_t free_bytes(fs::path folder) {
  std::error_code error;
  folder = fs::absolute(folder, error);
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, error);
  return error ? 0 : space.available;
}

uint64_t count_records(const fs::path& folder, const Shard& shard) {
  Result<Journal> journal = Journal::open_to_read(folder / (shard.journal_name() + ".sqlite"));
  if (!journal.ok()) return 0;  // nothing there yet
  const Result<BatchCounts> counts = journal->counts();
  return counts.ok() ? counts->done + counts->failed : 0;
}

/// Runs items until the first ones have ended, and notes what they took.
Status measure(Batch& batch, BatchEstimate& estimate, const CancelToken* cancel) {
  CancelToken enough;
  double seconds = 0, first_seconds = 0;
  uint64_t bytes = 0;
  BatchCallbacks callbacks;
  callbacks.on_recorded = [&](std::span<const NamedOutcome> outcomes) {
    enough.cancel();
    for (const NamedOutcome& named : outcomes) {
      if (named.outcome.state == ItemOutcome::State::kFailed) continue;
      if (estimate.n_measured++ == 0) first_seconds = named.outcome.seconds;
      seconds += named.outcome.seconds;
      for (const ItemFile& file : named.outcome.files) bytes += file.size_bytes;
    }
  };
  const Result<BatchCounts> counts = batch.run(callbacks, &enough, cancel);
  if (!counts.ok()) return counts.status();
  if (estimate.n_measured == 0) return {};
  estimate.disk_bytes_per_item = bytes / estimate.n_measured;
  // The first one loads the models, which the others do not.
  const bool warm = estimate.n_measured > 1;
  estimate.seconds_per_item =
      warm ? (seconds - first_seconds) / static_cast<double>(estimate.n_measured - 1) : first_seconds;
  return {};
}

}  // namespace

Result<BatchEstimate> estimate_batch(const BatchSetup& setup, const BatchOptions& options,
                                     const CancelToken* cancel) {
  Result<ScratchFolder> scratch = ScratchFolder::create("estimate");
  if (!scratch.ok()) return scratch.status();
  BatchOptions trial = options;
  trial.folder = scratch->path();
  Result<Batch> batch = Batch::open(setup, trial);
  if (!batch.ok()) return batch.status();
  const Result<BatchCounts> counts = batch->counts();
  if (!counts.ok()) return counts.status();
  BatchEstimate estimate;
  estimate.n_items = counts->items;
  estimate.n_recorded = count_records(options.folder, options.shard);
  estimate.invalid = batch->invalid_items();
  estimate.plan = batch->plan();
  estimate.free_disk_bytes = free_bytes(options.folder);
  if (Status status = measure(*batch, estimate, cancel); !status.ok()) return status;
  return estimate;
}

}  // namespace weft
