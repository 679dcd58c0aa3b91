#include "modalities/text/tokenizer/piece_table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>

namespace weft {
namespace {

uint64_t hash_of(std::string_view piece) { return XXH3_64bits(piece.data(), piece.size()); }

}  // namespace

void PieceTable::reserve(size_t count, size_t bytes) {
  ends_.reserve(count);
  bytes_.reserve(bytes);
}

void PieceTable::push_back(std::string_view piece) {
  bytes_ += piece;
  ends_.push_back(bytes_.size());
}

PieceIndex::PieceIndex(const PieceTable& pieces)
    : pieces_(&pieces), slots_(std::bit_ceil(pieces.size() + pieces.size() / 2 + 1)) {
  for (size_t i = 0; i < pieces.size(); ++i) insert(static_cast<int32_t>(i));
}

void PieceIndex::insert(int32_t id) {
  const std::string_view piece = (*pieces_)[static_cast<size_t>(id)];
  const uint64_t hash = hash_of(piece);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (; slots_[at].id >= 0; at = (at + 1) & mask)
    if (slots_[at].hash == hash >> 32 && (*pieces_)[static_cast<size_t>(slots_[at].id)] == piece) return;
  slots_[at] = {id, static_cast<uint32_t>(hash >> 32)};
}

int32_t PieceIndex::find(std::string_view piece) const {
  if (slots_.empty()) return -1;
  const uint64_t hash = hash_of(piece);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].id >= 0; at = (at + 1) & mask)
    if (slots_[at].hash == hash >> 32 && (*pieces_)[static_cast<size_t>(slots_[at].id)] == piece)
      return slots_[at].id;
  return -1;
}

void MergeTable::reserve(size_t count) {
  slots_.assign(std::bit_ceil(count + count / 2 + 2), Slot{});
  shift_ = 64 - std::countr_zero(slots_.size());
}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = key_of(left, right);
  const size_t mask = slots_.size() - 1;
  size_t at = slot_of(key);
  for (; slots_[at].key != 0; at = (at + 1) & mask)
    if (slots_[at].key == key) return;
  slots_[at] = {key, merge};
  ++count_;
}

Merge MergeTable::find(int32_t left, int32_t right) const {
  const uint64_t key = key_of(left, right);
  const size_t mask = slots_.size() - 1;
  for (size_t at = slot_of(key); slots_[at].key != 0; at = (at + 1) & mask)
    if (slots_[at].key == key) return slots_[at].merge;
  return {};
}

void PieceTrie::insert(std::string_view piece, int32_t id) {
  if (piece.empty()) return;
  root_.resize(256);
  uint32_t node = 0;
  for (char c : piece) {
    const auto byte = static_cast<uint8_t>(c);
    uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({-1, 0, nodes_[node].first_child, byte});
      nodes_[node].first_child = next;
      if (node == 0) root_[byte] = next;
    }
    node = next;
  }
  if (nodes_[node].id < 0) nodes_[node].id = id;
}

uint32_t PieceTrie::child(uint32_t node, uint8_t byte) const {
  if (node == 0) return root_.empty() ? 0 : root_[byte];
  for (uint32_t at = nodes_[node].first_child; at != 0; at = nodes_[at].next_sibling)
    if (nodes_[at].byte == byte) return at;
  return 0;
}

PieceTrie::Match PieceTrie::longest(std::string_view text) const {
  Match match;
  for_each_prefix(text, [&](int32_t id, size_t size) { match = {id, size}; });
  return match;
}

}  // namespace weft
