/// What the user sees of a batch: on a terminal a bar that is redrawn, and below it what the items at work are making;
/// elsewhere a line now and then; failures as they come. Always on standard error; with --json instead one object for each
/// item that is recorded, and one a second with those at work, on standard output.
/// Once a second the items at work are also written to a file, for who looks from another terminal.
///
/// Thread safety: any thread. Between begin and end it has one of its own, which looks whether there is something to show.
#ifndef WEFT_PIPELINE_CLI_BATCH_DISPLAY_H
#define WEFT_PIPELINE_CLI_BATCH_DISPLAY_H

#include <weft/abi/host.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/batch/batch.h"
#include "pipeline/cli/items_at_work.h"
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
/// "000003  the end of what it writes", or "000003  paint 12/20 steps" and the folder of its pictures, in `width` columns.
std::string item_at_work_line(const ItemAtWork& item, size_t width);
/// A line for each of the first few, and how many there are besides.
std::vector<std::string> items_at_work_lines(const std::vector<ItemAtWork>& items, size_t count,
                                             size_t width);
inline constexpr size_t kItemsShown = 8;

struct BatchDisplayOptions {
  std::filesystem::path folder;  // the batch's, as the user named it
  Messages messages = Messages::kText;
  weft_log_level level = WEFT_LOG_INFO;
  std::filesystem::path at_work_file = {};    // removed at the end; empty: none
  std::filesystem::path preview_folder = {};  // as HostOptions has it
};

class BatchDisplay {
 public:
  /// temporaries: outlives it.
  BatchDisplay(BatchDisplayOptions options, TemporaryFiles& temporaries);
  ~BatchDisplay();

  void begin(const BatchCounts& counts);
  /// Something happened within an item; the item executes no more.
  void event(const Item& item, const Event& event);
  void ended(const Item& item);
  /// Outcomes that are durable.
  void recorded(std::span<const NamedOutcome> outcomes);
  void log(weft_log_level level, const std::string& message);
  /// A line of its own, whatever is on the screen.
  void note(const std::string& line);
  /// Takes the bar away.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  void print_outcome(const NamedOutcome& named);
  void line(const std::string& text);
  void hide();
  void redraw();
  void keep_showing();
  void tell_items_at_work();
  BatchProgress progress() const;
  std::vector<ItemAtWork> items_at_work(size_t limit) const;

  const BatchDisplayOptions options_;
  TemporaryFiles& temporaries_;
  const Terminal terminal_{2};
  ItemsAtWork at_work_;
  std::atomic<bool> changed_{false};  // what is at work, since it was drawn
  std::mutex mutex_;
  std::condition_variable ending_;
  std::thread shower_;
  BatchCounts counts_;
  uint64_t begun_with_ = 0;  // records that were there at the beginning
  std::string latest_;       // file that was written last
  Clock::time_point began_{}, drawn_{}, told_{};
  size_t lines_on_screen_ = 0;
  bool running_ = false, told_some_ = false;
};

}  // namespace weft::cli
#endif
