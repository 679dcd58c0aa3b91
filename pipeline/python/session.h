/// What the Python module keeps between runs: the plugins of the installation, and a Host with its threads and models.
///
/// Everything that comes out of a run shares the session, so that an array made from an output stays valid after the run and
/// the Session object are gone. Nothing here knows Python. Ownership: by shared_ptr only. Thread safety: any thread;
/// pipelines are prepared one at a time.
#ifndef WEFT_PIPELINE_PYTHON_SESSION_H
#define WEFT_PIPELINE_PYTHON_SESSION_H

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/files/durable_file.h"
#include "pipeline/loader/catalog.h"
#include "pipeline/run/host.h"
#include "pipeline/run/result_cache.h"
#include "pipeline/run/run.h"

namespace weft::python {

struct SessionOptions {
  std::filesystem::path prefix;  // where plugins, programs and models of this installation lie
  uint32_t threads = 0;          // 0: all that the process may use
  uint64_t max_memory_bytes = 0;
  std::vector<std::filesystem::path> model_folders;  // before the usual ones
  std::vector<std::string> plugin_folders;           // before the usual ones
  LogHandler log;
};

class Session {
 public:
  /// Looks at the plugins (in child processes where they are not known yet): hundreds of milliseconds the first time.
  explicit Session(SessionOptions options);

  const Catalog& catalog() const { return catalog_; }
  Host& host() { return *host_; }
  ResultCache* cache() { return cache_ ? &*cache_ : nullptr; }  // null: there is no folder for it
  uint64_t max_memory_bytes() const { return max_memory_bytes_; }

  /// Errors: those of prepare_run.
  Result<PreparedRun> prepare(const Graph& graph, const RunOptions& options);
  /// Drops the weights of models that no run uses. They are read again when needed.
  void release_models();
  /// False in a process that was forked from the session's: its threads do not exist there.
  bool belongs_to_this_process() const;

 private:
  const pid_t process_;
  const uint64_t max_memory_bytes_;
  FileSystem file_system_;
  TemporaryFiles temporaries_;
  Catalog catalog_;
  std::unique_ptr<Host> host_;
  std::optional<ResultCache> cache_;
  std::mutex preparing_;
};

}  // namespace weft::python
#endif
