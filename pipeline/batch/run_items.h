/// Runs items of one pipeline, several at a time, on one host: one executor, one pool, one set of models for all.
///
/// Items are taken from a feed and their outcomes given back to it: the journal of a batch, or a queue between machines.
/// Items share prepared runs, whose nodes get the requests of several items together. An item that fails is an outcome like
/// any other; only the feed, `check` and a device that is lost end the whole. The feed is told which items were at work when it was.
/// Items are prepared a little ahead of the workers, and outcomes collected for up to a millisecond, so that short items do
/// not wait for a change of threads.
/// Ownership: everything given outlives the call. Threads: the feed, `check` and plugins' [main] functions on the calling
/// thread; items execute on `concurrency` others.
///
///   run_items(graph, plugins, host, {.run = run, .folder = "out", .concurrency = 4}, feed);
#ifndef WEFT_PIPELINE_BATCH_RUN_ITEMS_H
#define WEFT_PIPELINE_BATCH_RUN_ITEMS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "pipeline/batch/item.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/run.h"

namespace weft {

class ItemFeed {
 public:
  struct Next {
    enum class Kind { kItem, kLater, kEnd } kind = Kind::kEnd;  // kLater: ask again in a while
    Item item = {};
  };

  virtual ~ItemFeed() = default;
  /// Errors end the whole: no further item is begun.
  virtual Result<Next> next() = 0;
  /// The item's files are in place and durable. Errors: as next().
  virtual Status finished(const Item& item, ItemOutcome outcome) = 0;
  /// The item was taken from the feed and will not end: the run was cancelled, or the whole ended before its turn came.
  virtual void given_up(const Item&) {}
  /// In the place of given_up(): a device was lost while the item was at work, and why. Errors: as next().
  virtual Status lost_device(const Item& item, const Error&, AtWork) {
    given_up(item);
    return {};
  }
};

struct RunItemsOptions {
  RunOptions run;                // of each item; its inputs, folder, manifest and seeds are set per item
  std::filesystem::path folder;  // an item's files go to folder/items/NAME/
  uint32_t concurrency = 1;      // items at work at once
  uint32_t ahead = 0;            // items taken from the feed besides, to be at hand
  uint64_t seed = 0;  // seeds that the pipeline leaves open are drawn from this and the item's name
  int64_t today = 0;  // as weft_node_config::today, one for all
  /// Asked before an item executes in another prepared run than the one before; an error ends the whole, the item is given up.
  /// May be empty.
  std::function<Status(const Item&, const PreparedRun&)> check;
  /// What happens within an item, from the thread that executes it. May be empty.
  std::function<void(const Item&, const Event&)> on_event;
  /// The item executes no more, whatever comes of it; from the same thread. May be empty.
  std::function<void(const Item&)> on_end;
  const CancelToken* drain = nullptr;   // take no further item; up to `concurrency` that were taken are run
  const CancelToken* cancel = nullptr;  // and give up those at work
};

/// Returns when the feed has ended and all items are finished, or after a drain. Errors: those of feed and check; kDeviceLost,
/// with an item that met it.
Status run_items(const Graph& graph, const PluginProvider& plugins, Host& host,
                 const RunItemsOptions& options, ItemFeed& feed);

/// The options of one item's run. Errors: kCorruptData if its inputs are no JSON object.
Result<RunOptions> item_run_options(const RunItemsOptions& options, const Item& item);

}  // namespace weft
#endif
