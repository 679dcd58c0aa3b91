/// Finds the first of some stop texts in a text that arrives in parts, and withholds what may be the beginning of one.
///
/// Ownership: keeps its own copy of the stop texts. Thread safety: one thread at a time.
#ifndef WEFT_PLUGINS_TEXT_STOP_TEXT_H
#define WEFT_PLUGINS_TEXT_STOP_TEXT_H

#include <string>
#include <string_view>
#include <vector>

namespace weft::text {

class StopText {
 public:
  /// Empty stop texts are ignored.
  explicit StopText(std::vector<std::string> stops);

  /// Takes a part and returns what is certain to stand before any stop text. After found(), parts are dropped.
  std::string push(std::string_view part);
  /// What was withheld, at the end of the text; nothing after found().
  std::string finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string withheld_;
  bool found_ = false;
};

}  // namespace weft::text
#endif
