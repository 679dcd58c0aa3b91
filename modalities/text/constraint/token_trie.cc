#include <algorithm>
#include <limits>
#include <numeric>

#include "modalities/text/constraint/constraint.h"

namespace weft {

size_t TokenMask::count() const {
  size_t bits = 0;
  for (const uint64_t word : words_) bits += static_cast<size_t>(__builtin_popcountll(word));
  return bits;
}

Result<std::shared_ptr<const TokenTrie>> TokenTrie::build(std::span<const std::string_view> tokens,
                                                          std::span<const int32_t> ends) {
  auto trie = std::shared_ptr<TokenTrie>(new TokenTrie());
  trie->bytes_.assign(tokens.begin(), tokens.end());
  trie->ends_.assign(ends.begin(), ends.end());
  std::sort(trie->ends_.begin(), trie->ends_.end());
  trie->ends_.erase(std::unique(trie->ends_.begin(), trie->ends_.end()), trie->ends_.end());
  if (!trie->ends_.empty() &&
      (trie->ends_.front() < 0 || static_cast<size_t>(trie->ends_.back()) >= tokens.size())) {
    return Status(StatusCode::kInvalidArgument, "an end token lies outside the vocabulary")
        .expected("0 to " + std::to_string(tokens.size()) + ", exclusive")
        .got(std::to_string(trie->ends_.front() < 0 ? trie->ends_.front() : trie->ends_.back()));
  }
  std::vector<int32_t> order;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() > std::numeric_limits<uint16_t>::max()) {
      return Status(StatusCode::kInvalidArgument, "token " + std::to_string(id) + " is too long")
          .expected("at most 65535 bytes")
          .got(std::to_string(tokens[id].size()));
    }
    if (!tokens[id].empty() && !trie->is_end(static_cast<int32_t>(id)))
      order.push_back(static_cast<int32_t>(id));
  }
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const std::string_view x = tokens[static_cast<size_t>(a)], y = tokens[static_cast<size_t>(b)];
    return x != y ? x < y : a < b;
  });
  // In sorted order, each token adds nodes below what it shares with the one before.
  std::vector<uint32_t> path;  // the nodes of the token before, by depth
  std::string_view before;
  for (const int32_t id : order) {
    const std::string_view bytes = tokens[static_cast<size_t>(id)];
    const size_t shared = static_cast<size_t>(
        std::mismatch(before.begin(), before.end(), bytes.begin(), bytes.end()).first - before.begin());
    while (path.size() > shared) {
      trie->nodes_[path.back()].subtree_end = static_cast<uint32_t>(trie->nodes_.size());
      path.pop_back();
    }
    for (size_t depth = shared; depth < bytes.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(trie->nodes_.size()));
      trie->nodes_.push_back({.first_token = static_cast<uint32_t>(trie->tokens_.size()),
                              .depth = static_cast<uint16_t>(depth + 1),
                              .byte = static_cast<uint8_t>(bytes[depth])});
    }
    trie->tokens_.push_back(id);
    before = bytes;
  }
  const auto end = static_cast<uint32_t>(trie->nodes_.size());
  for (const uint32_t node : path) trie->nodes_[node].subtree_end = end;
  trie->nodes_.push_back({.subtree_end = end, .first_token = static_cast<uint32_t>(trie->tokens_.size())});
  return std::shared_ptr<const TokenTrie>(std::move(trie));
}

bool TokenTrie::is_end(int32_t token) const { return std::binary_search(ends_.begin(), ends_.end(), token); }

}  // namespace weft
