/// The strings of a vocabulary and the tables to find them: by spelling, by pairs that merge, and as a longest match at
/// a place in a text. Built once, then read only.
#ifndef WEFT_MODALITIES_TEXT_TOKENIZER_PIECE_TABLE_H
#define WEFT_MODALITIES_TEXT_TOKENIZER_PIECE_TABLE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "modalities/text/tokenizer/merge.h"

namespace weft {

/// Strings by number, one after another in one block of memory.
class PieceTable {
 public:
  void reserve(size_t count, size_t bytes);
  void push_back(std::string_view piece);
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

/// Number of a string of a PieceTable; the lowest, where it holds equal strings. The table must outlive the index.
class PieceIndex {
 public:
  explicit PieceIndex(const PieceTable& pieces);
  PieceIndex() = default;

  /// -1 if there is none.
  int32_t find(std::string_view piece) const;

 private:
  struct Slot {
    int32_t id = -1;
    uint32_t hash =
        0;  // of what id spells, so that most other strings are told apart without looking at them
  };
  void insert(int32_t id);

  const PieceTable* pieces_ = nullptr;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most two thirds full
};

/// What two tokens merge into, and when.
class MergeTable {
 public:
  void reserve(size_t count);
  /// Keeps the first of equal pairs.
  void insert(int32_t left, int32_t right, Merge merge);
  Merge find(int32_t left, int32_t right) const;
  bool empty() const { return count_ == 0; }

 private:
  struct Slot {
    uint64_t key = 0;  // left << 32 | right, plus one, so that 0 is a free slot
    Merge merge;
  };
  static uint64_t key_of(int32_t left, int32_t right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right)) + 1;
  }
  size_t slot_of(uint64_t key) const { return (key * 0x9E3779B97F4A7C15ull) >> shift_; }

  std::vector<Slot> slots_;
  int shift_ = 64;
  size_t count_ = 0;
};

/// Strings to be found in a text: the longest that begins at a place.
class PieceTrie {
 public:
  PieceTrie() : nodes_(1) {}
  void insert(std::string_view piece, int32_t id);
  bool empty() const { return nodes_.size() == 1; }
  struct Match {
    int32_t id = -1;
    size_t size = 0;  ///< 0: none
  };
  Match longest(std::string_view text) const;
  /// Calls `found(id, size)` for every string that `text` begins with, shortest first.
  template <typename Found>
  void for_each_prefix(std::string_view text, Found found) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (nodes_[node].id >= 0) found(nodes_[node].id, i + 1);
    }
  }

 private:
  struct Node {
    int32_t id = -1;
    uint32_t first_child = 0;  // 0: none
    uint32_t next_sibling = 0;
    uint8_t byte = 0;
  };
  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;
  std::vector<uint32_t> root_;  // the root's children by byte: most places in a text end there
};

}  // namespace weft
#endif
