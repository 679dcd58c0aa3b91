// llama.cpp's grammar notation (grammars/README.md there).
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "modalities/text/constraint/grammar_builder.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace constraint {
namespace {

constexpr uint32_t kMaxBound = 100'000;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Recursive descent; the first error is kept and moves the position to the end, where every loop stops.
class GbnfParser {
 public:
  GbnfParser(std::string_view source, const GrammarLimits& limits) : source_(source), limits_(limits) {}

  Result<Grammar> run() {
    skip_space(Lines::kAny);
    while (!at_end()) rule();
    if (status_.ok()) check_rules();
    if (!status_.ok()) return std::move(status_);
    return builder_.compile(rules_.find("root")->second.id, limits_);
  }

 private:
  struct Rule {
    RuleId id;
    size_t first_use;
    bool defined = false;
  };
  // Whether a line break is white space here, or ends the rule.
  enum class Lines : uint8_t { kAny, kThis };

  bool at_end() const { return position_ >= source_.size(); }
  char now() const { return at_end() ? '\0' : source_[position_]; }
  bool at(std::string_view what) const { return source_.substr(position_, what.size()) == what; }
  bool skip(std::string_view what) {
    if (!at(what)) return false;
    position_ += what.size();
    return true;
  }

  std::string place(size_t offset) const {
    size_t line = 1, line_begin = 0;
    for (size_t i = 0; i < offset; ++i) {
      if (source_[i] == '\n') ++line, line_begin = i + 1;
    }
    size_t column = 1;
    for (size_t i = line_begin; i < offset; ++i)
      column += (static_cast<unsigned char>(source_[i]) & 0xC0) != 0x80;
    return "grammar:" + std::to_string(line) + ":" + std::to_string(column);
  }

  void fail_at(size_t offset, StatusCode code, std::string message, std::string expected = {},
               std::string got = {}) {
    if (status_.ok()) {
      status_ = Status(code, std::move(message))
                    .at(place(offset))
                    .expected(std::move(expected))
                    .got(std::move(got));
    }
    position_ = source_.size();
  }
  void expected(std::string what) {
    fail_at(position_, StatusCode::kCorruptData, "a grammar's syntax is wrong", std::move(what),
            at_end()        ? "the end of the grammar"
            : now() == '\n' ? "the end of the line"
                            : "'" + std::string(1, now()) + "'");
  }

  void skip_space(Lines lines) {
    while (!at_end()) {
      if (now() == '#') {
        while (!at_end() && now() != '\n') ++position_;
      } else if (now() == ' ' || now() == '\t' || now() == '\r' || (now() == '\n' && lines == Lines::kAny)) {
        ++position_;
      } else {
        break;
      }
    }
  }

  std::string name() {
    const size_t begin = position_;
    while (is_name_character(now())) ++position_;
    if (begin == position_) expected("a rule's name");
    return std::string(source_.substr(begin, position_ - begin));
  }

  Rule& find_rule(const std::string& rule_name, size_t use) {
    const auto [found, added] = rules_.try_emplace(rule_name);
    if (added) found->second = {builder_.add_rule(rule_name), use};
    return found->second;
  }

  void rule() {
    const size_t begin = position_;
    const std::string rule_name = name();
    skip_space(Lines::kThis);
    if (!skip("::=")) return expected("'::='");
    skip_space(Lines::kAny);
    const ExpressionId expression = alternation(Lines::kThis);
    if (!status_.ok()) return;
    Rule& entry = find_rule(rule_name, begin);
    if (entry.defined)
      return fail_at(begin, StatusCode::kCorruptData, "rule '" + rule_name + "' is defined twice");
    entry.defined = true;
    builder_.define(entry.id, expression);
    if (!at_end() && now() != '\n') return expected("the end of the rule");
    skip_space(Lines::kAny);
  }

  ExpressionId alternation(Lines lines) {
    if (++depth_ > limits_.max_depth) {
      fail_at(position_, StatusCode::kOutOfRange, "groups nest too deeply",
              "at most " + std::to_string(limits_.max_depth));
    }
    std::vector<ExpressionId> choices = {sequence(lines)};
    for (;;) {
      const size_t end = position_;
      skip_space(Lines::kAny);  // a rule goes on at a '|' on the next line
      if (!skip("|")) {
        if (lines == Lines::kThis && status_.ok()) position_ = end;
        break;
      }
      skip_space(Lines::kAny);
      choices.push_back(sequence(lines));
    }
    --depth_;
    return builder_.alternatives(std::move(choices));
  }

  ExpressionId sequence(Lines lines) {
    std::vector<ExpressionId> parts;
    for (skip_space(lines); !at_end(); skip_space(lines)) {
      if (now() == '"') {
        parts.push_back(literal());
      } else if (now() == '[') {
        parts.push_back(builder_.character(bracket()));
      } else if (now() == '.') {
        ++position_;
        parts.push_back(builder_.character(CodePointSet::all()));
      } else if (now() == '(') {
        parts.push_back(group());
      } else if (now() == '<' || now() == '!') {
        fail_at(position_, StatusCode::kUnsupported, "tokens in a grammar are not supported", "text");
        break;
      } else if (is_name_character(now())) {
        const size_t begin = position_;
        const std::string rule_name = name();
        parts.push_back(builder_.reference(find_rule(rule_name, begin).id));
      } else {
        break;
      }
      quantifiers(&parts.back());
    }
    return builder_.sequence(std::move(parts));
  }

  ExpressionId group() {
    ++position_;
    skip_space(Lines::kAny);
    const ExpressionId inner = alternation(Lines::kAny);
    if (!skip(")")) expected("')'");
    return inner;
  }

  void quantifiers(ExpressionId* operand) {
    for (int run = 1; !at_end(); ++run) {
      if (skip("*")) {
        *operand = builder_.repeat(*operand, 0, kUnbounded);
      } else if (skip("+")) {
        *operand = builder_.repeat(*operand, 1, kUnbounded);
      } else if (skip("?")) {
        *operand = builder_.repeat(*operand, 0, 1);
      } else if (now() == '{') {
        bounds(operand);
      } else {
        break;
      }
      if (run > limits_.max_depth) {
        fail_at(position_, StatusCode::kOutOfRange, "quantifiers nest too deeply",
                "at most " + std::to_string(limits_.max_depth));
      }
    }
  }

  void bounds(ExpressionId* operand) {
    ++position_;
    const auto number = [&]() -> uint32_t {
      skip_space(Lines::kAny);
      uint32_t value = 0;
      if (now() < '0' || now() > '9') expected("a number");
      for (; now() >= '0' && now() <= '9' && value <= kMaxBound; ++position_) {
        value = value * 10 + static_cast<uint32_t>(now() - '0');
      }
      if (value > kMaxBound) {
        fail_at(position_, StatusCode::kOutOfRange, "a repetition's bound is too large",
                "at most " + std::to_string(kMaxBound));
      }
      skip_space(Lines::kAny);
      return value;
    };
    const size_t begin = position_;
    const uint32_t min = number();
    uint32_t max = min;
    if (skip(",")) {
      skip_space(Lines::kAny);
      max = now() == '}' ? kUnbounded : number();
    }
    if (!skip("}")) return expected("'}'");
    if (max < min)
      return fail_at(begin, StatusCode::kCorruptData, "a repetition's bounds are in the wrong order",
                     "{min,max}");
    *operand = builder_.repeat(*operand, min, max);
  }

  // One character of a literal or class, escapes resolved.
  std::optional<uint32_t> character() {
    const size_t begin = position_;
    if (now() != '\\') {
      const Utf8Step step = utf8_step(source_.substr(position_));
      if (step.state != Utf8::kValid) {
        fail_at(begin, StatusCode::kCorruptData, "a grammar is not UTF-8");
        return std::nullopt;
      }
      position_ += step.size;
      return step.code_point;
    }
    ++position_;
    const char c = now();
    if (!at_end()) ++position_;
    switch (c) {
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '^':
      case '-': return c;
      case 'x': return hexadecimal(2);
      case 'u': return hexadecimal(4);
      case 'U': return hexadecimal(8);
      default: break;
    }
    fail_at(begin, StatusCode::kCorruptData, "an unknown escape",
            R"(\n \r \t \\ \" \[ \] \^ \- \xHH \uHHHH \UHHHHHHHH)");
    return std::nullopt;
  }

  std::optional<uint32_t> hexadecimal(int digits) {
    const size_t begin = position_;
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i, ++position_) {
      const char c = now();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) {
        expected(std::to_string(digits) + " hexadecimal digits");
        return std::nullopt;
      }
      value = value << 4 | static_cast<uint32_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail_at(begin, StatusCode::kCorruptData, "an escape is no character",
              "a code point that is not a surrogate");
      return std::nullopt;
    }
    return value;
  }

  ExpressionId literal() {
    ++position_;
    std::string bytes;
    while (!at_end() && now() != '"') {
      if (now() == '\n') {
        expected("'\"' before the end of the line");
      } else if (const auto c = character()) {
        append_utf8(bytes, *c);
      }
    }
    if (!skip("\"")) expected("'\"'");
    return builder_.literal(bytes);
  }

  CodePointSet bracket() {
    ++position_;
    const bool negated = skip("^");
    CodePointSet set;
    while (!at_end() && now() != ']') {
      const size_t begin = position_;
      const auto first = character();
      auto last = first;
      if (now() == '-' && position_ + 1 < source_.size() && source_[position_ + 1] != ']') {
        ++position_;
        last = character();
      }
      if (!first || !last) return {};
      if (*first > *last) {
        fail_at(begin, StatusCode::kCorruptData, "a class's range is in the wrong order", "[a-z]");
        return {};
      }
      set.add(CodePointSet({{*first, *last}}).without({{0xD800, 0xDFFF}}));
    }
    if (!skip("]")) expected("']'");
    return negated ? set.complement() : set;
  }

  void check_rules() {
    for (const auto& [rule_name, entry] : rules_) {
      if (!entry.defined) {
        return fail_at(entry.first_use, StatusCode::kCorruptData, "rule '" + rule_name + "' is not defined",
                       rule_name + " ::= ...");
      }
    }
    if (rules_.find("root") == rules_.end()) {
      fail_at(0, StatusCode::kCorruptData, "a grammar has no rule 'root'", "root ::= ...");
    }
  }

  std::string_view source_;
  const GrammarLimits& limits_;
  GrammarBuilder builder_;
  std::unordered_map<std::string, Rule> rules_;
  size_t position_ = 0;
  int depth_ = 0;
  Status status_;
};

}  // namespace
}  // namespace constraint

Result<Grammar> compile_gbnf(std::string_view source, const GrammarLimits& limits) {
  if (source.size() > limits.max_source_bytes) {
    return Status(StatusCode::kOutOfRange, "a grammar is too long")
        .expected("at most " + std::to_string(limits.max_source_bytes) + " bytes")
        .got(std::to_string(source.size()));
  }
  return constraint::GbnfParser(source, limits).run();
}

}  // namespace weft
