/// What a command that runs pipelines needs around the run library: the options that such commands share, the host made
/// from them, cancellation by Ctrl-C.
#ifndef WEFT_PIPELINE_CLI_RUN_SESSION_H
#define WEFT_PIPELINE_CLI_RUN_SESSION_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "pipeline/cli/arguments.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/host.h"
#include "pipeline/run/interrupt.h"
#include "pipeline/run/run.h"

namespace weft::cli {

struct HostSettings {
  int64_t threads = 0;  // 0: all that the process may use
  std::optional<uint64_t> max_memory_bytes;
  std::string log_level = "info";
  std::string device;          // empty: what pipelines say
  std::string preview_folder;  // empty: no previews

  /// --threads, --device, --max-memory, --log-level.
  void declare(Arguments& arguments);
  /// --previews.
  enum class Previews : uint8_t { kOfRun, kOfItems };
  void declare_previews(Arguments& arguments, Previews previews);
};

/// Cancels `token` on Ctrl-C and ends the process soon after. Made before any thread is started.
class Cancellation {
 public:
  Cancellation();
  const CancelToken& token() const { return token_; }
  void cancel() { token_.cancel(); }
  TemporaryFiles& temporaries() { return temporaries_; }
  /// 128 + the signal that asked the program to end; 0 if none did.
  int exit_code() const;

 private:
  CancelToken token_;
  FileSystem file_system_;
  TemporaryFiles temporaries_;
  Interrupt interrupt_;
};

/// Folders of the user's caches and models; the log goes to `log`.
std::unique_ptr<Host> make_host(const HostSettings& settings, TemporaryFiles& temporaries, LogHandler log);

/// Loads plugins into this process.
PluginProvider plugin_provider();

/// Run options as every command wants them: threads, memory limit, ISA level.
RunOptions run_options(const HostSettings& settings);

}  // namespace weft::cli
#endif
