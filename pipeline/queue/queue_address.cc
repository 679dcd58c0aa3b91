#include "pipeline/queue/queue_address.h"

#include <algorithm>
#include <string_view>

namespace weft {
namespace {

constexpr size_t kMaxNameLength = 64;

bool is_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= kMaxNameLength && std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace

Result<QueueAddress> parse_queue_address(const std::string& text) {
  const auto wrong = [&](const std::string& shown) {
    return Status(StatusCode::kInvalidArgument, "not the address of a queue")
        .at("--queue")
        .expected("nats://HOST:4222/NAME, the name of letters, digits, - and _")
        .got("'" + shown + "'");
  };
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos) return wrong(text);
  const size_t user = text.find('@', scheme), host = user == std::string::npos ? scheme + 3 : user + 1;
  const std::string shown = text.substr(0, scheme + 3) + text.substr(host);
  const size_t slash = text.find('/', host);
  const std::string_view kind = std::string_view(text).substr(0, scheme);
  if ((kind != "nats" && kind != "tls") || slash == std::string::npos || slash == host) return wrong(shown);
  const std::string name = text.substr(slash + 1);
  if (!is_name(name)) return wrong(shown);
  return QueueAddress{text.substr(0, slash), name, shown};
}

}  // namespace weft
