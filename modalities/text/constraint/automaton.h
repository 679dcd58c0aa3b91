/// The pushdown automaton of a grammar, made deterministic while it runs.
///
/// A configuration is a byte instruction and a stack of return addresses; stacks share their tails and are numbered, so
/// that equal stacks are equal numbers. A state is the set of configurations that a text can lead to; states are
/// numbered too, and each remembers where every class of bytes leads. Walking a vocabulary is then mostly table
/// look-ups: within a string of JSON there are a handful of states.
/// Thread safety: none.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_AUTOMATON_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_AUTOMATON_H

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "modalities/text/constraint/program.h"

namespace weft::constraint {

using StateId = uint32_t;

class Automaton {
 public:
  static constexpr StateId kDead = 0;  ///< nothing can follow, and what came is no sentence

  explicit Automaton(std::shared_ptr<const Grammar::Program> program);
  StateId start();
  StateId advance(StateId state, uint8_t byte) {
    const size_t cell = size_t{state} * program_->classes + program_->class_of_byte[byte];
    return transitions_[cell] != kUnknown ? transitions_[cell]
                                          : compute(state, cell, program_->class_of_byte[byte]);
  }
  bool accepts(StateId state) const { return states_[state].accepting; }
  /// Whether no byte can follow.
  bool is_final(StateId state) const { return states_[state].configurations.empty(); }
  /// Whether a limit was reached, so that kDead may mean "given up". Stays so.
  bool gave_up() const { return gave_up_; }
  size_t size_bytes() const { return size_bytes_; }
  /// The same state of another automaton over the same program.
  StateId import(const Automaton& other, StateId state);

 private:
  static constexpr StateId kUnknown = UINT32_MAX;
  static constexpr uint32_t kBottom = 0;
  struct Configuration {
    uint32_t instruction, stack;
    friend auto operator<=>(const Configuration&, const Configuration&) = default;
  };
  struct StackNode {
    uint32_t return_to, below;
  };
  struct State {
    std::vector<Configuration> configurations;  // sorted
    bool accepting = false;
  };

  StateId compute(StateId state, size_t cell, uint8_t byte_class);
  void begin_closure();
  void close(uint32_t instruction, uint32_t stack);
  StateId finish_closure();
  StateId intern(State state);
  uint32_t push(uint32_t return_to, uint32_t below);

  std::shared_ptr<const Grammar::Program> program_;
  std::vector<State> states_;
  std::vector<StateId> transitions_;  // [state][class]
  std::unordered_multimap<uint64_t, StateId> state_ids_;
  std::vector<StackNode> stacks_;
  std::unordered_map<uint64_t, uint32_t> stack_ids_;
  size_t size_bytes_ = 0;
  bool gave_up_ = false;

  // Of the closure under way.
  State closure_;
  std::vector<Configuration> work_;
  std::unordered_map<uint64_t, uint32_t> visited_;  // to the number of the closure that visited it last
  uint32_t closure_number_ = 0;
};

}  // namespace weft::constraint
#endif
