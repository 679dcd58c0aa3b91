/// What the commands share that run the items of a batch: where items come from, Ctrl-C, how errors are told.
#ifndef WEFT_PIPELINE_CLI_BATCH_SESSION_H
#define WEFT_PIPELINE_CLI_BATCH_SESSION_H

#include <weft/sdk/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/cli/arguments.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/files/durable_file.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/interrupt.h"

namespace weft::cli {

/// Which items: the options of `weft batch` and `weft submit`.
struct ItemSettings {
  std::string items, name;
  std::vector<std::string> settings, matrix;

  /// --items, --set, --matrix, --name.
  void declare(Arguments& arguments);
};

/// "auto" gives 0. Errors: kInvalidArgument.
Result<uint32_t> parse_concurrency(const std::string& text);

/// Prints the error as text or as the last line of --json; returns `code`.
int fail(const Error& error, int code, Messages messages);

/// The first Ctrl-C lets the items at work end and begins no more; the second ends the process at once.
class Draining {
 public:
  Draining();

  const CancelToken& drain() const { return drain_; }
  CancelToken& cancel() { return cancel_; }
  void stop_items() { drain_.cancel(); }
  /// Who tells what the first Ctrl-C does, while there is something on the screen; empty: a line on standard error.
  void tell_by(std::function<void(const std::string&)> tell);
  TemporaryFiles& temporaries() { return temporaries_; }
  /// 128 + the signal that asked for the end; 0 if none did.
  int exit_code() const { return signal_.load() == 0 ? 0 : 128 + signal_.load(); }

 private:
  Interrupt::Then stop(int signal);

  CancelToken drain_, cancel_;
  std::atomic<int> signal_{0};
  std::mutex telling_;
  std::function<void(const std::string&)> tell_;
  FileSystem file_system_;
  TemporaryFiles temporaries_;
  Interrupt interrupt_;
};

}  // namespace weft::cli
#endif
