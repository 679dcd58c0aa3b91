/// weft verify: re-hashes what a manifest names; --rerun repeats the run and compares.
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"
#include "pipeline/run/manifest.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct Options {
  std::string manifest, out;
  HostSettings host;
  bool rerun = false, as_json = false;
};

int print_deviations(const std::vector<Deviation>& deviations, const Options& options,
                     const std::string& success) {
  if (options.as_json) {
    Json json{{"verified", deviations.empty()}, {"deviations", Json::array()}};
    for (const Deviation& d : deviations) {
      json["deviations"].push_back({{"what", d.what},
                                    {"path", d.path},
                                    {"expected", d.expected},
                                    {"got", d.got.empty() ? Json(nullptr) : Json(d.got)}});
    }
    print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (deviations.empty()) {
    print(success + "\n");
  } else {
    for (const Deviation& d : deviations) {
      print(d.what + (d.path.empty() ? "" : " (" + d.path + ")") + "\n  expected " + d.expected +
            "\n  got      " + (d.got.empty() ? "nothing: it is missing" : d.got) + "\n");
    }
  }
  return deviations.empty() ? kSuccess : kMismatch;
}

/// Removes the folder of a repeated run that nobody asked to keep.
struct TemporaryFolder {
  fs::path path;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path.empty()) fs::remove_all(path, error);
  }
};

int rerun(const Manifest& manifest, const Options& options) {
  Cancellation cancellation;
  TemporaryFolder temporary;
  fs::path out = options.out;
  if (out.empty()) {
    std::string pattern = (fs::temp_directory_path() / "weft-rerun-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      return report_error(
          Error{StatusCode::kIoError, "no temporary folder can be made", pattern, {}, {}, {}});
    temporary.path = out = pattern;
  }
  RunOptions settings = run_options(options.host);
  Result<RunOptions> replay = rerun_options(manifest, settings.isa_level, out);
  if (!replay.ok()) return report_error(replay.status());
  replay->threads = settings.threads;
  if (!settings.device.empty()) replay->device = settings.device;
  replay->max_memory_bytes = settings.max_memory_bytes;
  if (manifest.pipelines.empty())
    return report_error(
        Error{StatusCode::kCorruptData, "the manifest names no pipeline", options.manifest, {}, {}, {}});
  PipelineFile file;
  if (const std::optional<int> code = load_pipeline(manifest.pipelines.front().path, Messages::kText, file))
    return *code;
  apply_file(file, {}, *replay);
  if (replay->readable_files) {  // what the recorded run was allowed to read
    for (const ManifestFile& input : manifest.input_files) replay->readable_files->insert(input.path);
  }
  const std::unique_ptr<Host> host = make_host(options.host, cancellation.temporaries(),
                                               [](weft_log_level level, const std::string& message) {
                                                 if (level >= WEFT_LOG_WARNING) report_warning(message);
                                               });
  Result<PreparedRun> prepared = prepare_run(*file.graph, plugin_provider(), *host, *replay);
  if (!prepared.ok()) return report_error(prepared.status());
  const Result<RunResult> result = execute(
      *prepared, *replay, [](const Event&) {}, &cancellation.token());
  if (const int interrupted = cancellation.exit_code(); interrupted != 0 && !result.ok()) return interrupted;
  if (!result.ok()) return report_error(result.status());
  const Result<Manifest> repeated = read_manifest(result->manifest_path);
  if (!repeated.ok()) return report_error(repeated.status());
  return print_deviations(compare_outputs(manifest, *repeated), options,
                          "The repeated run gave the same outputs, bit for bit.");
}

int verify(const Options& options) {
  const Result<Manifest> manifest = read_manifest(options.manifest);
  if (!manifest.ok()) return report_error(manifest.status());
  const Result<std::vector<Deviation>> deviations = verify_manifest(options.manifest);
  if (!deviations.ok()) return report_error(deviations.status());
  if (!options.rerun || !deviations->empty()) {
    const int code = print_deviations(*deviations, options, "Every file is as the manifest says.");
    if (options.rerun) report_warning("not repeated, because of the deviations above");
    return code;
  }
  return rerun(*manifest, options);
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("MANIFEST", options->manifest, "The manifest.json of a run");
  arguments.flag("--rerun", options->rerun, "Repeat the run and compare its outputs bit for bit");
  arguments.option("--out", options->out, "FOLDER",
                   "Keep what --rerun writes there; default: a temporary folder");
  options->host.declare(arguments);
  arguments.flag("--json", options->as_json, "Print one JSON object");
  return [options] { return verify(*options); };
}

}  // namespace

const Command kVerifyCommand = {
    "verify", "re-hash what a run's manifest names, or repeat the run",
    "Exit code 10 if something is not as the manifest says. --rerun needs the ISA level of the recorded run; "
    "WEFT_ISA "
    "forces one. The number of threads does not matter.",
    "weft verify out/manifest.json\nweft verify out/manifest.json --rerun --threads 1", declare};

}  // namespace weft::cli
