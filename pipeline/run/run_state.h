/// What prepare_run leaves for execute; private to run/.
#ifndef WEFT_PIPELINE_RUN_RUN_STATE_H
#define WEFT_PIPELINE_RUN_RUN_STATE_H

#include <map>
#include <string>
#include <vector>

#include "pipeline/memory/value.h"
#include "pipeline/plan/plan.h"
#include "pipeline/run/compiled_graph.h"
#include "pipeline/run/run.h"

namespace weft {

class Host;
class Model;

struct PreparedRun::State {
  State(const Graph& of, Host& on) : graph(of), host(on) {}

  const Graph& graph;
  Host& host;
  std::vector<Value> inputs;  // of the pipeline, by index
  std::vector<DrawnSeed> seeds;
  std::map<void*, Model*> models;  // by the plugin's handle
  Plan plan;
  CompiledGraph compiled;
  std::vector<const PlannedNode*> flat;  // by CompiledNode::flat
};

}  // namespace weft
#endif
