#include "modalities/text/constraint/grammar_builder.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "modalities/text/constraint/program.h"

namespace weft::constraint {

ExpressionId GrammarBuilder::add(Expression expression) {
  expressions_.push_back(std::move(expression));
  return static_cast<ExpressionId>(expressions_.size() - 1);
}

ExpressionId GrammarBuilder::literal(std::string_view bytes) {
  if (bytes.empty()) return kEmpty;
  return add({.kind = Kind::kLiteral, .bytes = std::string(bytes)});
}

ExpressionId GrammarBuilder::character(const CodePointSet& set) {
  const auto [found, added] = set_ids_.try_emplace(set, static_cast<uint32_t>(sets_.size()));
  if (added) sets_.push_back(set);
  return add({.kind = Kind::kCharacter, .set = found->second});
}

// An expression that matches only the empty text is always kEmpty, so that every other one costs states and limits on
// states bound the work, too.
ExpressionId GrammarBuilder::sequence(std::vector<ExpressionId> parts) {
  std::erase(parts, kEmpty);
  if (parts.empty()) return kEmpty;
  if (parts.size() == 1) return parts[0];
  return add({.kind = Kind::kSequence, .operands = std::move(parts)});
}

ExpressionId GrammarBuilder::alternatives(std::vector<ExpressionId> choices) {
  if (choices.empty()) return character({});  // nothing matches
  if (std::all_of(choices.begin(), choices.end(), [&](ExpressionId id) { return id == choices[0]; }))
    return choices[0];
  return add({.kind = Kind::kAlternatives, .operands = std::move(choices)});
}

ExpressionId GrammarBuilder::repeat(ExpressionId operand, uint32_t min, uint32_t max) {
  if (operand == kEmpty || max == 0) return kEmpty;
  if (min == 1 && max == 1) return operand;
  return add({.kind = Kind::kRepeat, .operands = {operand}, .min = min, .max = max});
}

ExpressionId GrammarBuilder::reference(RuleId rule) { return add({.kind = Kind::kReference, .rule = rule}); }

RuleId GrammarBuilder::add_rule(std::string name) {
  rules_.push_back({std::move(name), kEmpty});
  return static_cast<RuleId>(rules_.size() - 1);
}

// Emits instructions back to front: emit(expression, next) returns where to start so that `next` follows.
class ProgramCompiler {
 public:
  ProgramCompiler(const GrammarBuilder& builder, const GrammarLimits& limits)
      : builder_(builder), limits_(limits) {}

  Result<Grammar> run(RuleId root) {
    program_->instructions.push_back({.kind = Instruction::Kind::kReturn});
    rule_calls_.resize(builder_.rules_.size());
    rule_starts_.resize(builder_.rules_.size(), kNone);
    set_starts_.resize(builder_.sets_.size(), kNone);
    enqueue(root);
    while (!queue_.empty() && !full_) {
      const RuleId rule = queue_.back();
      queue_.pop_back();
      rule_starts_[rule] = emit(builder_.rules_[rule].expression, kReturn);
    }
    if (full_) {
      return Status(StatusCode::kOutOfRange, "a grammar is too large")
          .expected("at most " + std::to_string(limits_.max_states) + " states")
          .hint("lower the bounds of repetitions, minLength, maxLength, minItems or maxItems");
    }
    for (RuleId rule = 0; rule < rule_calls_.size(); ++rule) {
      for (const uint32_t call : rule_calls_[rule]) program_->instructions[call].operand = rule_starts_[rule];
    }
    program_->start = rule_starts_[root];
    mark_productive();
    if (!program_->instructions[program_->start].productive) {
      return Status(StatusCode::kInvalidArgument, "a grammar has no sentence: no text can satisfy it");
    }
    if (Status status = refuse_left_recursion(); !status.ok()) return status;
    number_byte_classes();
    return Grammar(std::move(program_));
  }

 private:
  static constexpr uint32_t kReturn = 0, kNone = UINT32_MAX;

  uint32_t add(Instruction instruction) {
    if (program_->instructions.size() + program_->branches.size() >= limits_.max_states) full_ = true;
    if (full_) return kReturn;
    program_->instructions.push_back(instruction);
    return static_cast<uint32_t>(program_->instructions.size() - 1);
  }

  uint32_t add_byte(const ByteSet& set, uint32_t next) {
    const auto [found, added] = set_ids_.try_emplace(set, static_cast<uint32_t>(program_->sets.size()));
    if (added) program_->sets.push_back(set);
    return add({.kind = Instruction::Kind::kByte, .operand = found->second, .next = next});
  }

  uint32_t add_split(const std::vector<uint32_t>& targets) {
    const auto first = static_cast<uint32_t>(program_->branches.size());
    if (!full_) program_->branches.insert(program_->branches.end(), targets.begin(), targets.end());
    return add({.kind = Instruction::Kind::kSplit,
                .operand = first,
                .next = static_cast<uint32_t>(program_->branches.size())});
  }

  void enqueue(RuleId rule) {
    if (rule_starts_[rule] != kNone) return;
    rule_starts_[rule] = kReturn;  // until it is compiled
    queue_.push_back(rule);
  }

  uint32_t emit(ExpressionId id, uint32_t next) {
    using Kind = GrammarBuilder::Kind;
    if (full_) return kReturn;
    const GrammarBuilder::Expression& e = builder_.expressions_[id];
    switch (e.kind) {
      case Kind::kEmpty: return next;
      case Kind::kLiteral:
        for (auto byte = e.bytes.rbegin(); byte != e.bytes.rend() && !full_; ++byte) {
          next = add_byte(ByteSet().set(static_cast<unsigned char>(*byte)), next);
        }
        return next;
      case Kind::kCharacter: return emit_character(e.set, next);
      case Kind::kSequence:
        for (auto part = e.operands.rbegin(); part != e.operands.rend(); ++part) next = emit(*part, next);
        return next;
      case Kind::kAlternatives: {
        std::vector<uint32_t> targets;
        for (const ExpressionId choice : e.operands) targets.push_back(emit(choice, next));
        return add_split(targets);
      }
      case Kind::kRepeat: return emit_repeat(e, next);
      case Kind::kReference: {
        enqueue(e.rule);
        const uint32_t call = add({.kind = Instruction::Kind::kCall, .next = next});
        rule_calls_[e.rule].push_back(call);
        return call;
      }
    }
    return kReturn;
  }

  uint32_t emit_repeat(const GrammarBuilder::Expression& e, uint32_t next) {
    uint32_t entry = next;
    if (e.max == kUnbounded) {
      entry = add_split({kNone, next});
      const uint32_t body = emit(e.operands[0], entry);
      if (!full_) program_->branches[program_->instructions[entry].operand] = body;
    } else {
      for (uint32_t i = e.min; i < e.max && !full_; ++i)
        entry = add_split({emit(e.operands[0], entry), next});
    }
    for (uint32_t i = 0; i < e.min && !full_; ++i) entry = emit(e.operands[0], entry);
    return entry;
  }

  // ASCII sets are one instruction; others a call of instructions that all uses of the set share.
  uint32_t emit_character(uint32_t set, uint32_t next) {
    const std::vector<CodePointRange>& ranges = builder_.sets_[set].ranges();
    if (ranges.empty() || ranges.back().last < 0x80) {
      ByteSet bytes;
      for (const CodePointRange& range : ranges) {
        for (uint32_t c = range.first; c <= range.last; ++c) bytes.set(c);
      }
      return add_byte(bytes, next);
    }
    if (set_starts_[set] == kNone) {
      std::map<uint32_t, ByteSet> leads;  // by what follows
      for (const CodePointRange& range : ranges) add_utf8(range, &leads);
      std::vector<uint32_t> targets;
      for (const auto& [after, bytes] : leads) targets.push_back(add_byte(bytes, after));
      set_starts_[set] = targets.size() == 1 ? targets[0] : add_split(targets);
    }
    return add({.kind = Instruction::Kind::kCall, .operand = set_starts_[set], .next = next});
  }

  // The UTF-8 sequences of a range: the range is cut where the length changes, then wherever a byte before the last
  // would not be followed by all continuation bytes.
  void add_utf8(CodePointRange range, std::map<uint32_t, ByteSet>* leads) {
    for (const uint32_t last_of_length : {0x7Fu, 0x7FFu, 0xD7FFu, 0xFFFFu}) {
      if (range.first > last_of_length || range.last <= last_of_length) continue;
      add_utf8({range.first, last_of_length}, leads);
      range.first = last_of_length == 0xD7FF ? std::max(range.first, 0xE000u) : last_of_length + 1;
      if (range.first > range.last) return;
      return add_utf8(range, leads);
    }
    const int continuations = range.last < 0x80 ? 0 : range.last < 0x800 ? 1 : range.last < 0x10000 ? 2 : 3;
    for (int i = 1; i <= continuations; ++i) {
      const uint32_t low_bits = (1u << (6 * i)) - 1;
      if (range.first >> (6 * i) == range.last >> (6 * i)) break;
      if ((range.first & low_bits) != 0) {
        add_utf8({range.first, range.first | low_bits}, leads);
        return add_utf8({(range.first | low_bits) + 1, range.last}, leads);
      }
      if ((range.last & low_bits) != low_bits) {
        add_utf8({range.first, (range.last & ~low_bits) - 1}, leads);
        return add_utf8({range.last & ~low_bits, range.last}, leads);
      }
    }
    uint32_t next = kReturn;
    for (int i = 0; i < continuations; ++i) {
      next =
          continuation(0x80 | (range.first >> (6 * i) & 0x3F), 0x80 | (range.last >> (6 * i) & 0x3F), next);
    }
    static constexpr uint32_t kLeadBits[] = {0x00, 0xC0, 0xE0, 0xF0};
    ByteSet& lead = (*leads)[next];
    for (uint32_t b = range.first >> (6 * continuations); b <= range.last >> (6 * continuations); ++b) {
      lead.set(kLeadBits[continuations] | b);
    }
  }

  uint32_t continuation(uint32_t first, uint32_t last, uint32_t next) {
    const auto [found, added] = continuations_.try_emplace((uint64_t{next} << 16) | first << 8 | last, kNone);
    if (added) {
      ByteSet bytes;
      for (uint32_t b = first; b <= last; ++b) bytes.set(b);
      found->second = add_byte(bytes, next);
    }
    return found->second;
  }

  // Which instructions can lead to their rule's end, taking only the byte instructions that are `passable`: a work list
  // over reversed edges, linear in the program.
  template <typename Passable>
  std::vector<bool> reaching_return(Passable passable) const {
    const std::vector<Instruction>& code = program_->instructions;
    std::vector<std::vector<uint32_t>> users(code.size());
    for (uint32_t i = 0; i < code.size(); ++i) {
      const Instruction& op = code[i];
      if (op.kind == Instruction::Kind::kByte && passable(op)) users[op.next].push_back(i);
      if (op.kind == Instruction::Kind::kCall) {
        users[op.operand].push_back(i);
        users[op.next].push_back(i);
      }
      if (op.kind == Instruction::Kind::kSplit) {
        for (uint32_t b = op.operand; b < op.next; ++b) users[program_->branches[b]].push_back(i);
      }
    }
    std::vector<bool> reaches(code.size(), false);
    std::vector<uint32_t> work = {kReturn};
    reaches[kReturn] = true;
    while (!work.empty()) {
      const uint32_t done = work.back();
      work.pop_back();
      for (const uint32_t user : users[done]) {
        const Instruction& op = code[user];
        if (reaches[user]) continue;
        if (op.kind == Instruction::Kind::kCall && !(reaches[op.operand] && reaches[op.next])) continue;
        reaches[user] = true;
        work.push_back(user);
      }
    }
    return reaches;
  }

  void mark_productive() {
    const std::vector<bool> productive =
        reaching_return([&](const Instruction& op) { return program_->sets[op.operand].any(); });
    for (size_t i = 0; i < productive.size(); ++i) program_->instructions[i].productive = productive[i];
  }

  // Where the automaton goes from `instruction` without taking a byte: edge 0, 1, ... until there are none.
  struct Edge {
    enum class Kind : uint8_t { kNone, kSkip, kStep, kCall } kind = Kind::kNone;
    uint32_t target = 0;
  };
  Edge edge(uint32_t instruction, uint32_t number, const std::vector<bool>& nullable) const {
    const Instruction& op = program_->instructions[instruction];
    Edge out;
    if (op.kind == Instruction::Kind::kSplit && op.operand + number < op.next) {
      out = {Edge::Kind::kStep, program_->branches[op.operand + number]};
    } else if (op.kind == Instruction::Kind::kCall && number == 0) {
      out = {Edge::Kind::kCall, op.operand};
    } else if (op.kind == Instruction::Kind::kCall && number == 1) {
      out = {nullable[op.operand] ? Edge::Kind::kStep : Edge::Kind::kSkip, op.next};
    }
    if (out.kind != Edge::Kind::kNone && !program_->instructions[out.target].productive)
      out.kind = Edge::Kind::kSkip;
    return out;
  }

  // A rule that can call itself before it has taken a byte would call itself for ever. That is: a call within a
  // strongly connected component (Tarjan 1972) of those edges. A cycle of steps alone is a loop over an empty body,
  // which the automaton's own bookkeeping ends.
  Status refuse_left_recursion() const {
    const std::vector<bool> nullable = reaching_return([](const Instruction&) { return false; });
    const auto count = static_cast<uint32_t>(program_->instructions.size());
    std::vector<uint32_t> order(count, 0), lowest(count, 0), component(count, kNone), open;
    struct Frame {
      uint32_t instruction, edge;
    };
    std::vector<Frame> path;
    uint32_t visited = 0, components = 0;
    const auto enter = [&](uint32_t instruction) {
      order[instruction] = lowest[instruction] = ++visited;
      open.push_back(instruction);
      path.push_back({instruction, 0});
    };
    for (uint32_t root = 0; root < count; ++root) {
      if (order[root] == 0) enter(root);
      while (!path.empty()) {
        const uint32_t at = path.back().instruction;
        const Edge out = edge(at, path.back().edge++, nullable);
        if (out.kind == Edge::Kind::kSkip) continue;
        if (out.kind != Edge::Kind::kNone) {
          if (order[out.target] == 0) {
            enter(out.target);
          } else if (component[out.target] == kNone) {
            lowest[at] = std::min(lowest[at], order[out.target]);
          }
          continue;
        }
        path.pop_back();
        if (!path.empty())
          lowest[path.back().instruction] = std::min(lowest[path.back().instruction], lowest[at]);
        if (lowest[at] != order[at]) continue;
        while (component[at] == kNone) {
          component[open.back()] = components;
          open.pop_back();
        }
        ++components;
      }
    }
    for (uint32_t i = 0; i < count; ++i) {
      const Edge out = edge(i, 0, nullable);
      if (out.kind == Edge::Kind::kCall && component[i] == component[out.target])
        return left_recursion(out.target);
    }
    return {};
  }

  Status left_recursion(uint32_t start) const {
    std::string name = "a rule";
    for (RuleId rule = 0; rule < rule_starts_.size(); ++rule) {
      if (rule_starts_[rule] == start && !rule_calls_[rule].empty()) name = builder_.rules_[rule].name;
    }
    return Status(StatusCode::kUnsupported, "'" + name + "' begins with itself (left recursion)")
        .hint("write the repetition after what it repeats: list ::= item (\",\" item)*");
  }

  void number_byte_classes() {
    Grammar::Program& program = *program_;
    uint32_t classes = 1;
    std::array<uint32_t, 256> class_of{};
    for (const ByteSet& set : program.sets) {
      std::unordered_map<uint64_t, uint32_t> refined;
      for (size_t b = 0; b < 256; ++b) {
        const uint64_t key = uint64_t{class_of[b]} << 1 | (set[b] ? 1u : 0u);
        class_of[b] = refined.try_emplace(key, static_cast<uint32_t>(refined.size())).first->second;
      }
      classes = static_cast<uint32_t>(refined.size());
    }
    program.classes = classes;
    for (ByteSet& set : program.sets) {
      ByteSet by_class;
      for (size_t b = 0; b < 256; ++b) {
        if (set[b]) by_class.set(class_of[b]);
      }
      set = by_class;
    }
    for (size_t b = 0; b < 256; ++b) program.class_of_byte[b] = static_cast<uint8_t>(class_of[b]);
  }

  const GrammarBuilder& builder_;
  const GrammarLimits& limits_;
  std::shared_ptr<Grammar::Program> program_ = std::make_shared<Grammar::Program>();
  std::unordered_map<ByteSet, uint32_t> set_ids_;
  std::unordered_map<uint64_t, uint32_t> continuations_;
  std::vector<RuleId> queue_;
  std::vector<uint32_t> rule_starts_;              // kNone: not referred to
  std::vector<std::vector<uint32_t>> rule_calls_;  // instructions that call the rule
  std::vector<uint32_t> set_starts_;               // of shared character sets
  bool full_ = false;
};

Result<Grammar> GrammarBuilder::compile(RuleId root, const GrammarLimits& limits) const {
  return ProgramCompiler(*this, limits).run(root);
}

}  // namespace weft::constraint
