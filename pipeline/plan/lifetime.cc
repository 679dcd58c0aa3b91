#include "pipeline/plan/lifetime.h"

#include <algorithm>
#include <numeric>

namespace weft {

Precedence::Precedence(std::span<const std::vector<uint32_t>> depends_on, std::span<const MemoryBlock> blocks)
    : column_(blocks.size()) {
  constexpr uint32_t kNone = UINT32_MAX;
  std::vector<uint32_t> column_of(depends_on.size(), kNone);
  uint32_t n_columns = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    uint32_t& column = column_of[blocks[i].first];
    if (column == kNone) column = n_columns++;
    column_[i] = column;
  }
  words_ = (n_columns + 63) / 64;

  // after[node]: the columns that start only once the node has finished. Users have larger numbers than producers, so one
  // pass from the last node to the first sees every user complete.
  std::vector<uint64_t> after(depends_on.size() * words_);
  for (size_t user = depends_on.size(); user-- > 0;) {
    const uint64_t* of_user = after.data() + user * words_;
    const uint32_t column = column_of[user];
    for (uint32_t producer : depends_on[user]) {
      uint64_t* row = after.data() + producer * words_;
      for (size_t w = 0; w < words_; ++w) row[w] |= of_user[w];
      if (column != kNone) row[column / 64] |= uint64_t{1} << (column % 64);
    }
  }
  freed_.resize(blocks.size() * words_);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].stays) continue;
    uint64_t* row = freed_.data() + i * words_;
    std::copy_n(after.data() + blocks[i].first * words_, words_, row);
    for (uint32_t node : blocks[i].last) {
      for (size_t w = 0; w < words_; ++w) row[w] &= after[node * words_ + w];
    }
  }
}

bool Precedence::free_before(size_t block, size_t other) const {
  const uint32_t column = column_[other];
  return (freed_[block * words_ + column / 64] >> (column % 64) & 1) != 0;
}

Packing pack_blocks(std::span<const MemoryBlock> blocks, const Precedence& precedence) {
  const auto rounded = [&](size_t i) {
    return (blocks[i].size_bytes + kBlockAlignment - 1) & ~(kBlockAlignment - 1);
  };
  std::vector<size_t> by_size(blocks.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](size_t a, size_t b) { return blocks[a].size_bytes > blocks[b].size_bytes; });
  Packing packing;
  packing.offsets.assign(blocks.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (size_t block : by_size) {
    const uint64_t size = rounded(block);
    if (size == 0) break;
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (size_t other : placed) {
      if (precedence.free_before(block, other) || precedence.free_before(other, block)) continue;
      const uint64_t offset = packing.offsets[other];
      if (offset > end && offset - end >= size && offset - end < best_gap) {
        best_gap = offset - end;
        best = end;
      }
      end = std::max(end, offset + rounded(other));
    }
    const uint64_t offset = best != UINT64_MAX ? best : end;
    packing.offsets[block] = offset;
    packing.total_bytes = std::max(packing.total_bytes, offset + size);
    const auto place = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [&](uint64_t value, size_t i) { return value < packing.offsets[i]; });
    placed.insert(place, block);
  }
  return packing;
}

}  // namespace weft
