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
#include "pipeline/run/run_record.h"
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

/// Runs the graph on threads of its own, hands events out on this one, and gives the outputs.
Result<std::vector<Value>> run_graph(PreparedRun::State& state, RunContext& context, uint32_t threads) {
  std::optional<GraphRun> run;
  {
    std::optional<Scheduler> scheduler;
    try {
      scheduler.emplace(threads);
    } catch (const std::system_error& error) {
      return Status(StatusCode::kOutOfMemory, std::string("no thread can be started: ") + error.what());
    }
    context.scheduler = &*scheduler;
    run.emplace(context, state.compiled, state.inputs, 1, nullptr, [&context](uint32_t) -> Task* {
      context.events.close();
      return nullptr;
    });
    StartTask start(*run);
    scheduler->push(&start);
    context.events.deliver();
    // The scheduler joins its threads here: the last one may still be on its way out of the run.
  }
  if (Status status = run->take_status(); !status.ok()) return status;
  return run->take_outputs(0);
}

Result<RunResult> execute_prepared(PreparedRun::State& state, const RunOptions& options,
                                   const EventHandler& on_event, const CancelToken* cancel) {
  const auto started = std::chrono::system_clock::now();
  const auto begin = RunContext::Clock::now();
  auto arena = allocate_arena(state);
  if (!arena.ok()) return arena.status();
  const uint32_t threads = options.threads != 0 ? options.threads : state.host.threads();
  EventQueue events(on_event);
  OutputFolder folder(options.out_folder, state.host.temporaries());
  std::optional<Trace> trace;
  if (!options.trace_path.empty()) trace.emplace(threads);
  RunContext context(state.host, options, events, folder,
                     state.graph.folder.empty() ? "." : state.graph.folder);
  context.run_record = to_json(make_run_record(options.sources, state.graph, state.inputs, state.seeds));
  context.cancel = cancel;
  context.trace = trace ? &*trace : nullptr;
  context.arena = static_cast<char*>(arena->data());
  context.timings = std::vector<RunContext::Timing>(state.flat.size());

  auto outputs = run_graph(state, context, threads);
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
  for (size_t i = 0; i < outputs->size(); ++i) {
    if (!(*outputs)[i]) continue;
    result.outputs_json[state.graph.outputs[i].name] =
        value_to_json((*outputs)[i], options.max_json_elements);
  }
  for (const WrittenFile& file : folder.written()) result.files.push_back(file.path);
  result.timings = timings_of(state, context);
  result.peak_live_bytes = context.peak_live_bytes.load();
  result.copied_bytes = context.copied_bytes.load();
  result.seconds = std::chrono::duration<double>(RunContext::Clock::now() - begin).count();
  if (options.manifest == RunOptions::WriteManifest::kYes) {
    if (Status made = folder.make(); !made.ok()) return made;
    auto manifest = build_manifest(state, options, context.input_files, folder, *outputs, result, started);
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
