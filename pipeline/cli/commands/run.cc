/// weft run: runs a pipeline.
#include <memory>

#include "kernels/cpu/isa.h"
#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_setup.h"
#include "pipeline/cli/report.h"
#include "pipeline/files/folders.h"
#include "pipeline/run/result_cache.h"

namespace weft::cli {
namespace {

struct Options {
  std::string pipeline, out = "out", trace;
  std::vector<std::string> settings;
  HostSettings host;
  std::optional<uint64_t> cache_limit_bytes;
  bool no_cache = false, as_json = false;
};

constexpr uint64_t kDefaultCacheLimitBytes = uint64_t{2} << 30;

/// Prints the end of the run, and its error if it has one; the exit code.
int conclude(RunDisplay& display, const Result<RunResult>& result, const Cancellation& cancellation) {
  if (const int interrupted = cancellation.exit_code(); interrupted != 0 && !result.ok()) {
    return display.fail(Error{StatusCode::kCancelled, "interrupted", {}, {}, {}, {}}, interrupted);
  }
  if (printing_failed()) return kInputOutput;  // main() says so
  if (!result.ok()) return display.fail(result.error(), exit_code_for(result.code()));
  display.finish(*result);
  return kSuccess;
}

int run(const Options& options) {
  Cancellation cancellation;
  if (const Status isa = check_isa_request(); !isa.ok()) return report_error(isa), kUsage;
  const Messages messages = options.as_json ? Messages::kJson : Messages::kText;
  PipelineSetup setup;
  if (const std::optional<int> code =
          set_up(options.pipeline, options.settings, options.host, messages, cancellation, setup)) {
    return *code;
  }
  RunDisplay& display = *setup.display;
  RunOptions& run = setup.options;
  run.out_folder = options.out;
  run.trace_path = options.trace;
  std::optional<ResultCache> cache;
  if (const auto folder = cache_folder(); !options.no_cache && !folder.empty()) {
    cache.emplace(folder / "results", options.cache_limit_bytes.value_or(kDefaultCacheLimitBytes),
                  cancellation.temporaries());
    run.cache = &*cache;
  }
  Result<PreparedRun> prepared = prepare_run(*setup.file.graph, plugin_provider(), *setup.host, run);
  if (!prepared.ok() && cancellation.exit_code() == 0) {
    return display.fail(prepared.error(), exit_code_before_run(prepared.code()));
  }
  if (!prepared.ok()) return conclude(display, prepared.status(), cancellation);
  const auto on_event = [&](const Event& event) {
    display.on_event(event);
    if (printing_failed()) cancellation.cancel();  // nobody reads: stop working
  };
  return conclude(display, execute(*prepared, run, on_event, &cancellation.token()), cancellation);
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("PIPELINE", options->pipeline, "The pipeline file");
  arguments.option("--set", options->settings, "NAME=VALUE",
                   "Give an input: name=value, name=@file, name=- (standard input)");
  arguments.option("--out", options->out, "FOLDER",
                   "Where files and manifest.json are written; default: out");
  options->host.declare(arguments);
  options->host.declare_previews(arguments, HostSettings::Previews::kOfRun);
  arguments.option("--trace", options->trace, "FILE", "Write a trace for Perfetto or chrome://tracing");
  arguments.flag("--no-cache", options->no_cache, "Compute everything, also what is cached");
  arguments.bytes("--cache-limit", options->cache_limit_bytes,
                  "Most bytes that cached results take on disk; default: 2GiB");
  arguments.flag("--json", options->as_json, "One event a line; the last one carries all outputs");
  return [options] { return run(*options); };
}

}  // namespace

const Command kRunCommand = {"run", "run a pipeline",
                             "Outputs go to standard output, text while it is made; progress and messages to "
                             "standard error. Ctrl-C ends the run "
                             "and leaves no half-written file.",
                             "weft run assets/pipelines/hello.json\n"
                             "weft run assets/pipelines/hello.json --set topic=\"the sea\" --out build/sea\n"
                             "echo \"the moon\" | weft run assets/pipelines/hello.json --set topic=-\n"
                             "weft run assets/pipelines/summarise.json --set file=README.md --json",
                             declare};

}  // namespace weft::cli
