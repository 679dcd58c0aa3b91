#include "pipeline/cli/progress_bars.h"

#include <unistd.h>

#include <algorithm>

#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

using std::chrono::steady_clock;
constexpr auto kRedrawInterval = std::chrono::milliseconds(80);
constexpr auto kCountInterval = std::chrono::seconds(1);
constexpr size_t kBarColumns = 24;

}  // namespace

std::string progress_line(std::string_view name, int64_t done, int64_t total, std::string_view unit,
                          size_t width) {
  std::string line(clip_to_width(name, width / 3));
  const std::string suffix = unit.empty() ? "" : " " + std::string(unit);
  if (total > 0) {
    done = std::clamp<int64_t>(done, 0, total);
    const std::string count = " " + std::to_string(done) + "/" + std::to_string(total) + suffix;
    const size_t used = display_width(line) + 2 + 2 + display_width(count);
    if (used + 4 <= width) {
      const size_t columns = std::min(kBarColumns, width - used);
      const auto filled = static_cast<size_t>(static_cast<double>(done) / static_cast<double>(total) *
                                              static_cast<double>(columns));
      line += "  [" + std::string(filled, '#') + std::string(columns - filled, '-') + "]" + count;
    } else {
      line += count;
    }
  } else if (done > 0) {
    line += "  " + std::to_string(done) + suffix;
  } else {
    line += "  working";
  }
  return std::string(clip_to_width(line, width));
}

ProgressBars::ProgressBars(Style style, const Terminal& terminal, size_t n_nodes)
    : style_(style), terminal_(terminal), n_nodes_(n_nodes) {}

void ProgressBars::start(std::string_view node) {
  if (style_ != Style::kBars) return;
  running_.emplace(std::string(node), Bar{});
  redraw();
}

void ProgressBars::update(std::string_view node, int64_t done, int64_t total, std::string_view unit) {
  const auto bar = running_.find(node);
  if (style_ != Style::kBars || bar == running_.end()) return;
  bar->second = {done, total, std::string(unit)};
  redraw();
}

void ProgressBars::end(std::string_view node, std::string_view what) {
  ++n_ended_;
  if (style_ == Style::kLines && n_nodes_ <= kMaxNamedNodes) {
    write_all(STDERR_FILENO, std::string(node) + ": " + std::string(what) + "\n");
  } else if (style_ == Style::kLines && steady_clock::now() - drawn_ > kCountInterval) {
    drawn_ = steady_clock::now();
    write_all(STDERR_FILENO, std::to_string(n_ended_) + " of " + std::to_string(n_nodes_) + " nodes\n");
  } else if (style_ == Style::kBars) {
    running_.erase(std::string(node));
    redraw();
  }
}

void ProgressBars::hide() {
  if (lines_on_screen_ > 0) {
    // To the first line of the bars, and everything below it erased.
    write_all(STDERR_FILENO, "\x1b[" + std::to_string(lines_on_screen_) + "F\x1b[J");
    lines_on_screen_ = 0;
  }
  visible_ = false;
}

void ProgressBars::redraw() {
  const auto now = steady_clock::now();
  if (!visible_ || now - drawn_ < kRedrawInterval) return;
  drawn_ = now;
  std::string text;
  if (lines_on_screen_ > 0) text = "\x1b[" + std::to_string(lines_on_screen_) + "F\x1b[J";
  // One column stays free: a terminal that wraps at the last one would scroll the bars apart.
  const size_t width = terminal_.width() - 1;
  size_t lines = 0;
  for (const auto& [name, bar] : running_) {
    if (lines == kMaxBars) break;
    text += progress_line(name, bar.done, bar.total, bar.unit, width) + "\n";
    ++lines;
  }
  if (n_nodes_ > 1) {
    text +=
        progress_line("nodes", static_cast<int64_t>(n_ended_), static_cast<int64_t>(n_nodes_), "", width) +
        "\n";
    ++lines;
  }
  write_all(STDERR_FILENO, text);
  lines_on_screen_ = lines;
}

}  // namespace weft::cli
