#include "pipeline/cli/batch_display.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"

namespace weft::cli {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(10);
constexpr size_t kBarColumns = 20;

std::string rate_text(double items_per_second) {
  char text[32];
  if (items_per_second >= 0.1) {
    std::snprintf(text, sizeof text, items_per_second < 10 ? "%.1f/s" : "%.0f/s", items_per_second);
  } else {
    std::snprintf(text, sizeof text, "%.1f/min", items_per_second * 60);
  }
  return text;
}

}  // namespace

std::string batch_progress_line(const BatchProgress& progress, size_t width) {
  const uint64_t ended = progress.done + progress.failed;
  std::string facts = std::to_string(ended) + "/" + std::to_string(progress.items);
  if (progress.failed > 0) facts += ", " + std::to_string(progress.failed) + " failed";
  if (progress.items_per_second > 0) {
    facts += ", " + rate_text(progress.items_per_second);
    const double left = static_cast<double>(progress.items - ended) / progress.items_per_second;
    if (ended < progress.items) facts += ", " + format_duration(left) + " left";
  }
  std::string line = "items  ";
  if (line.size() + kBarColumns + 3 + facts.size() <= width && progress.items > 0) {
    const auto filled = static_cast<size_t>(ended * kBarColumns / progress.items);
    line += "[" + std::string(filled, '#') + std::string(kBarColumns - filled, '-') + "] ";
  }
  return std::string(clip_to_width(line + facts, width));
}

BatchDisplay::BatchDisplay(std::filesystem::path folder, Messages messages, weft_log_level level)
    : folder_(std::move(folder)), messages_(messages), level_(level) {}

BatchDisplay::~BatchDisplay() { end(); }

void BatchDisplay::begin(const BatchCounts& counts) {
  const std::lock_guard lock(mutex_);
  counts_ = counts;
  begun_with_ = counts.done + counts.failed;
  began_ = drawn_ = Clock::now();
  running_ = true;
}

BatchProgress BatchDisplay::progress() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  const uint64_t ended = counts_.done + counts_.failed - begun_with_;
  const double rate = ended > 0 && seconds > 0 ? static_cast<double>(ended) / seconds : 0;
  return {counts_.items, counts_.done, counts_.failed, rate};
}

void BatchDisplay::recorded(std::span<const NamedOutcome> outcomes) {
  const std::lock_guard lock(mutex_);
  for (const NamedOutcome& named : outcomes) {
    const bool failed = named.outcome.state == ItemOutcome::State::kFailed;
    ++(failed ? counts_.failed : counts_.done);
    if (!named.outcome.files.empty()) {
      latest_ = (folder_ / "items" / named.item.name / named.outcome.files.front().path).string();
    }
    print_outcome(named);
  }
  if (messages_ == Messages::kText && level_ <= WEFT_LOG_INFO) redraw();
}

void BatchDisplay::print_outcome(const NamedOutcome& named) {
  if (messages_ == Messages::kJson) return print(item_line(named));
  const bool failed = named.outcome.state == ItemOutcome::State::kFailed;
  if (!failed || level_ > WEFT_LOG_ERROR) return;
  Error error = *named.outcome.error;
  const bool placed = error.where.starts_with(named.item.place);
  if (!placed) error.where = named.item.place + (error.where.empty() ? "" : ", " + error.where);
  line("failed: item '" + named.item.name + "': " + to_string(error));
}

void BatchDisplay::redraw() {
  const auto now = Clock::now();
  const bool bar = terminal_.interactive();
  if (!running_ || now - drawn_ < (bar ? Clock::duration(kRedrawInterval) : Clock::duration(kLineInterval))) {
    return;
  }
  drawn_ = now;
  if (!bar) return line(batch_progress_line(progress(), 79));
  hide();
  // One column stays free: a terminal that wraps at the last one would scroll the bar apart.
  const size_t width = terminal_.width() - 1;
  std::string text = batch_progress_line(progress(), width) + "\n";
  lines_on_screen_ = 1;
  if (!latest_.empty()) {
    text += std::string(clip_to_width("latest " + without_controls(latest_), width)) + "\n";
    lines_on_screen_ = 2;
  }
  write_all(STDERR_FILENO, text);
}

void BatchDisplay::hide() {
  if (lines_on_screen_ == 0) return;
  write_all(STDERR_FILENO, "\x1b[" + std::to_string(lines_on_screen_) + "F\x1b[J");
  lines_on_screen_ = 0;
}

void BatchDisplay::line(const std::string& text) {
  hide();
  write_all(STDERR_FILENO, without_controls(text) + "\n");
}

void BatchDisplay::log(weft_log_level level, const std::string& message) {
  if (level < level_) return;
  const size_t index =
      static_cast<size_t>(std::clamp<weft_log_level>(level, WEFT_LOG_DEBUG, WEFT_LOG_ERROR) - WEFT_LOG_DEBUG);
  const std::lock_guard lock(mutex_);
  line(log_level_names()[index] + ": " + message);
}

void BatchDisplay::note(const std::string& text) {
  const std::lock_guard lock(mutex_);
  line(text);
}

void BatchDisplay::end() {
  const std::lock_guard lock(mutex_);
  hide();
  running_ = false;
}

}  // namespace weft::cli
