#include "pipeline/cli/conversation.h"

#include <nlohmann/json.hpp>

namespace weft::cli {

void Conversation::add_answer(std::string text) {
  if (text.empty()) {
    if (!turns_.empty()) turns_.pop_back();
  } else {
    turns_.emplace_back("assistant", std::move(text));
  }
}

std::string Conversation::to_json() const {
  using Json = nlohmann::ordered_json;
  Json messages = Json::array();
  if (!system_.empty()) messages.push_back({{"role", "system"}, {"content", system_}});
  for (const auto& [role, content] : turns_) messages.push_back({{"role", role}, {"content", content}});
  if (n_pictures_ > 0 && !turns_.empty()) {
    Json& first = messages[system_.empty() ? 0 : 1]["content"];
    Json parts(n_pictures_, Json{{"type", "image"}});
    parts.push_back({{"type", "text"}, {"text", first}});
    first = std::move(parts);
  }
  return messages.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace weft::cli
