/// What prepare_run leaves for execute; private to run/.
#ifndef WEFT_PIPELINE_RUN_RUN_STATE_H
#define WEFT_PIPELINE_RUN_RUN_STATE_H

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/memory/buffer.h"
#include "pipeline/plan/plan.h"
#include "pipeline/residency/models.h"
#include "pipeline/run/compiled_graph.h"
#include "pipeline/run/item_values.h"
#include "pipeline/run/run.h"
#include "pipeline/run/scheduler.h"

namespace weft {

class Host;

/// What executions that go on at once share. Made by the first one.
struct Sharing {
  std::mutex mutex;  // of making it
  Buffer arena;
  std::optional<Scheduler> scheduler;
};

struct PreparedRun::State {
  State(const Graph& of, Host& on) : graph(of), host(on) {}

  const Graph& graph;
  Host& host;
  ItemValues item;
  std::vector<weft_spec> input_bounds;  // by input, for those that vary; empty where there are no items
  std::vector<std::pair<std::string, std::string>>
      item_seeds;  // node and parameter that each item draws for itself
  uint32_t items_at_once = 1;
  std::map<void*, Model*> models;  // by the plugin's handle
  std::vector<std::pair<ModelRequest, const Model*>> opened;
  Plan plan;
  std::vector<std::shared_ptr<const void>> places;  // of the models: they stay as the plan has them
  CompiledGraph compiled;
  std::vector<const PlannedNode*> flat;  // by CompiledNode::flat
  std::unique_ptr<Sharing>
      sharing;  // of items; null for a run of its own. Last: nodes are at work until it is gone
};

}  // namespace weft
#endif
