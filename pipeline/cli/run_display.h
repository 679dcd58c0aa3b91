/// What the user sees of a run: outputs as they are made, progress, messages; or, with --json, one event a line.
///
/// Thread safety: on_event and finish from the thread that executes the run, log from any.
#ifndef WEFT_PIPELINE_CLI_RUN_DISPLAY_H
#define WEFT_PIPELINE_CLI_RUN_DISPLAY_H

#include <weft/abi/host.h>

#include <mutex>
#include <string>
#include <vector>

#include "pipeline/cli/output_stream.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/progress_bars.h"
#include "pipeline/run/run.h"

namespace weft::cli {

/// A message at WEFT_LOG_* `level` or above is shown; kLogOff shows none. Progress is shown at info and below.
inline constexpr weft_log_level kLogOff = WEFT_LOG_ERROR + 1;
/// level: "debug", "info", "warning", "error" or "off".
weft_log_level parse_log_level(const std::string& level);
std::vector<std::string> log_level_names();

class RunDisplay {
 public:
  RunDisplay(const Graph& graph, Messages messages, weft_log_level level);

  void on_event(const Event& event);
  void log(weft_log_level level, const std::string& message);
  /// The end of a run that succeeded.
  void finish(const RunResult& result);
  /// The end of one that did not: prints the error, returns `exit_code`.
  int fail(const Error& error, int exit_code);

 private:
  void show_event(const Event& event);
  void line_on_error(const std::string& line);

  const Messages messages_;
  const weft_log_level level_;
  const Terminal out_{1}, error_{2};
  std::mutex mutex_;
  ProgressBars bars_;
  OutputStream outputs_;
};

}  // namespace weft::cli
#endif
