#include "pipeline/run/graph_run.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <utility>

#include "pipeline/run/host.h"
#include "pipeline/run/node_call.h"
#include "pipeline/run/run_record.h"

namespace weft {

const std::string& RunContext::run_record() {
  const std::lock_guard lock(run_record_mutex);
  if (!made_run_record)
    made_run_record = to_json(make_run_record(options.sources, graph, item.inputs, item.seeds));
  return *made_run_record;
}

void RunContext::add_live(uint64_t bytes) {
  const uint64_t live = live_bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  uint64_t peak = peak_live_bytes.load(std::memory_order_relaxed);
  while (peak < live && !peak_live_bytes.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
}

void RunContext::count_copy(uint64_t bytes) {
  if (bytes == 0) return;
  copied_bytes.fetch_add(bytes, std::memory_order_relaxed);
  host.memory().count_copy(bytes);
}

/// A node of one execution: the task that the scheduler holds while the node is ready or has to be resumed.
struct GraphRun::NodeState final : Task {
  GraphRun* graph_run = nullptr;
  uint32_t index = 0;
  std::atomic<uint32_t> waiting_for{0};
  std::unique_ptr<NodeCall> call;  // while it is at work
  Clock::time_point begin;

  Task* run(uint32_t worker) noexcept override {
    return call ? graph_run->resume_node(*this, worker) : graph_run->start_node(*this, worker);
  }
};

GraphRun::GraphRun(RunContext& context, const CompiledGraph& graph, std::vector<Value> inputs,
                   uint32_t n_lanes, const NodeCall* parent, std::function<Task*(uint32_t)> done)
    : context_(context),
      graph_(graph),
      inputs_(std::move(inputs)),
      n_lanes_(n_lanes),
      parent_(parent),
      done_(std::move(done)),
      states_(std::make_unique<NodeState[]>(graph.nodes.size())),
      slots_(graph.slot_readers.size() * n_lanes),
      readers_(std::make_unique<std::atomic<uint32_t>[]>(graph.slot_readers.size())),
      remaining_(graph.nodes.size()) {
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    states_[i].graph_run = this;
    states_[i].index = i;
    states_[i].waiting_for.store(graph.nodes[i].n_dependencies, std::memory_order_relaxed);
  }
  for (size_t slot = 0; slot < graph.slot_readers.size(); ++slot) {
    readers_[slot].store(graph.slot_readers[slot], std::memory_order_relaxed);
  }
}

GraphRun::~GraphRun() {
  for (const Value& value : slots_) {
    if (value) context_.live_bytes.fetch_sub(value.content_bytes(), std::memory_order_relaxed);
  }
}

bool GraphRun::stopping() const {
  if (failed_.load(std::memory_order_relaxed)) return true;
  return parent_ ? parent_->stopping() : context_.cancelled();
}

const Value& GraphRun::read(Source source, uint32_t lane) const {
  return source.node < 0 ? inputs_[lane * graph_.graph->inputs.size() + source.port]
                         : slots_[size_t{graph_.slot(source)} * n_lanes_ + lane];
}

Task* GraphRun::start(uint32_t worker) noexcept {
  if (graph_.nodes.empty()) {
    const auto done = std::move(done_);
    return done(worker);
  }
  TaskList ready;
  for (const uint32_t root : graph_.roots) ready.push(&states_[root]);
  Task* first = ready.pop();
  context_.scheduler->push_all(ready);
  return first;
}

Task* GraphRun::start_node(NodeState& state, uint32_t worker) noexcept {
  const CompiledNode& node = graph_.nodes[state.index];
  if (stopping()) {
    if (!failed_.load(std::memory_order_relaxed)) {
      fail(node, sdk::guarded([] { return Status(StatusCode::kCancelled, "cancelled"); }), 0);
    }
    return finish_node(state, worker);
  }
  state.begin = Clock::now();
  Task* next = nullptr;
  NodeCall::Progress progress = NodeCall::Progress::kDone;
  uint32_t lane = 0;
  const Status failed = sdk::guarded([&]() -> Status {
    auto call = std::make_unique<NodeCall>(*this, node, &state);
    if (Status status = call->gather(); !status.ok()) return lane = call->failed_lane(), status;
    if (call->skipped()) return {};
    if (context_.events.wanted()) {
      context_.events.push(NodeStarted{node.planned->path, static_cast<uint32_t>(call->n_requests())});
    }
    state.call = std::move(call);
    progress = state.call->advance(worker, next);
    return {};
  });
  // A call that is pending may already have been resumed, and finished, by another thread.
  if (progress == NodeCall::Progress::kPending) return next;
  if (!failed.ok()) fail(node, failed, lane);
  return finish_node(state, worker);
}

Task* GraphRun::resume_node(NodeState& state, uint32_t worker) noexcept {
  Task* next = nullptr;
  NodeCall::Progress progress = NodeCall::Progress::kDone;
  const Status failed = sdk::guarded([&] { return progress = state.call->resume(worker, next), Status(); });
  if (progress == NodeCall::Progress::kPending) return next;
  if (!failed.ok()) fail(graph_.nodes[state.index], failed, 0);
  return finish_node(state, worker);
}

void GraphRun::fail(const CompiledNode& node, const Status& status, uint32_t lane) noexcept {
  (void)sdk::guarded([&] {
    const std::lock_guard lock(status_mutex_);
    if (!status_.ok()) return Status();
    // An inner node has already named itself and the file; a cancelled run is nobody's fault.
    const bool named = status.code() == StatusCode::kCancelled || node.child;
    status_ = named ? status : Status(status).at("node '" + node.planned->path + "'");
    failed_lane_ = lane;
    if (status.code() != StatusCode::kCancelled && context_.events.wanted()) {
      context_.events.push(NodeFailed{node.planned->path, status_.error()});
    }
    return Status();
  });
  failed_.store(true, std::memory_order_release);
}

void GraphRun::release(uint32_t slot) {
  if (readers_[slot].fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (size_t i = size_t{slot} * n_lanes_, end = i + n_lanes_; i < end; ++i) {
    if (!slots_[i]) continue;
    context_.live_bytes.fetch_sub(slots_[i].content_bytes(), std::memory_order_relaxed);
    slots_[i] = {};
  }
}

void GraphRun::keep_outputs(const CompiledNode& node, uint32_t lane, std::vector<Value> outputs) {
  for (uint32_t port = 0; port < outputs.size(); ++port) {
    const uint32_t slot = node.first_slot + port;
    if (!outputs[port] || readers_[slot].load(std::memory_order_relaxed) == 0) continue;
    Value& kept = slots_[size_t{slot} * n_lanes_ + lane];
    kept = std::move(outputs[port]);
    context_.add_live(kept.content_bytes());
  }
}

Task* GraphRun::finish_node(NodeState& state, uint32_t worker) noexcept {
  const CompiledNode& node = graph_.nodes[state.index];
  if (state.call) {
    uint32_t lane = 0;
    const Status failed = sdk::guarded([&]() -> Status {
      if (!state.call->status().ok()) return lane = state.call->failed_lane(), state.call->status();
      for (lane = 0; lane < n_lanes_; ++lane) {
        auto outputs = state.call->take_outputs(lane);
        if (!outputs.ok()) return outputs.status();
        keep_outputs(node, lane, std::move(*outputs));
      }
      const auto spent = Clock::now() - state.begin;
      RunContext::Timing& timing = context_.timings[node.flat];
      timing.nanoseconds.fetch_add(std::chrono::nanoseconds(spent).count(), std::memory_order_relaxed);
      const bool cached = state.call->all_cached();
      (cached ? timing.cached : timing.computed).fetch_add(1, std::memory_order_relaxed);
      if (context_.events.wanted()) {
        context_.events.push(
            NodeFinished{node.planned->path, std::chrono::duration<double>(spent).count(),
                         cached ? NodeFinished::Origin::kCached : NodeFinished::Origin::kComputed});
      }
      return {};
    });
    if (!failed.ok()) fail(node, failed, std::min(lane, n_lanes_ - 1));
    state.call.reset();
  }
  for (const uint32_t slot : node.reads) release(slot);
  if (context_.trace) {
    (void)sdk::guarded([&] {
      context_.trace->counters(worker, context_.live_bytes.load(std::memory_order_relaxed),
                               context_.copied_bytes.load(std::memory_order_relaxed));
      return Status();
    });
  }
  TaskList ready;
  for (const uint32_t dependent : node.dependents) {
    if (states_[dependent].waiting_for.fetch_sub(1, std::memory_order_acq_rel) == 1)
      ready.push(&states_[dependent]);
  }
  Task* next = ready.pop();
  context_.scheduler->push_all(ready);
  if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    const auto done = std::move(done_);  // may destroy this run
    return done(worker);
  }
  return next;
}

Status GraphRun::take_status() {
  // A failure that could not be described for want of memory is one all the same.
  if (failed_.load(std::memory_order_acquire) && status_.ok())
    return Status(StatusCode::kOutOfMemory, "out of memory");
  return std::move(status_);
}

std::vector<Value> GraphRun::take_outputs(uint32_t lane) {
  std::vector<Value> outputs;
  for (const PipelineOutput& output : graph_.graph->outputs) outputs.push_back(read(output.source, lane));
  return outputs;
}

}  // namespace weft
