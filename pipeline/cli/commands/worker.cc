/// weft worker: runs items of a queue, beside other workers here and elsewhere.
#include "pipeline/queue/worker.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/cpu/isa.h"
#include "pipeline/cli/batch_display.h"
#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/batch_session.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

struct Options {
  std::string pipeline, queue, out = "out", concurrency = "auto";
  HostSettings host;
  bool accept_changes = false, as_json = false;
};

const char* end_name(WorkerCounts::End end) {
  switch (end) {
    case WorkerCounts::End::kNothingLeft: return "nothing_left";
    case WorkerCounts::End::kDrained: return "drained";
    case WorkerCounts::End::kQueueCancelled: return "queue_cancelled";
  }
  return "";
}

int conclude(const Options& options, const Result<WorkerCounts>& counts, Queue& queue, BatchDisplay& display,
             const Draining& draining) {
  display.end();
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  const int interrupted = draining.exit_code();
  if (printing_failed()) return kInputOutput;  // main() says so
  if (!counts.ok())
    return interrupted ? interrupted : fail(counts.error(), exit_code_for(counts.code()), messages);
  if (options.as_json) {
    print(nlohmann::ordered_json{{"event", "worker_finished"},
                                 {"done", counts->done},
                                 {"failed", counts->failed},
                                 {"end", end_name(counts->end)}}
              .dump() +
          "\n");
    return interrupted;
  }
  std::string text = std::to_string(counts->done) + " items done here";
  if (counts->failed > 0) text += ", " + std::to_string(counts->failed) + " failed";
  if (counts->end == WorkerCounts::End::kQueueCancelled) text += "; the queue was cancelled";
  if (const Result<QueueCounts> all = queue.counts(); all.ok()) {
    text += "; of the queue " + batch_counts_text({all->items, all->done, all->failed});
  }
  display.note(text);
  return interrupted;
}

int work(const Options& options) {
  Draining draining;
  if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), kUsage;
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  const auto refuse = [&](const Error& error) {
    return fail(error, exit_code_before_run(error.code), messages);
  };
  const Result<QueueAddress> address = parse_queue_address(options.queue);
  if (!address.ok()) return refuse(address.error());
  const Result<uint32_t> concurrency = parse_concurrency(options.concurrency);
  if (!concurrency.ok()) return refuse(concurrency.error());
  Result<Queue> queue = Queue::connect(*address);
  if (!queue.ok()) return refuse(queue.error());
  const Result<QueueSetup> what = queue->setup();
  if (!what.ok()) return refuse(what.error());
  PipelineFile file;
  const std::string& pipeline = options.pipeline.empty() ? what->pipeline : options.pipeline;
  if (const std::optional<int> code = load_pipeline(pipeline, messages, file)) return *code;
  BatchDisplay display({.folder = options.out,
                        .messages = messages,
                        .level = parse_log_level(options.host.log_level),
                        .preview_folder = options.host.preview_folder},
                       draining.temporaries());
  RunOptions run = run_options(options.host);
  apply_file(file, {}, run);
  const std::unique_ptr<Host> host = make_host(
      options.host, draining.temporaries(),
      [&display](weft_log_level level, const std::string& message) { display.log(level, message); });
  const PluginProvider plugins = plugin_provider();
  const Result<QueueCounts> before = queue->counts();
  if (!before.ok()) return refuse(before.error());
  display.begin({before->items, before->done, before->failed});
  WorkerOptions worker;
  worker.folder = options.out;
  worker.concurrency = *concurrency;
  if (options.accept_changes) worker.changes = BatchOptions::Changes::kAccept;
  WorkerCallbacks callbacks;
  callbacks.on_recorded = [&](std::span<const NamedOutcome> outcomes) {
    display.recorded(outcomes);
    if (printing_failed()) draining.stop_items();  // nobody reads: begin no more
  };
  callbacks.on_event = [&](const Item& item, const Event& event) { display.event(item, event); };
  callbacks.on_end = [&](const Item& item) { display.ended(item); };
  callbacks.on_note = [&](const std::string& text) { display.note(text); };
  draining.tell_by([&](const std::string& text) { display.note(text); });
  const Result<WorkerCounts> counts = run_worker({*file.graph, plugins, *host, std::move(run)}, *queue, *what,
                                                 worker, callbacks, &draining.drain(), draining.cancel());
  draining.tell_by({});
  return conclude(options, counts, *queue, display, draining);
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.optional_positional(
      "PIPELINE", options->pipeline,
      "Where this machine has the pipeline file, if it is elsewhere than at submission");
  arguments.option("--queue", options->queue, "URL", "nats://HOST:4222/NAME, as given to weft submit");
  arguments.option(
      "--out", options->out, "FOLDER",
      "Where the items' files go; one folder for all workers where they share a disk; default: out");
  arguments.option("--concurrency", options->concurrency, "N|auto",
                   "Items at work at once; default: what pays off and fits");
  arguments.flag("--accept-changes", options->accept_changes,
                 "Work though pipeline, plugins or models are not those that were submitted");
  options->host.declare(arguments);
  options->host.declare_previews(arguments, HostSettings::Previews::kOfItems);
  arguments.flag("--json", options->as_json,
                 "One item a line, as it is recorded; once a second those at work");
  return [options] { return work(*options); };
}

}  // namespace

const Command kWorkerCommand = {
    "worker", "run items of a queue",
    "Any number of workers share a queue; each takes items until all have ended. What a worker that dies or "
    "hangs has "
    "taken goes to another one. Pipeline, plugins and models have to be those that were submitted. Ctrl-C "
    "ends the "
    "items at work and stops; a second one stops at once. weft merge OUT --queue URL gathers the results.",
    "weft worker --queue nats://localhost:4222/topics --out build/topics", declare};

}  // namespace weft::cli
