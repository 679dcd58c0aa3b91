#include <weft/sdk/error.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/value_json.h"
#include "pipeline/run/event_queue.h"
#include "pipeline/run/graph_run.h"
#include "pipeline/run/host.h"
#include "pipeline/run/manifest_builder.h"
#include "pipeline/run/output_folder.h"
#include "pipeline/run/run_state.h"
#include "pipeline/run/scheduler.h"
#include "pipeline/run/trace.h"

namespace weft {
namespace {

/// Makes the graph's first nodes ready, on a worker.
struct StartTask final : Task {
  explicit StartTask(GraphRun& run) : graph_run(run) {}
  Task* run(uint32_t worker) noexcept override { return graph_run.start(worker); }
  GraphRun& graph_run;
};

Result<Buffer> allocate_arena(const PreparedRun::State& state) {
  uint64_t size = 0;
  for (const DeviceMemory& device : state.plan.devices) {
    if (device.device.kind == WEFT_DEVICE_CPU) size = device.workspace_bytes;
  }
  if (size == 0) return Buffer();
  return allocate_buffer(state.host.cpu_pool(), size, 0, nullptr, "workspaces");
}

std::vector<NodeTiming> timings_of(const PreparedRun::State& state, const RunContext& context) {
  std::vector<NodeTiming> timings;
  for (size_t i = 0; i < state.flat.size(); ++i) {
    const RunContext::Timing& spent = context.timings[i];
    NodeTiming timing;
    timing.node = state.flat[i]->path;
    timing.seconds = static_cast<double>(spent.nanoseconds.load()) * 1e-9;
    timing.outcome = spent.computed.load() > 0 ? NodeTiming::Outcome::kComputed
                     : spent.cached.load() > 0 ? NodeTiming::Outcome::kCached
                                               : NodeTiming::Outcome::kSkipped;
    timings.push_back(std::move(timing));
  }
  return timings;
}

uint32_t threads_of(const PreparedRun::State& state, const RunOptions& options) {
  return options.threads != 0 ? options.threads : state.host.threads();
}

Status start_scheduler(std::optional<Scheduler>& scheduler, uint32_t threads) {
  try {
    scheduler.emplace(threads);
  } catch (const std::system_error& error) {
    return Status(StatusCode::kOutOfMemory, std::string("no thread can be started: ") + error.what());
  }
  return {};
}

/// Runs the graph on the context's scheduler and hands events out on this thread.
void run_to_the_end(GraphRun& run, RunContext& context) {
  StartTask start(run);
  context.scheduler->push(&start);
  context.events.deliver();
}

/// The same for one of several executions: what is short runs on this thread, if nobody waits for events from it.
void run_beside_others(GraphRun& run, RunContext& context) {
  if (context.events.wanted()) return run_to_the_end(run, context);
  StartTask start(run);
  context.scheduler->run_as_guest(&start);
  context.events.deliver();
}

/// Gives the outputs of the graph.
Result<std::vector<Value>> run_graph(PreparedRun::State& state, RunContext& context) {
  GraphRun run(context, state.compiled, context.item.inputs, 1, nullptr, [&context](uint32_t) -> Task* {
    context.events.close();
    return nullptr;
  });
  if (state.sharing) {
    context.arena = static_cast<char*>(state.sharing->arena.data());
    context.scheduler = &*state.sharing->scheduler;
    run_beside_others(run, context);
  } else {
    auto arena = allocate_arena(state);
    if (!arena.ok()) return arena.status();
    context.arena = static_cast<char*>(arena->data());
    std::optional<Scheduler> scheduler;
    if (Status started = start_scheduler(scheduler, threads_of(state, context.options)); !started.ok())
      return started;
    context.scheduler = &*scheduler;
    run_to_the_end(run, context);
  }
  if (Status status = run.take_status(); !status.ok()) return status;
  return run.take_outputs(0);
}

void make_queues(CompiledGraph& graph, Host& host, Sharing& sharing) {
  for (CompiledNode& node : graph.nodes) {
    if (node.child) {
      make_queues(*node.child, host, sharing);
    } else {
      node.queue = std::make_unique<NodeQueue>(node, host, *sharing.scheduler,
                                               static_cast<char*>(sharing.arena.data()));
    }
  }
}

/// Makes what the executions share, the first time.
Status start_sharing(PreparedRun::State& state, const RunOptions& options) {
  Sharing& sharing = *state.sharing;
  const std::lock_guard lock(sharing.mutex);
  if (sharing.scheduler) return {};
  auto arena = allocate_arena(state);
  if (!arena.ok()) return arena.status();
  sharing.arena = std::move(*arena);
  // One more than compute: a node that others join may never leave its thread, and what follows it must run all the same.
  if (Status started = start_scheduler(sharing.scheduler, threads_of(state, options) + 1); !started.ok())
    return started;
  make_queues(state.compiled, state.host, sharing);
  return {};
}

/// The inputs of this execution, and its own seeds where there are several.
Result<ItemValues> item_values(const PreparedRun::State& state, const RunOptions& options) {
  if (!state.sharing) return state.item;
  auto inputs =
      make_item_inputs(state.graph, options, state.item.inputs, state.input_bounds, state.host.cpu_pool());
  if (!inputs.ok()) return inputs.status();
  ItemValues item{std::move(*inputs), state.item.seeds};
  for (DrawnSeed& seed : item.seeds) {
    const bool own = std::find(state.item_seeds.begin(), state.item_seeds.end(),
                               std::pair(seed.node, seed.parameter)) != state.item_seeds.end();
    if (own) seed.value = seed_value(options, seed.node, seed.parameter);
  }
  return item;
}

Result<RunResult> execute_prepared(PreparedRun::State& state, const RunOptions& options,
                                   const EventHandler& on_event, const CancelToken* cancel) {
  const auto started = std::chrono::system_clock::now();
  const auto begin = RunContext::Clock::now();
  auto item = item_values(state, options);
  if (!item.ok()) return item.status();
  if (state.sharing) {
    if (Status sharing = start_sharing(state, options); !sharing.ok()) return sharing;
  }
  EventQueue events(on_event);
  OutputFolder folder(options.out_folder, state.host.temporaries());
  std::optional<Trace> trace;
  if (!options.trace_path.empty() && !state.sharing) trace.emplace(threads_of(state, options));
  RunContext context(state.host, state.graph, options, *item, events, folder);
  context.cancel = cancel;
  context.trace = trace ? &*trace : nullptr;
  context.timings = std::vector<RunContext::Timing>(state.flat.size());

  auto outputs = run_graph(state, context);
  Status status = outputs.status();
  if (trace) {
    // A trace of a run that failed is worth as much; its own failure is the error only if there is none yet.
    Status written = trace->write(state.host.temporaries(), options.trace_path);
    if (status.ok()) status = std::move(written);
  }
  if (!status.ok()) {
    folder.remove_empty();
    return status;
  }
  RunResult result;
  result.seeds = item->seeds;
  for (size_t i = 0; i < outputs->size(); ++i) {
    if (!(*outputs)[i]) continue;
    const std::string& name = state.graph.outputs[i].name;
    result.outputs_json[name] = value_to_json((*outputs)[i], options.max_json_elements);
    result.outputs[name] = (*outputs)[i];
  }
  for (const WrittenFile& file : folder.written()) result.files.push_back(file.path);
  result.timings = timings_of(state, context);
  result.peak_live_bytes = context.peak_live_bytes.load();
  result.copied_bytes = context.copied_bytes.load();
  result.seconds = std::chrono::duration<double>(RunContext::Clock::now() - begin).count();
  if (options.manifest == RunOptions::WriteManifest::kYes) {
    if (Status made = folder.make(); !made.ok()) return made;
    auto manifest =
        build_manifest(state, *item, options, context.input_files, folder, *outputs, result, started);
    if (!manifest.ok()) return manifest.status();
    result.manifest_path = folder.path() / "manifest.json";
    if (Status written = write_manifest(state.host.temporaries(), result.manifest_path, *manifest);
        !written.ok()) {
      return written;
    }
  }
  return result;
}

}  // namespace

Result<RunResult> execute(PreparedRun& prepared, const RunOptions& options, const EventHandler& on_event,
                          const CancelToken* cancel) {
  std::optional<Result<RunResult>> result;
  Status status = sdk::guarded([&] {
    result.emplace(execute_prepared(prepared.state(), options, on_event, cancel));
    return Status();
  });
  if (!status.ok()) return status;
  return std::move(*result);
}

}  // namespace weft
