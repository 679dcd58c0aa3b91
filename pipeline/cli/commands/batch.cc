/// weft batch: runs a pipeline for many items, so that nothing is lost however the run ends.
#include "pipeline/batch/batch.h"

#include <cstdlib>
#include <memory>

#include "kernels/cpu/isa.h"
#include "pipeline/batch/estimate.h"
#include "pipeline/batch/shard.h"
#include "pipeline/cli/batch_display.h"
#include "pipeline/cli/batch_estimate.h"
#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/batch_session.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/event_json.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/input_values.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {
namespace {

struct Options {
  std::string pipeline, out = "out", concurrency = "auto", shard;
  ItemSettings items;
  int64_t max_failures = -1, shard_count = 0;
  HostSettings host;
  bool retry_failed = false, accept_changes = false, dry_run = false, as_json = false;
};

Result<BatchOptions> batch_options(const Options& options) {
  BatchOptions batch;
  batch.folder = options.out;
  batch.items = options.items.items;
  batch.matrix = options.items.matrix;
  batch.name_template = options.items.name;
  Result<uint32_t> concurrency = parse_concurrency(options.concurrency);
  if (!concurrency.ok()) return concurrency.status();
  batch.concurrency = *concurrency;
  const std::optional<uint64_t> count =
      options.shard_count > 0 ? std::optional<uint64_t>(options.shard_count) : std::nullopt;
  Result<Shard> shard = options.shard.empty()
                            ? detect_shard(count, [](const char* name) { return std::getenv(name); })
                            : parse_shard(options.shard);
  if (!shard.ok()) return shard.status();
  batch.shard = *shard;
  if (options.max_failures >= 0) batch.max_failures = static_cast<uint64_t>(options.max_failures);
  batch.failed = options.retry_failed ? FailedItems::kRetry : FailedItems::kKeep;
  if (options.accept_changes) batch.changes = BatchOptions::Changes::kAccept;
  return batch;
}

void show_invalid(const Batch& batch, BatchDisplay& display) {
  for (const InvalidItem& item : batch.invalid_items()) display.note("failed: " + to_string(item.error));
}

int conclude(const Options& options, BatchDisplay& display, Batch& batch, const Result<BatchCounts>& result,
             const Draining& draining) {
  display.end();
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  const int interrupted = draining.exit_code();
  if (printing_failed()) return kInputOutput;  // main() says so
  if (!result.ok() && interrupted == 0) return fail(result.error(), exit_code_for(result.code()), messages);
  const Result<BatchCounts> counts = result.ok() ? result : batch.counts();
  if (!counts.ok()) return fail(counts.error(), exit_code_for(counts.code()), messages);
  const bool unfinished = counts->pending() > 0;
  if (messages == Messages::kJson) {
    const bool cut_off = interrupted != 0 && unfinished;
    print(batch_finished_line(*counts, cut_off ? BatchEnd::kInterrupted : BatchEnd::kComplete));
  } else {
    display.note(batch_counts_text(*counts) + "; " +
                 (unfinished ? "the same command goes on" : "results in " + options.out));
  }
  if (unfinished && interrupted != 0) return interrupted;
  return counts->failed > 0 ? kFailure : kSuccess;
}

int show_estimate(const BatchSetup& setup, const BatchOptions& batch, const Draining& draining,
                  Messages messages) {
  const Result<BatchEstimate> estimate = estimate_batch(setup, batch, &draining.drain());
  if (draining.exit_code() != 0) return draining.exit_code();
  if (!estimate.ok()) return fail(estimate.error(), exit_code_before_run(estimate.code()), messages);
  print(messages == Messages::kJson ? estimate_line(*estimate) : estimate_text(*estimate));
  return kSuccess;
}

int run_batch(const Options& options) {
  Draining draining;
  if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), kUsage;
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  PipelineFile file;
  if (const std::optional<int> code = load_pipeline(options.pipeline, messages, file)) return *code;
  Result<BatchOptions> batch_or = batch_options(options);
  if (!batch_or.ok()) return fail(batch_or.error(), exit_code_before_run(batch_or.code()), messages);
  const std::filesystem::path folder = batch_folder(options.out);
  BatchDisplay display(
      {.folder = folder,
       .messages = messages,
       .level = parse_log_level(options.host.log_level),
       .at_work_file = items_at_work_file(folder / (batch_or->shard.journal_name() + ".sqlite")),
       .preview_folder = options.host.preview_folder},
      draining.temporaries());
  RunOptions run = run_options(options.host);
  Result<std::map<std::string, InputValue>> inputs = read_settings(*file.graph, options.items.settings);
  if (!inputs.ok()) return fail(inputs.error(), exit_code_before_run(inputs.code()), messages);
  run.inputs = *std::move(inputs);
  apply_file(file, options.items.settings, run);
  HostSettings host_settings = options.host;
  // An estimate shows nothing, and leaves what a batch at work shows there.
  if (options.dry_run) host_settings.preview_folder.clear();
  const std::unique_ptr<Host> host = make_host(
      host_settings, draining.temporaries(),
      [&display](weft_log_level level, const std::string& message) { display.log(level, message); });
  const PluginProvider plugins = plugin_provider();
  const BatchSetup setup{*file.graph, plugins, *host, std::move(run)};
  if (options.dry_run) return show_estimate(setup, *batch_or, draining, messages);
  Result<Batch> batch = Batch::open(setup, *batch_or);
  if (!batch.ok()) return fail(batch.error(), exit_code_before_run(batch.code()), messages);
  show_invalid(*batch, display);
  const Result<BatchCounts> counts = batch->counts();
  if (!counts.ok()) return fail(counts.error(), exit_code_for(counts.code()), messages);
  display.begin(*counts);
  BatchCallbacks callbacks;
  callbacks.on_event = [&](const Item& item, const Event& event) { display.event(item, event); };
  callbacks.on_end = [&](const Item& item) { display.ended(item); };
  callbacks.on_recorded = [&](std::span<const NamedOutcome> outcomes) {
    display.recorded(outcomes);
    if (printing_failed()) draining.stop_items();  // nobody reads: begin no more
  };
  draining.tell_by([&](const std::string& text) { display.note(text); });
  const Result<BatchCounts> result = batch->run(callbacks, &draining.drain(), &draining.cancel());
  draining.tell_by({});
  return conclude(options, display, *batch, result, draining);
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("PIPELINE", options->pipeline, "The pipeline file");
  options->items.declare(arguments);
  arguments.option("--out", options->out, "FOLDER",
                   "Where results and the journal are kept; the same folder goes on; default: out");
  arguments.option("--concurrency", options->concurrency, "N|auto",
                   "Items at work at once; default: what pays off and fits");
  arguments.option("--max-failures", options->max_failures, 0, INT64_MAX, "N",
                   "Stop when more items than this have failed; default: never");
  arguments.flag("--retry-failed", options->retry_failed, "Run items again that failed before");
  arguments.flag("--accept-changes", options->accept_changes,
                 "Go on though pipeline, plugins or models have changed");
  arguments.flag("--dry-run", options->dry_run,
                 "Run the first items aside and say what time, memory and disk all will take");
  arguments.option("--shard", options->shard, "I/N", "Run only every Nth item, from the Ith on");
  arguments.option("--shard-count", options->shard_count, 1, 1'000'000, "N",
                   "Take the shard from JOB_COMPLETION_INDEX; a Slurm job array needs no option");
  options->host.declare(arguments);
  options->host.declare_previews(arguments, HostSettings::Previews::kOfItems);
  arguments.flag("--json", options->as_json,
                 "One item a line, as it is recorded; once a second those at work");
  return [options] { return run_batch(*options); };
}

}  // namespace

const Command kBatchCommand = {
    "batch", "run a pipeline for many items",
    "Each item sets inputs of the pipeline. Its files go to OUT/items/NAME, its outputs to OUT/results.jsonl "
    "and .csv, the reason of a failure to OUT/failures.csv; one bad item never stops the rest. The same "
    "command goes on where an earlier one ended, however that was. Ctrl-C ends the items at work and stops; "
    "a second one stops at once.",
    "weft batch assets/pipelines/hello.json --items assets/items/topics.jsonl\n"
    "weft batch assets/pipelines/hello.json --matrix topic=\"the sea,a fox\"",
    declare};

}  // namespace weft::cli
