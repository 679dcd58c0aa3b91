/// Progress of running nodes: bars that are redrawn on a terminal, plain lines elsewhere. Always on standard error.
///
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_CLI_PROGRESS_BARS_H
#define WEFT_PIPELINE_CLI_PROGRESS_BARS_H

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/cli/terminal.h"

namespace weft::cli {

/// One bar: "name  [#####-----] 12/40 tokens", cut to `width` columns.
std::string progress_line(std::string_view name, int64_t done, int64_t total, std::string_view unit,
                          size_t width);

class ProgressBars {
 public:
  enum class Style {
    kBars,   // redrawn in place; needs an interactive terminal
    kLines,  // one line when a node ends, or a count now and then in a large graph
    kNone
  };
  /// n_nodes: of the graph; above 100, kLines counts nodes instead of naming each.
  ProgressBars(Style style, const Terminal& terminal, size_t n_nodes);
  ~ProgressBars() { hide(); }
  ProgressBars(const ProgressBars&) = delete;
  ProgressBars& operator=(const ProgressBars&) = delete;

  void start(std::string_view node);
  void update(std::string_view node, int64_t done, int64_t total, std::string_view unit);
  /// what: "done in 1.2 s", "from the cache", "skipped: ...".
  void end(std::string_view node, std::string_view what);

  /// Takes the bars off the screen, because something else writes to it, until show().
  void hide();
  void show() { visible_ = true; }

 private:
  struct Bar {
    int64_t done = 0, total = 0;
    std::string unit;
  };
  void redraw();

  static constexpr size_t kMaxBars = 8, kMaxNamedNodes = 100;
  const Style style_;
  const Terminal& terminal_;
  const size_t n_nodes_;
  size_t n_ended_ = 0;
  std::map<std::string, Bar, std::less<>> running_;
  size_t lines_on_screen_ = 0;
  bool visible_ = true;
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace weft::cli
#endif
