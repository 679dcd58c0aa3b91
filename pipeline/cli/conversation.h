/// The turns of a chat as the JSON that text.chat takes: [{"role": "user", "content": "..."}, ...].
///
/// Thread safety: none; one thread.
#ifndef WEFT_PIPELINE_CLI_CONVERSATION_H
#define WEFT_PIPELINE_CLI_CONVERSATION_H

#include <string>
#include <utility>
#include <vector>

namespace weft::cli {

class Conversation {
 public:
  /// "" for none; replaces an earlier one.
  void set_system(std::string text) { system_ = std::move(text); }
  /// So many are shown before the first turn's text, whatever is forgotten: [{"type": "image"}, ..., {"type": "text", ...}].
  void set_pictures(size_t n) { n_pictures_ = n; }
  void add_user(std::string text) { turns_.emplace_back("user", std::move(text)); }
  /// An answer that is empty takes the user's turn back, as if it had not been said.
  void add_answer(std::string text);
  /// Forgets all turns; the system message stays.
  void clear() { turns_.clear(); }
  size_t size() const { return turns_.size(); }

  std::string to_json() const;

 private:
  std::string system_;
  size_t n_pictures_ = 0;
  std::vector<std::pair<std::string, std::string>> turns_;  // role, content
};

}  // namespace weft::cli
#endif
