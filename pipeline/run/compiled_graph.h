/// A planned graph in the form that the run walks: who waits for whom, who reads what, where outputs are kept.
///
/// Built once after planning, read by every execution; several may go on at once if nodes have queues. Ownership: refers to
/// the Graph and the Plan, which outlive it. Thread safety: const access from any thread.
#ifndef WEFT_PIPELINE_RUN_COMPILED_GRAPH_H
#define WEFT_PIPELINE_RUN_COMPILED_GRAPH_H

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/graph/graph.h"
#include "pipeline/plan/plan.h"
#include "pipeline/run/node_queue.h"
#include "pipeline/run/request.h"
#include "pipeline/run/result_cache.h"

namespace weft {

class Model;
struct CompiledGraph;

struct CompiledNode {
  const Node* node = nullptr;
  const PlannedNode* planned = nullptr;
  std::unique_ptr<CompiledGraph> child;  // of a subgraph
  std::unique_ptr<NodeQueue> queue;      // of a node that several executions of the graph share; else null
  uint32_t flat = 0;                     // a number of its own in the whole pipeline, parents before children
  uint32_t first_slot = 0;               // of its outputs
  uint32_t n_dependencies = 0;
  std::vector<uint32_t> dependents;  // nodes that wait for this one
  std::vector<uint32_t> reads;       // slots that it reads, each once
  std::vector<OutputPort> ports;
  std::vector<uint8_t> optional_outputs;  // by port
  std::vector<ParameterBinding>
      bindings;                         // drawn seeds included; empty unless parameters are made per request
  std::vector<std::string> item_seeds;  // parameters whose values are drawn for each item anew
  std::vector<uint8_t> per_element;     // by input: whether it refers to the list of for_each
  bool parameters_per_element = false;
  std::vector<Model*> models;
  std::optional<ResultKey> cache_key;         // without parameters and inputs; nothing: results are not kept
  std::vector<std::string> model_parameters;  // names; they do not enter the key: the models' hashes do
};

struct CompiledGraph {
  const Graph* graph = nullptr;
  std::vector<CompiledNode> nodes;
  std::vector<uint32_t> slot_readers;  // by slot: how many nodes and pipeline outputs read it
  std::vector<uint32_t> roots;         // nodes that wait for none

  uint32_t slot(Source source) const {
    return nodes[static_cast<size_t>(source.node)].first_slot + source.port;
  }
};

struct CompileOptions {
  std::vector<uint8_t>
      varying_inputs;  // by input of the graph: 1 if each execution brings its own; empty: none does
  std::function<Model*(void* handle)> model_of;
  std::function<std::optional<ResultKey>(const CompiledNode&)> cache_key;
};

/// next_flat: the first free number; moved past those that were given.
CompiledGraph compile_graph(const Graph& graph, const std::vector<PlannedNode>& planned, const Plan& plan,
                            const CompileOptions& options, uint32_t& next_flat);

/// Every Source that the node reads: links, templates in inputs and parameters, conditions, for_each; with repetitions.
std::vector<Source> sources_of(const Node& node);

}  // namespace weft
#endif
