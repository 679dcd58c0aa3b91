#include "modalities/text/constraint/regex.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "modalities/unicode/utf8.h"

namespace weft::constraint {
namespace {

constexpr uint32_t kMaxBound = 100'000;

class RegexParser {
 public:
  RegexParser(GrammarBuilder& builder, std::vector<char32_t> pattern, RegexScope scope, int max_depth,
              const CharacterSpelling& spelling)
      : builder_(builder),
        pattern_(std::move(pattern)),
        scope_(scope),
        max_depth_(max_depth),
        spelling_(spelling) {}

  Result<ExpressionId> run() {
    const ExpressionId expression = alternation(Level::kTop);
    if (status_.ok() && !at_end()) fail("a ')' closes no group", StatusCode::kCorruptData);
    if (!status_.ok()) return std::move(status_);
    return expression;
  }

 private:
  enum class Level : uint8_t { kTop, kGroup };

  bool at_end() const { return position_ >= pattern_.size(); }
  char32_t now() const { return at_end() ? 0 : pattern_[position_]; }
  char32_t peek(size_t ahead) const {
    return position_ + ahead < pattern_.size() ? pattern_[position_ + ahead] : 0;
  }
  bool skip(char32_t c) {
    if (at_end() || now() != c) return false;
    ++position_;
    return true;
  }

  void fail(std::string message, StatusCode code, std::string expected = {}) {
    if (status_.ok()) {
      status_ = Status(code, std::move(message))
                    .at("regular expression, column " + std::to_string(position_ + 1))
                    .expected(std::move(expected))
                    .got(at_end() ? "the end of the pattern" : "'" + spelled(now()) + "'");
    }
    position_ = pattern_.size();
  }
  static std::string spelled(char32_t c) {
    std::string out;
    append_utf8(out, c);
    return out;
  }

  ExpressionId alternation(Level level) {
    if (++depth_ > max_depth_)
      fail("groups nest too deeply", StatusCode::kOutOfRange, "at most " + std::to_string(max_depth_));
    std::vector<ExpressionId> choices;
    do {
      choices.push_back(branch(level));
    } while (skip('|'));
    --depth_;
    return builder_.alternatives(std::move(choices));
  }

  ExpressionId anything() { return builder_.repeat(spelling_(CodePointSet::all()), 0, kUnbounded); }

  ExpressionId branch(Level level) {
    std::vector<ExpressionId> parts;
    const bool from_start = level == Level::kTop && skip('^');
    bool to_end = false;
    if (level == Level::kTop && scope_ == RegexScope::kAnywhere && !from_start) parts.push_back(anything());
    while (!at_end() && now() != '|' && now() != ')') {
      if (level == Level::kTop && now() == '$' && (position_ + 1 == pattern_.size() || peek(1) == '|')) {
        ++position_;
        to_end = true;
        break;
      }
      parts.push_back(quantified(atom()));
    }
    if (level == Level::kTop && scope_ == RegexScope::kAnywhere && !to_end) parts.push_back(anything());
    return builder_.sequence(std::move(parts));
  }

  ExpressionId quantified(ExpressionId operand) {
    uint32_t min = 1, max = 1;
    if (skip('*')) {
      min = 0, max = kUnbounded;
    } else if (skip('+')) {
      max = kUnbounded;
    } else if (skip('?')) {
      min = 0;
    } else if (now() == '{') {
      bounds(&min, &max);
    } else {
      return operand;
    }
    skip('?');  // lazy or greedy: the same set of texts
    if (!at_end() && (now() == '*' || now() == '+' || now() == '?' || now() == '{')) {
      fail("a quantifier follows a quantifier", StatusCode::kCorruptData, "a group around the first: (a+)*");
    }
    return builder_.repeat(operand, min, max);
  }

  void bounds(uint32_t* min, uint32_t* max) {
    ++position_;
    const auto number = [&]() -> uint32_t {
      uint32_t value = 0;
      if (now() < '0' || now() > '9')
        fail("a repetition's bound is missing", StatusCode::kCorruptData, "a number");
      while (now() >= '0' && now() <= '9') {
        value = value * 10 + static_cast<uint32_t>(now() - '0');
        if (value > kMaxBound) {
          fail("a repetition's bound is too large", StatusCode::kOutOfRange,
               "at most " + std::to_string(kMaxBound));
          return 0;
        }
        ++position_;
      }
      return value;
    };
    *min = number();
    *max = *min;
    if (skip(',')) *max = now() == '}' ? kUnbounded : number();
    if (*max < *min)
      fail("a repetition's bounds are in the wrong order", StatusCode::kCorruptData, "{min,max}");
    if (!skip('}')) fail("a repetition is not closed", StatusCode::kCorruptData, "'}'");
  }

  ExpressionId atom() {
    if (now() == '(') return group();
    if (now() == '[') return spelling_(bracket());
    if (now() == '*' || now() == '+' || now() == '?' || now() == '{') {
      fail("a quantifier follows nothing", StatusCode::kCorruptData, "a character, class or group before it");
      return GrammarBuilder::kEmpty;
    }
    if (now() == '^' || now() == '$') {
      fail("an anchor within the pattern is not part of this language", StatusCode::kUnsupported,
           "^ at the beginning and $ at the end only; \\^ and \\$ for the characters");
      return GrammarBuilder::kEmpty;
    }
    if (skip('.')) return spelling_(CodePointSet::single('\n').complement());
    if (now() == '\\') return spelling_(escape());
    return spelling_(CodePointSet::single(pattern_[position_++]));
  }

  ExpressionId group() {
    ++position_;
    if (now() == '?') {
      const bool named = peek(1) == '<' && peek(2) != '=' && peek(2) != '!';
      if (peek(1) == ':') {
        position_ += 2;
      } else if (named || (peek(1) == 'P' && peek(2) == '<')) {
        while (!at_end() && now() != '>') ++position_;
        skip('>');
      } else {
        fail("look-around and flags are not part of this language", StatusCode::kUnsupported,
             "(...) or (?:...)");
      }
    }
    const ExpressionId inner = alternation(Level::kGroup);
    if (!skip(')')) fail("a group is not closed", StatusCode::kCorruptData, "')'");
    return inner;
  }

  CodePointSet hexadecimal(int digits) {
    uint32_t value = 0;
    const bool braces = digits == 4 && skip('{');
    for (int i = 0; braces ? now() != '}' : i < digits; ++i) {
      const char32_t c = now();
      const int digit = c >= '0' && c <= '9'   ? static_cast<int>(c - '0')
                        : c >= 'a' && c <= 'f' ? static_cast<int>(c - 'a') + 10
                        : c >= 'A' && c <= 'F' ? static_cast<int>(c - 'A') + 10
                                               : -1;
      if (digit < 0 || i == 8) {
        fail("an escape is cut short", StatusCode::kCorruptData, "hexadecimal digits");
        return {};
      }
      value = value << 4 | static_cast<uint32_t>(digit);
      ++position_;
    }
    if (braces) ++position_;
    // A surrogate pair spells one character.
    if (value >= 0xD800 && value < 0xDC00 && now() == '\\' && peek(1) == 'u') {
      position_ += 2;
      uint32_t low = 0;
      for (int i = 0; i < 4; ++i) {
        const std::string digit = spelled(now());
        const size_t found = std::string_view("0123456789abcdef0123456789ABCDEF").find(digit);
        low = low << 4 | static_cast<uint32_t>(found & 15);
        if (!at_end()) ++position_;
      }
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      if (low < 0xDC00 || low > 0xDFFF) value = 0xD800;
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("an escape is no character", StatusCode::kCorruptData, "a code point that is not a surrogate");
      return {};
    }
    return CodePointSet::single(value);
  }

  CodePointSet escape() {
    ++position_;
    if (at_end()) {
      fail("a pattern ends in a backslash", StatusCode::kCorruptData);
      return {};
    }
    const char32_t c = pattern_[position_++];
    static const CodePointSet kDigits = {{'0', '9'}};
    static const CodePointSet kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const CodePointSet kSpace = {{'\t', '\r'}, {' ', ' '}};
    switch (c) {
      case 'd': return kDigits;
      case 'D': return kDigits.complement();
      case 'w': return kWord;
      case 'W': return kWord.complement();
      case 's': return kSpace;
      case 'S': return kSpace.complement();
      case 'n': return CodePointSet::single('\n');
      case 'r': return CodePointSet::single('\r');
      case 't': return CodePointSet::single('\t');
      case 'f': return CodePointSet::single('\f');
      case 'v': return CodePointSet::single('\v');
      case 'x': return hexadecimal(2);
      case 'u': return hexadecimal(4);
      case 'p':
      case 'P': return property(c == 'P');
      default: break;
    }
    if (c == '0' && !(now() >= '0' && now() <= '9')) return CodePointSet::single(0);
    const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter_or_digit) {
      --position_;
      fail("this escape is not part of this language", StatusCode::kUnsupported,
           "\\d \\w \\s \\D \\W \\S \\p{..} \\n \\r \\t \\f \\v \\0 \\xHH \\uHHHH \\u{H...} or a punctuation "
           "mark");
      return {};
    }
    return CodePointSet::single(c);
  }

  CodePointSet property(bool negated) {
    std::string name;
    if (skip('{')) {
      while (!at_end() && now() != '}') name += spelled(pattern_[position_++]);
      skip('}');
    } else if (!at_end()) {
      name = spelled(pattern_[position_++]);
    }
    // Each takes a walk over all code points, so a pattern that names one often pays once.
    const auto [known, added] = categories_.try_emplace(name);
    if (added) known->second = CodePointSet::category(name);
    const CodePointSet& set = known->second;
    if (set.empty()) {
      fail("an unknown Unicode category '" + name + "'", StatusCode::kUnsupported,
           "L, Lu, Ll, N, Nd, P, S, Z, ...");
    }
    return negated ? set.complement() : set;
  }

  CodePointSet bracket() {
    ++position_;
    const bool negated = skip('^');
    CodePointSet set;
    bool first = true;
    while (!at_end() && (now() != ']' || first)) {
      first = false;
      if (now() == '[' && peek(1) == ':') {
        fail("POSIX classes are not part of this language", StatusCode::kUnsupported,
             "\\d, \\w, \\s or \\p{..}");
        return {};
      }
      const CodePointSet low = now() == '\\' ? class_escape() : CodePointSet::single(pattern_[position_++]);
      if (!status_.ok()) return {};
      const bool single = low.ranges().size() == 1 && low.ranges()[0].first == low.ranges()[0].last;
      if (now() != '-' || peek(1) == ']' || peek(1) == 0 || !single) {
        set.add(low);
        continue;
      }
      ++position_;
      const CodePointSet high = now() == '\\' ? class_escape() : CodePointSet::single(pattern_[position_++]);
      if (!status_.ok()) return {};
      const uint32_t from = low.ranges()[0].first, to = high.ranges()[0].first;
      if (high.ranges().size() != 1 || high.ranges()[0].last != to || from > to) {
        fail("a range of a class is not one", StatusCode::kCorruptData, "two characters in ascending order");
        return {};
      }
      set.add(CodePointSet({{from, to}}).without({{0xD800, 0xDFFF}}));
    }
    if (!skip(']')) fail("a class is not closed", StatusCode::kCorruptData, "']'");
    return negated ? set.complement() : set;
  }

  CodePointSet class_escape() {
    if (peek(1) == 'b') {
      position_ += 2;
      return CodePointSet::single('\b');
    }
    return escape();
  }

  GrammarBuilder& builder_;
  const std::vector<char32_t> pattern_;
  const RegexScope scope_;
  const int max_depth_;
  const CharacterSpelling& spelling_;
  std::map<std::string, CodePointSet> categories_;
  size_t position_ = 0;
  int depth_ = 0;
  Status status_;
};

}  // namespace

Result<ExpressionId> add_regex(GrammarBuilder& builder, std::string_view pattern, RegexScope scope,
                               int max_depth, const CharacterSpelling& spelling) {
  std::vector<char32_t> characters;
  for (size_t i = 0; i < pattern.size();) {
    const Utf8Step step = utf8_step(pattern.substr(i));
    if (step.state != Utf8::kValid) {
      return Status(StatusCode::kCorruptData, "a regular expression is not UTF-8")
          .at("offset " + std::to_string(i));
    }
    characters.push_back(step.code_point);
    i += step.size;
  }
  return RegexParser(builder, std::move(characters), scope, max_depth, spelling).run();
}

}  // namespace weft::constraint

namespace weft {

Result<Grammar> compile_regex(std::string_view pattern, const GrammarLimits& limits) {
  if (pattern.size() > limits.max_source_bytes) {
    return Status(StatusCode::kOutOfRange, "a regular expression is too long")
        .expected("at most " + std::to_string(limits.max_source_bytes) + " bytes");
  }
  constraint::GrammarBuilder builder;
  const Result<constraint::ExpressionId> expression =
      constraint::add_regex(builder, pattern, constraint::RegexScope::kWhole, limits.max_depth,
                            [&](const constraint::CodePointSet& set) { return builder.character(set); });
  if (!expression.ok()) return expression.status();
  const constraint::RuleId root = builder.add_rule("the regular expression");
  builder.define(root, *expression);
  return builder.compile(root, limits);
}

}  // namespace weft
