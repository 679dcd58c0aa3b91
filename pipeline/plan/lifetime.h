/// Which blocks of memory can share bytes, and where each one lies.
///
/// Nodes that no chain of links connects may run at the same time or in any order, so lifetimes follow reachability in
/// the DAG, never the order of a list: a block may take the place of another one only if the other one's last user
/// always finishes before the block's first user starts.
/// Thread safety: const access from any thread.
#ifndef WEFT_PIPELINE_PLAN_LIFETIME_H
#define WEFT_PIPELINE_PLAN_LIFETIME_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weft {

/// A block is needed from the start of `first` until `first` and all of `last` have finished; forever if it `stays`.
struct MemoryBlock {
  uint64_t size_bytes = 0;
  uint32_t first = 0;
  std::vector<uint32_t> last;
  bool stays = false;
};

/// Answers "does a always finish before b starts?" for the nodes b that begin a block. Memory: one bit for each pair of a
/// node and such a b.
class Precedence {
 public:
  /// depends_on: for each node its direct predecessors, all of them smaller numbers. blocks: whose `first` are asked for.
  Precedence(std::span<const std::vector<uint32_t>> depends_on, std::span<const MemoryBlock> blocks);

  /// True if `block` is always free before `other` begins. Indices into the constructor's blocks.
  bool free_before(size_t block, size_t other) const;

 private:
  size_t words_ = 0;
  std::vector<uint32_t> column_;  // of each block's first node
  std::vector<uint64_t> freed_;   // [blocks, words_]: bit c: the block is free before column c starts
};

struct Packing {
  std::vector<uint64_t> offsets;  // by block, multiples of kBlockAlignment
  uint64_t total_bytes = 0;       // size of the arena
};
inline constexpr uint64_t kBlockAlignment = 64;

/// Greedy by size: the largest block first, each into the smallest gap between the blocks that live at the same time, else
/// behind them. Deterministic. Time quadratic in the number of blocks. Blocks of size 0 lie at 0.
/// Precondition: the sizes, rounded up, sum to less than 2^64.
Packing pack_blocks(std::span<const MemoryBlock> blocks, const Precedence& precedence);

}  // namespace weft
#endif
