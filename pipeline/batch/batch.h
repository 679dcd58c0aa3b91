/// A batch: one pipeline, many items, an output folder that says at any time how far it is.
///
/// open enters all items of the source into the journal, checked; run goes through those without a record. A batch that was
/// cut off, however that happened, goes on with the same two calls. The output folder:
///   journal.sqlite            see journal.h; journal-3-of-8.sqlite for a shard
///   items/NAME/...            what the nodes of an item wrote
///   results.jsonl, results.csv, failures.csv     see tables.h; written at the end of a run
/// Ownership: everything in BatchSetup outlives the Batch. Thread safety: one thread; tokens from any.
///
///   Result<Batch> batch = Batch::open(setup, options);
///   if (batch.ok()) Result<BatchCounts> counts = batch->run({.on_recorded = show}, &drain, &cancel);
#ifndef WEFT_PIPELINE_BATCH_BATCH_H
#define WEFT_PIPELINE_BATCH_BATCH_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/batch/concurrency.h"
#include "pipeline/batch/group_commit.h"
#include "pipeline/batch/item.h"
#include "pipeline/batch/item_source.h"
#include "pipeline/batch/journal.h"
#include "pipeline/batch/shard.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/run.h"

namespace weft {

/// What runs: a checked pipeline, and where.
struct BatchSetup {
  const Graph& graph;
  const PluginProvider& plugins;
  Host& host;
  RunOptions run;  // of each item: threads, memory, sources, ISA level; the inputs that all items share
};

struct BatchOptions {
  std::filesystem::path folder = "out";
  std::string items;                // see open_items; empty: none, a grid alone
  std::vector<std::string> matrix;  // see parse_matrix_axis
  std::string name_template;        // see item_name.h
  Shard shard;
  uint32_t concurrency = 0;            // items at work at once; 0: as many as pay off and fit
  uint64_t max_failures = UINT64_MAX;  // more end the batch
  FailedItems failed = FailedItems::kKeep;
  enum class Changes {
    kRefuse,
    kAccept
  } changes = Changes::kRefuse;  // of pipeline, plugins, models since it began
};

/// An item that cannot be run as it is written.
struct InvalidItem {
  std::string place;
  Error error;
};

struct BatchCallbacks {
  /// Outcomes that are durable, from a thread of the batch.
  GroupCommit::OnRecorded on_recorded;
  /// From the threads that run the items; on_end: the item executes no more, whatever comes of it.
  std::function<void(const Item&, const Event&)> on_event;
  std::function<void(const Item&)> on_end;
};

class Batch {
 public:
  /// Errors: those of the source and of the journal; kInvalidArgument if no item is valid (with the first mistake), if items
  /// that are done have changed, if the folder holds the batch in another number of shards; kVersionMismatch if pipeline,
  /// plugins or models have changed (with what); kOutOfMemory if not even one item fits.
  static Result<Batch> open(const BatchSetup& setup, const BatchOptions& options);
  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  ~Batch();

  const BatchPlan& plan() const;
  Result<BatchCounts> counts() const;
  /// Those found while the items were entered, at most kMaxInvalidItems of them; they have failed.
  const std::vector<InvalidItem>& invalid_items() const;
  static constexpr size_t kMaxInvalidItems = 20;

  /// Runs what has no record yet and writes the tables. drain: begins no further item; cancel: gives up those at work too.
  /// Errors: the batch ended early, for the journal, the disk, or a model that was replaced; what has a record is safe.
  Result<BatchCounts> run(const BatchCallbacks& callbacks, const CancelToken* drain,
                          const CancelToken* cancel);

 private:
  struct State;
  explicit Batch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
