/// Context-free grammars as expressions, and their compilation to the automaton's program.
///
/// Expressions are numbers within their builder and may be used any number of times: {m,n} writes its operand out
/// that often. The three front ends (GBNF, JSON schema, regular expression) meet here.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_GRAMMAR_BUILDER_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_GRAMMAR_BUILDER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "modalities/text/constraint/code_point_set.h"
#include "modalities/text/constraint/constraint.h"

namespace weft::constraint {

using ExpressionId = uint32_t;
using RuleId = uint32_t;
inline constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

class GrammarBuilder {
 public:
  static constexpr ExpressionId kEmpty = 0;  ///< matches the empty text

  ExpressionId literal(std::string_view bytes);
  /// One character of the set, in UTF-8. An empty set matches nothing at all.
  ExpressionId character(const CodePointSet& set);
  ExpressionId sequence(std::vector<ExpressionId> parts);
  ExpressionId alternatives(std::vector<ExpressionId> choices);
  ExpressionId optional(ExpressionId operand) { return alternatives({operand, kEmpty}); }
  /// From `min` to `max` (or kUnbounded) times.
  ExpressionId repeat(ExpressionId operand, uint32_t min, uint32_t max);
  ExpressionId reference(RuleId rule);

  /// A rule to refer to, before it is defined. `name` is for errors.
  RuleId add_rule(std::string name);
  void define(RuleId rule, ExpressionId expression) { rules_[rule].expression = expression; }
  size_t rule_count() const { return rules_.size(); }

  /// Errors: kUnsupported (a rule begins with itself), kInvalidArgument (no text is a sentence), kOutOfRange (limits).
  /// Precondition: every rule is defined.
  Result<Grammar> compile(RuleId root, const GrammarLimits& limits) const;

 private:
  friend class ProgramCompiler;
  enum class Kind : uint8_t { kEmpty, kLiteral, kCharacter, kSequence, kAlternatives, kRepeat, kReference };
  struct Expression {
    Kind kind = Kind::kEmpty;
    std::string bytes{};                   // kLiteral
    uint32_t set = 0;                      // kCharacter: into sets_
    std::vector<ExpressionId> operands{};  // kSequence, kAlternatives, kRepeat (one)
    uint32_t min = 0, max = 0;             // kRepeat
    RuleId rule = 0;                       // kReference
  };
  struct Rule {
    std::string name;
    ExpressionId expression = kEmpty;
  };
  ExpressionId add(Expression expression);

  std::vector<Expression> expressions_{Expression{}};
  std::vector<Rule> rules_;
  std::vector<CodePointSet> sets_;
  std::map<CodePointSet, uint32_t> set_ids_;
};

}  // namespace weft::constraint
#endif
