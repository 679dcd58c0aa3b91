#include "pipeline/python/session.h"

#include <unistd.h>

#include <utility>

#include "pipeline/files/folders.h"
#include "pipeline/loader/plugin_library.h"
#include "pipeline/loader/scan.h"
#include "pipeline/residency/models.h"

namespace weft::python {
namespace {

constexpr uint64_t kCacheLimitBytes = uint64_t{2} << 30;  // as `weft run`

Catalog find_plugins(const SessionOptions& options) {
  ScanOptions scan = default_scan_options(options.prefix);
  scan.folders.insert(scan.folders.begin(), options.plugin_folders.begin(), options.plugin_folders.end());
  std::vector<std::string> warnings;
  Catalog catalog = scan_plugins(scan, &warnings);
  for (const PluginProblem& problem : catalog.problems()) {
    warnings.push_back("plugin left out: " + problem.path + ": " + problem.reason);
  }
  for (const std::string& warning : warnings) {
    if (options.log) options.log(WEFT_LOG_WARNING, warning);
  }
  return catalog;
}

HostOptions host_options(const SessionOptions& options, TemporaryFiles& temporaries) {
  HostOptions result;
  result.threads = options.threads;
  result.max_memory_bytes = options.max_memory_bytes;
  result.cache_folder = cache_folder();
  result.model_folders = options.model_folders;
  for (std::filesystem::path& folder : model_folders(options.prefix)) {
    result.model_folders.push_back(std::move(folder));
  }
  result.log = options.log;
  result.temporaries = &temporaries;
  return result;
}

Result<const weft_plugin*> load_plugin(const PluginDescriptor& descriptor) {
  Result<PluginLibrary> library = PluginLibrary::open(descriptor);
  if (!library.ok()) return library.status();
  return &library->plugin();  // nothing is unloaded during a process
}

}  // namespace

Session::Session(SessionOptions options)
    : process_(::getpid()),
      max_memory_bytes_(options.max_memory_bytes),
      temporaries_(file_system_),
      catalog_(find_plugins(options)),
      host_(std::make_unique<Host>(host_options(options, temporaries_))) {
  if (const auto folder = cache_folder(); !folder.empty()) {
    cache_.emplace(folder / "results", kCacheLimitBytes, temporaries_);
  }
}

Result<PreparedRun> Session::prepare(const Graph& graph, const RunOptions& options) {
  const std::lock_guard lock(preparing_);
  return prepare_run(graph, load_plugin, *host_, options);
}

void Session::release_models() { host_->models().evict_idle(); }

bool Session::belongs_to_this_process() const { return process_ == ::getpid(); }

}  // namespace weft::python
