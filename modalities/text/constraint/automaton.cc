#include "modalities/text/constraint/automaton.h"

#include <algorithm>
#include <utility>

namespace weft::constraint {
namespace {

// Beyond these the grammar is too ambiguous to follow.
constexpr size_t kMaxConfigurations = 20'000;  // of one state, and visited on the way to it
constexpr size_t kMaxBytes = size_t{512} << 20;
constexpr size_t kMaxRemembered = 100'000;  // of visited_ before it is emptied

uint64_t pair_key(uint32_t a, uint32_t b) { return uint64_t{a} << 32 | b; }

uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15ull;
  return hash ^ hash >> 29;
}

}  // namespace

Automaton::Automaton(std::shared_ptr<const Grammar::Program> program) : program_(std::move(program)) {
  stacks_.push_back({0, kBottom});
  intern({});  // kDead
  std::fill(transitions_.begin(), transitions_.end(), kDead);
}

StateId Automaton::start() {
  begin_closure();
  close(program_->start, kBottom);
  return finish_closure();
}

StateId Automaton::compute(StateId state, size_t cell, uint8_t byte_class) {
  begin_closure();
  // By index: close() adds no states, but a reference would read as if it could not.
  for (size_t i = 0; i < states_[state].configurations.size(); ++i) {
    const Configuration at = states_[state].configurations[i];
    const Instruction& op = program_->instructions[at.instruction];
    if (program_->sets[op.operand][byte_class]) close(op.next, at.stack);
  }
  const StateId next = finish_closure();
  if (!gave_up_) transitions_[cell] = next;
  return next;
}

void Automaton::begin_closure() {
  closure_ = {};
  ++closure_number_;
  if (visited_.size() > kMaxRemembered) visited_.clear();
}

// Adds what can take the next byte when `instruction` runs on `stack`.
void Automaton::close(uint32_t instruction, uint32_t stack) {
  size_t steps = 0;
  work_.push_back({instruction, stack});
  while (!work_.empty() && !gave_up_) {
    const Configuration at = work_.back();
    work_.pop_back();
    const Instruction& op = program_->instructions[at.instruction];
    if (!op.productive) continue;
    uint32_t& last_visit = visited_[pair_key(at.instruction, at.stack)];
    if (last_visit == closure_number_) continue;
    last_visit = closure_number_;
    gave_up_ = ++steps > 4 * kMaxConfigurations || closure_.configurations.size() > kMaxConfigurations;
    switch (op.kind) {
      case Instruction::Kind::kByte: closure_.configurations.push_back(at); break;
      case Instruction::Kind::kReturn:
        if (at.stack == kBottom) {
          closure_.accepting = true;
        } else {
          work_.push_back({stacks_[at.stack].return_to, stacks_[at.stack].below});
        }
        break;
      case Instruction::Kind::kSplit:
        for (uint32_t b = op.operand; b < op.next; ++b) work_.push_back({program_->branches[b], at.stack});
        break;
      case Instruction::Kind::kCall:
        if (!program_->instructions[op.next].productive) break;
        // A call at a rule's end leaves nothing to come back for; so right recursion needs no stack.
        work_.push_back({op.operand, op.next == 0 ? at.stack : push(op.next, at.stack)});
        break;
    }
  }
  work_.clear();
}

StateId Automaton::finish_closure() {
  if (gave_up_) return kDead;
  std::sort(closure_.configurations.begin(), closure_.configurations.end());
  return intern(std::move(closure_));
}

StateId Automaton::intern(State state) {
  uint64_t hash = state.accepting ? 1 : 0;
  for (const Configuration& c : state.configurations) hash = mix(hash, pair_key(c.instruction, c.stack));
  const auto [begin, end] = state_ids_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const State& known = states_[it->second];
    if (known.accepting == state.accepting && known.configurations == state.configurations) return it->second;
  }
  const auto id = static_cast<StateId>(states_.size());
  size_bytes_ += sizeof(State) + 48 + state.configurations.size() * sizeof(Configuration) +
                 program_->classes * sizeof(StateId);
  if (size_bytes_ > kMaxBytes) {
    gave_up_ = true;
    return kDead;
  }
  state.configurations.shrink_to_fit();
  states_.push_back(std::move(state));
  transitions_.resize(transitions_.size() + program_->classes, kUnknown);
  state_ids_.emplace(hash, id);
  return id;
}

uint32_t Automaton::push(uint32_t return_to, uint32_t below) {
  const auto [found, added] =
      stack_ids_.try_emplace(pair_key(return_to, below), static_cast<uint32_t>(stacks_.size()));
  if (added) {
    stacks_.push_back({return_to, below});
    size_bytes_ += sizeof(StackNode) + 48;
    gave_up_ = gave_up_ || size_bytes_ > kMaxBytes;
  }
  return found->second;
}

StateId Automaton::import(const Automaton& other, StateId state) {
  std::unordered_map<uint32_t, uint32_t> renumbered = {{kBottom, kBottom}};
  State copy{{}, other.states_[state].accepting};
  for (const Configuration& c : other.states_[state].configurations) {
    std::vector<uint32_t> above;  // of the part that has a new number already
    uint32_t at = c.stack;
    for (; renumbered.find(at) == renumbered.end(); at = other.stacks_[at].below) above.push_back(at);
    for (auto node = above.rbegin(); node != above.rend(); ++node) {
      const uint32_t below = renumbered[other.stacks_[*node].below];
      renumbered[*node] = push(other.stacks_[*node].return_to, below);
    }
    copy.configurations.push_back({c.instruction, renumbered[c.stack]});
  }
  std::sort(copy.configurations.begin(), copy.configurations.end());
  return state == kDead ? kDead : intern(std::move(copy));
}

}  // namespace weft::constraint
