#include "plugins/text/stop_text.h"

#include <algorithm>
#include <utility>

namespace weft::text {

StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopText::push(std::string_view part) {
  if (found_) return {};
  withheld_ += part;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, withheld_.find(stop));
  if (first != std::string::npos) {
    found_ = true;
    std::string before = withheld_.substr(0, first);
    withheld_.clear();
    return before;
  }
  size_t keep = 0;  // the longest end of the text that begins a stop text
  for (const std::string& stop : stops_) {
    for (size_t length = std::min(stop.size() - 1, withheld_.size()); length > keep; --length) {
      if (withheld_.ends_with(std::string_view(stop).substr(0, length))) keep = length;
    }
  }
  std::string certain = withheld_.substr(0, withheld_.size() - keep);
  withheld_.erase(0, certain.size());
  return certain;
}

std::string StopText::finish() { return std::exchange(withheld_, {}); }

}  // namespace weft::text
