#include "pipeline/graph/reference.h"

#include <algorithm>

namespace weft {

std::optional<std::vector<TextPiece>> split_text(std::string_view text, uint32_t& unclosed) {
  std::vector<TextPiece> pieces;
  std::string fixed;
  size_t fixed_begin = 0, at = 0;
  const auto flush = [&] {
    if (!fixed.empty()) {
      pieces.push_back({TextPiece::Kind::kFixed, std::move(fixed), static_cast<uint32_t>(fixed_begin)});
    }
    fixed.clear();
  };
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    if (fixed.empty()) fixed_begin = at;
    if (rest.starts_with("$${")) {
      fixed += "${";
      at += 3;
    } else if (rest.starts_with("${")) {
      const size_t close = rest.find('}');
      if (close == std::string_view::npos) {
        unclosed = static_cast<uint32_t>(at);
        return std::nullopt;
      }
      flush();
      pieces.push_back(
          {TextPiece::Kind::kReference, std::string(rest.substr(2, close - 2)), static_cast<uint32_t>(at)});
      at += close + 1;
    } else {
      fixed += rest[0];
      ++at;
    }
  }
  flush();
  return pieces;
}

bool is_pipeline_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto other = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
  if (name.empty() || name.size() > 128 || !letter(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || other(c); });
}

}  // namespace weft
