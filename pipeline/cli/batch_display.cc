#include "pipeline/cli/batch_display.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <system_error>
#include <utility>

#include "pipeline/cli/batch_json.h"
#include "pipeline/cli/byte_size.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/run_display.h"

namespace weft::cli {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(10);
constexpr auto kTellInterval = std::chrono::seconds(1);
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

/// The text in one line.
std::string in_one_line(std::string_view text) {
  std::string line;
  for (const char c : without_controls(text)) {
    const bool blank = c == ' ' || c == '\n' || c == '\t';
    if (!blank) line += c;
    else if (!line.empty() && line.back() != ' ') line += ' ';
  }
  return line;
}

std::string progress_text(const ItemAtWork& item) {
  std::string text = item.node;
  if (item.done > 0 || item.total > 0) text += " " + std::to_string(item.done);
  if (item.total > 0) text += "/" + std::to_string(item.total);
  if (!item.unit.empty()) text += " " + item.unit;
  if (!item.previews.empty()) text += ", " + item.previews;
  return text;
}

}  // namespace

std::string item_at_work_line(const ItemAtWork& item, size_t width) {
  std::string line = "  " + std::string(clip_to_width(in_one_line(item.name), width / 3)) + "  ";
  const size_t used = display_width(line), left = width - std::min(width, used);
  if (item.text.empty()) return std::string(clip_to_width(line + in_one_line(progress_text(item)), width));
  const std::string text = in_one_line(item.text);
  return std::string(clip_to_width(line, width)) + std::string(clip_front_to_width(text, left));
}

std::vector<std::string> items_at_work_lines(const std::vector<ItemAtWork>& items, size_t count,
                                             size_t width) {
  std::vector<std::string> lines;
  for (const ItemAtWork& item : items) {
    if (lines.size() == kItemsShown) break;
    lines.push_back(item_at_work_line(item, width));
  }
  if (count > lines.size() && !lines.empty()) {
    const std::string more = "  and " + std::to_string(count - lines.size()) + " more at work";
    lines.emplace_back(clip_to_width(more, width));
  }
  return lines;
}

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

BatchDisplay::BatchDisplay(BatchDisplayOptions options, TemporaryFiles& temporaries)
    : options_(std::move(options)), temporaries_(temporaries) {}

BatchDisplay::~BatchDisplay() { end(); }

void BatchDisplay::begin(const BatchCounts& counts) {
  const std::lock_guard lock(mutex_);
  counts_ = counts;
  begun_with_ = counts.done + counts.failed;
  began_ = drawn_ = told_ = Clock::now();
  running_ = true;
  std::error_code ignored;  // one may be left of a process that was killed
  if (!options_.at_work_file.empty()) std::filesystem::remove(options_.at_work_file, ignored);
  shower_ = std::thread([this] { keep_showing(); });
}

BatchProgress BatchDisplay::progress() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  const uint64_t ended = counts_.done + counts_.failed - begun_with_;
  const double rate = ended > 0 && seconds > 0 ? static_cast<double>(ended) / seconds : 0;
  return {counts_.items, counts_.done, counts_.failed, rate};
}

std::vector<ItemAtWork> BatchDisplay::items_at_work(size_t limit) const {
  std::vector<ItemAtWork> items = at_work_.list(limit);
  if (options_.preview_folder.empty()) return items;
  for (ItemAtWork& item : items) {
    std::error_code ignored;
    const std::filesystem::path folder = options_.preview_folder / item.name;
    if (std::filesystem::exists(folder, ignored)) item.previews = folder.string();
  }
  return items;
}

void BatchDisplay::event(const Item& item, const Event& event) {
  at_work_.on_event(item.name, event);
  changed_ = true;
}

void BatchDisplay::ended(const Item& item) {
  at_work_.ended(item.name);
  changed_ = true;
}

void BatchDisplay::keep_showing() {
  std::unique_lock lock(mutex_);
  while (!ending_.wait_for(lock, kRedrawInterval, [this] { return !running_; })) {
    tell_items_at_work();
    if (changed_.exchange(false) && terminal_.interactive()) redraw();
  }
}

void BatchDisplay::tell_items_at_work() {
  const auto now = Clock::now();
  if (now - told_ < kTellInterval) return;
  told_ = now;
  const std::vector<ItemAtWork> items = items_at_work(SIZE_MAX);
  if (items.empty() && !told_some_) return;
  told_some_ = !items.empty();
  if (options_.messages == Messages::kJson) print(at_work_event(items));
  // A disk that takes nothing more is the batch's to tell.
  if (!options_.at_work_file.empty()) (void)write_items_at_work(items, temporaries_, options_.at_work_file);
}

void BatchDisplay::recorded(std::span<const NamedOutcome> outcomes) {
  const std::lock_guard lock(mutex_);
  for (const NamedOutcome& named : outcomes) {
    const bool failed = named.outcome.state == ItemOutcome::State::kFailed;
    ++(failed ? counts_.failed : counts_.done);
    if (!named.outcome.files.empty()) {
      latest_ = (options_.folder / "items" / named.item.name / named.outcome.files.front().path).string();
    }
    print_outcome(named);
  }
  redraw();
}

void BatchDisplay::print_outcome(const NamedOutcome& named) {
  if (options_.messages == Messages::kJson) return print(item_line(named));
  const bool failed = named.outcome.state == ItemOutcome::State::kFailed;
  if (!failed || options_.level > WEFT_LOG_ERROR) return;
  Error error = *named.outcome.error;
  const bool placed = error.where.starts_with(named.item.place);
  if (!placed) error.where = named.item.place + (error.where.empty() ? "" : ", " + error.where);
  line("failed: item '" + named.item.name + "': " + to_string(error));
}

void BatchDisplay::redraw() {
  if (options_.messages == Messages::kJson || options_.level > WEFT_LOG_INFO) return;
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
  std::vector<std::string> lines{batch_progress_line(progress(), width)};
  if (!latest_.empty()) lines.emplace_back(clip_to_width("latest " + without_controls(latest_), width));
  for (std::string& line : items_at_work_lines(items_at_work(kItemsShown), at_work_.count(), width)) {
    lines.push_back(std::move(line));
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  lines_on_screen_ = lines.size();
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
  if (level < options_.level) return;
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
  {
    const std::lock_guard lock(mutex_);
    if (!running_) return;
    running_ = false;
    ending_.notify_one();
  }
  shower_.join();
  const std::lock_guard lock(mutex_);
  hide();
  std::error_code ignored;
  if (!options_.at_work_file.empty()) std::filesystem::remove(options_.at_work_file, ignored);
}

}  // namespace weft::cli
