/// One execution of a compiled graph: the whole pipeline, or a subgraph for some elements of a for_each at once.
///
/// Such a graph is walked once in as many lanes as there are elements: a node takes the requests of all lanes as its own
/// batch, a slot holds a value a lane, and what is skipped is skipped in its lane. A pipeline has one lane.
///
/// A node starts when its last dependency is done, on whichever thread finished that one or on another. Its requests go
/// to the plugin in batches; the last completion of a batch, on any thread, moves the node on. Outputs are held in slots
/// and released with their last reader. The first error stops the graph: nodes that run are told to cancel, the others are
/// passed over.
/// Ownership: compiled graph and RunContext outlive it. Thread safety: internal.
#ifndef WEFT_PIPELINE_RUN_GRAPH_RUN_H
#define WEFT_PIPELINE_RUN_GRAPH_RUN_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <weft/sdk/status.h>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/value.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/compiled_graph.h"
#include "pipeline/run/event_queue.h"
#include "pipeline/run/output_folder.h"
#include "pipeline/run/result_cache.h"
#include "pipeline/run/run.h"
#include "pipeline/run/run_state.h"
#include "pipeline/run/scheduler.h"
#include "pipeline/run/trace.h"

namespace weft {

class Host;
class NodeCall;

/// What all graphs of one run share.
struct RunContext {
  using Clock = std::chrono::steady_clock;

  RunContext(Host& of, const Graph& whole, const RunOptions& with, const ItemValues& values, EventQueue& to,
             OutputFolder& into)
      : host(of),
        graph(whole),
        options(with),
        item(values),
        events(to),
        output_folder(into),
        input_folder(whole.folder.empty() ? "." : whole.folder) {}

  Host& host;
  const Graph& graph;  // of the pipeline
  const RunOptions& options;
  const ItemValues& item;
  EventQueue& events;
  OutputFolder& output_folder;
  std::filesystem::path input_folder;
  /// JSON, for nodes that keep it with a file; made for the first one that asks.
  const std::string& run_record();
  const CancelToken* cancel = nullptr;
  Trace* trace = nullptr;
  Scheduler* scheduler = nullptr;
  char* arena = nullptr;  // workspaces of all nodes
  struct Timing {
    std::atomic<int64_t> nanoseconds{0};
    std::atomic<uint32_t> computed{0}, cached{0};
  };
  std::vector<Timing> timings;  // by flat number
  std::atomic<uint64_t> live_bytes{0}, peak_live_bytes{0}, copied_bytes{0};
  std::mutex input_files_mutex;
  std::unordered_set<std::string> input_files;

  std::mutex run_record_mutex;
  std::optional<std::string> made_run_record;

  bool cancelled() const { return cancel && cancel->cancelled(); }
  void add_live(uint64_t bytes);
  void count_copy(uint64_t bytes);
};

class GraphRun {
 public:
  using Clock = RunContext::Clock;
  /// parent: the call of the subgraph's node, null for the pipeline. done: called once, by the thread that finished the
  /// last node; it may destroy the run and returns a task for that thread, or null.
  /// inputs: [lanes, inputs of the graph].
  GraphRun(RunContext& context, const CompiledGraph& graph, std::vector<Value> inputs, uint32_t n_lanes,
           const NodeCall* parent, std::function<Task*(uint32_t worker)> done);
  ~GraphRun();
  GraphRun(const GraphRun&) = delete;
  GraphRun& operator=(const GraphRun&) = delete;

  /// Makes the first nodes ready; returns one of them for the calling worker, or null.
  Task* start(uint32_t worker) noexcept;
  // After done:
  Status take_status();
  /// The lane whose error take_status() gave.
  uint32_t failed_lane() const { return failed_lane_; }
  /// By output of the graph; null for one whose node was skipped in this lane.
  std::vector<Value> take_outputs(uint32_t lane);

  /// Whether its nodes should stop: it failed, or what it is part of did or was cancelled. Any thread.
  bool stopping() const;

 private:
  friend class NodeCall;
  struct NodeState;

  Task* start_node(NodeState& state, uint32_t worker) noexcept;
  Task* resume_node(NodeState& state, uint32_t worker) noexcept;
  Task* finish_node(NodeState& state, uint32_t worker) noexcept;
  void keep_outputs(const CompiledNode& node, uint32_t lane, std::vector<Value> outputs);
  void fail(const CompiledNode& node, const Status& status, uint32_t lane) noexcept;
  const Value& read(Source source, uint32_t lane) const;
  void release(uint32_t slot);

  RunContext& context_;
  const CompiledGraph& graph_;
  std::vector<Value> inputs_;
  const uint32_t n_lanes_;
  const NodeCall* parent_;
  std::function<Task*(uint32_t)> done_;
  std::unique_ptr<NodeState[]> states_;
  std::vector<Value> slots_;                          // [slots, lanes]
  std::unique_ptr<std::atomic<uint32_t>[]> readers_;  // by slot: how many are still to come
  std::atomic<size_t> remaining_;
  std::atomic<bool> failed_{false};
  std::mutex status_mutex_;
  Status status_;
  uint32_t failed_lane_ = 0;
};

}  // namespace weft
#endif
