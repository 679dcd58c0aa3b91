/// What the user sees of a batch: on a terminal a bar that is redrawn, elsewhere a line now and then; failures as they come.
/// Always on standard error; with --json instead one object for each item that is recorded, on standard output.
///
/// Thread safety: any thread.
#ifndef WEFT_PIPELINE_CLI_BATCH_DISPLAY_H
#define WEFT_PIPELINE_CLI_BATCH_DISPLAY_H

#include <weft/abi/host.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>

#include "pipeline/batch/batch.h"
#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/terminal.h"

namespace weft::cli {

/// How far a batch is, in the words of the progress line.
struct BatchProgress {
  uint64_t items = 0, done = 0, failed = 0;
  double items_per_second = 0;  // 0: not known yet
};
/// "items  [####----] 120/1000, 2 failed, 3.1/s, 4 min 44 s left", cut to `width` columns.
std::string batch_progress_line(const BatchProgress& progress, size_t width);

class BatchDisplay {
 public:
  /// folder: the batch's, as the user named it.
  BatchDisplay(std::filesystem::path folder, Messages messages, weft_log_level level);
  ~BatchDisplay();

  void begin(const BatchCounts& counts);
  /// Outcomes that are durable.
  void recorded(std::span<const NamedOutcome> outcomes);
  void log(weft_log_level level, const std::string& message);
  /// A line of its own, whatever is on the screen.
  void note(const std::string& line);
  /// Takes the bar away.
  void end();

 private:
  void print_outcome(const NamedOutcome& named);
  void line(const std::string& text);
  void hide();
  void redraw();
  BatchProgress progress() const;

  using Clock = std::chrono::steady_clock;
  const std::filesystem::path folder_;
  const Messages messages_;
  const weft_log_level level_;
  const Terminal terminal_{2};
  std::mutex mutex_;
  BatchCounts counts_;
  uint64_t begun_with_ = 0;  // records that were there at the beginning
  std::string latest_;       // file that was written last
  Clock::time_point began_{}, drawn_{};
  size_t lines_on_screen_ = 0;
  bool running_ = false;
};

}  // namespace weft::cli
#endif
