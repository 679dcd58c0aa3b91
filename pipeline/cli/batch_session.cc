#include "pipeline/cli/batch_session.h"

#include <unistd.h>

#include <charconv>
#include <utility>

#include "pipeline/cli/event_json.h"
#include "pipeline/cli/report.h"

namespace weft::cli {

void ItemSettings::declare(Arguments& arguments) {
  arguments.option("--items", items, "FILE",
                   "JSON lines, a .csv file, a folder of files, or - for JSON lines on standard input");
  arguments.option("--set", settings, "NAME=VALUE",
                   "Give an input to all items that do not set it, as with weft run");
  arguments.option("--matrix", matrix, "NAME=VALUES",
                   "Run every item with each value: seed=1..100 or cfg=4,7; several make a grid");
  arguments.option("--name", name, "TEMPLATE",
                   "Name of an item's folder: ${index}, ${id}, ${matrix}, ${inputs.NAME}");
}

Result<uint32_t> parse_concurrency(const std::string& text) {
  if (text == "auto") return uint32_t{0};
  uint32_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 1024) return number;
  return Status(StatusCode::kInvalidArgument, "not a number of items")
      .at("--concurrency")
      .expected("auto, or 1 to 1024")
      .got("'" + text + "'");
}

int fail(const Error& error, int code, Messages messages) {
  if (messages == Messages::kJson) {
    print(failed_line(error, code));
  } else {
    report_error(error);
  }
  return code;
}

Draining::Draining()
    : temporaries_(file_system_), interrupt_(temporaries_, [this](int signal) { return stop(signal); }) {}

void Draining::tell_by(std::function<void(const std::string&)> tell) {
  const std::lock_guard lock(telling_);
  tell_ = std::move(tell);
}

Interrupt::Then Draining::stop(int signal) {
  const bool first = signal_.exchange(signal) == 0;
  drain_.cancel();
  if (first) {
    const std::string text = "finishing the items at work; once more stops at once";
    const std::lock_guard lock(telling_);
    if (tell_) tell_(text);
    else write_all(STDERR_FILENO, "\n" + text + "\n");
    return Interrupt::Then::kGoOn;
  }
  cancel_.cancel();
  return Interrupt::Then::kEndProcess;
}

}  // namespace weft::cli
