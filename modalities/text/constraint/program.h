/// A compiled grammar: what the automaton steps through.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_PROGRAM_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_PROGRAM_H

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "modalities/text/constraint/constraint.h"

namespace weft::constraint {

using ByteSet = std::bitset<256>;
struct MaskCache;

struct Instruction {
  enum class Kind : uint8_t {
    kReturn,  ///< ends a rule; only instruction 0
    kByte,    ///< takes a byte of set `operand`, goes on at `next`
    kSplit,   ///< goes on at each of the branches [operand, next)
    kCall,    ///< runs the rule that begins at `operand`, goes on at `next`
  };
  Kind kind;
  bool productive = false;  ///< whether a text leads from here to the rule's end
  uint32_t operand = 0, next = 0;
};

}  // namespace weft::constraint

namespace weft {

/// Immutable but for the cache.
struct Grammar::Program {
  std::vector<constraint::Instruction> instructions;
  std::vector<uint32_t> branches;
  uint32_t start = 0;
  /// Bytes that no set tells apart form a class; sets are given by classes.
  std::array<uint8_t, 256> class_of_byte{};
  uint32_t classes = 1;
  std::vector<constraint::ByteSet> sets;  ///< sets[s][c]: whether class c is within

  /// The automaton that all matchers of this grammar over one vocabulary share while there is one.
  mutable std::mutex cache_mutex;
  mutable std::weak_ptr<constraint::MaskCache> cache;
};

}  // namespace weft
#endif
