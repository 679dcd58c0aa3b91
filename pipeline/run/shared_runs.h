/// The prepared runs that items of one pipeline share, so that nodes get requests of several items together.
///
/// Items share a run if the inputs agree that parameters or models need before the run; others differ freely, up to a size
/// that is doubled when a larger one comes. A run whose models were replaced on disk is not given out again. Where inputs
/// have to be known before their item can be prepared at all, each item gets a run of its own.
/// Ownership: graph and host outlive it and the runs; a run lives as long as somebody holds it.
/// Thread safety: one thread; the runs as PreparedRun says.
///
///   SharedRuns runs(graph, plugins, host, {.at_once = 32});
///   auto prepared = runs.find(item_options);   // on the thread that plans
///   auto result = execute(**prepared, item_options, on_event, &cancel);   // on any
#ifndef WEFT_PIPELINE_RUN_SHARED_RUNS_H
#define WEFT_PIPELINE_RUN_SHARED_RUNS_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/run/run.h"

namespace weft {

class SharedRuns {
 public:
  /// items: how many at once; what varies is found out here.
  SharedRuns(const Graph& graph, PluginProvider plugins, Host& host, const ItemOptions& items);

  /// The run for an item with these options, whose `items` are not looked at. Errors: those of prepare_run. [main]
  Result<std::shared_ptr<PreparedRun>> find(const RunOptions& item);

 private:
  using Sizes = std::map<std::string, int64_t>;  // bytes by input
  struct Shared {
    std::string key;  // the inputs that are needed before the run
    Sizes bounds;     // of the others
    std::shared_ptr<PreparedRun> run;
  };

  std::string key_of(const RunOptions& item) const;
  Sizes sizes_of(const RunOptions& item) const;

  const Graph& graph_;
  const PluginProvider plugins_;
  Host& host_;
  const ItemOptions items_;
  std::vector<Shared> shared_;  // the one used last comes first
  enum class Way { kShared, kEachItsOwn } way_ = Way::kShared;
};

}  // namespace weft
#endif
