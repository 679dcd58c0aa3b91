#include "modalities/text/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <array>

#include "modalities/text/tokenizer/bert_normalizer.h"
#include "modalities/unicode/char_class.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace {

constexpr CharClass kUpperish = kUpperLetter | kTitleLetter | kModifierLetter | kOtherLetter | kMark;
constexpr CharClass kLowerish = kLowerLetter | kModifierLetter | kOtherLetter | kMark;
constexpr char32_t kNoCharacter = 0xFFFFFFFF;  // past the end, or a byte that is not UTF-8

struct Character {
  char32_t code_point = kNoCharacter;
  CharClass bits = 0;
  uint8_t size = 0;  // 0: past the end
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  size_t end() const { return text_.size(); }

  Character at(size_t position) const {
    if (position >= text_.size()) return {};
    const auto byte = static_cast<uint8_t>(text_[position]);
    if (byte < 0x80) return {byte, char_class(byte), 1};
    const Utf8Step step = utf8_step(text_.substr(position));
    if (step.state != Utf8::kValid) return {kNoCharacter, 0, step.size};
    return {step.code_point, char_class(step.code_point), step.size};
  }

  template <typename Predicate>
  size_t run(size_t position, Predicate holds) const {
    for (Character c = at(position); c.size != 0 && holds(c); c = at(position)) position += c.size;
    return position;
  }
  size_t run_of(size_t position, CharClass bits) const {
    return run(position, [bits](const Character& c) { return (c.bits & bits) != 0; });
  }

 private:
  std::string_view text_;
};

bool is_newline(const Character& c) { return c.code_point == '\r' || c.code_point == '\n'; }

enum class Case : uint8_t { kExact, kIgnored };

// The end of 's, 't, 're, 've, 'm, 'll or 'd at `position`, or `position`.
size_t contraction(const Scanner& scanner, size_t position, Case letters) {
  if (scanner.at(position).code_point != '\'') return position;
  const auto letter = [&](size_t at) -> char32_t {
    const char32_t c = scanner.at(at).code_point;
    if (letters == Case::kExact) return c;
    if (c >= 'A' && c <= 'Z') return c + ('a' - 'A');
    return c == U'ſ' ? 's' : c;  // the one other letter that folds to one of these
  };
  const size_t after = position + 1;
  const char32_t first = letter(after);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return after + scanner.at(after).size;
  if (first != 'r' && first != 'v' && first != 'l') return position;
  return letter(after + 1) == (first == 'l' ? 'l' : 'e') ? after + 2 : position;
}

// \s+(?!\S)|\s+ : white space leaves its last character to the word that follows.
size_t white_space(const Scanner& scanner, size_t position) {
  size_t last = position;
  size_t end = position;
  for (Character c = scanner.at(end); c.size != 0 && (c.bits & kSpace); c = scanner.at(end)) {
    last = end;
    end += c.size;
  }
  return end == scanner.end() || last == position ? end : last;
}

size_t next_gpt2(const Scanner& scanner, size_t position) {
  const size_t contracted = contraction(scanner, position, Case::kExact);
  if (contracted != position) return contracted;
  const Character c = scanner.at(position);
  const size_t start = c.code_point == ' ' ? position + 1 : position;
  const Character first = scanner.at(start);
  if (first.bits & kLetter) return scanner.run_of(start, kLetter);
  if (first.bits & kNumber) return scanner.run_of(start, kNumber);
  if (first.size != 0 && !(first.bits & kSpace))
    return scanner.run(start, [](const Character& x) { return !(x.bits & (kSpace | kLetter | kNumber)); });
  return white_space(scanner, position);
}

// White space is a word of its own, which apply() drops.
size_t next_clip(const Scanner& scanner, size_t position) {
  const size_t contracted = contraction(scanner, position, Case::kExact);
  if (contracted != position) return contracted;
  const Character first = scanner.at(position);
  if (first.bits & kSpace) return scanner.run_of(position, kSpace);
  if (first.bits & kLetter) return scanner.run_of(position, kLetter);
  if (first.bits & kNumber) return position + first.size;
  return scanner.run(position, [](const Character& x) { return !(x.bits & (kSpace | kLetter | kNumber)); });
}

// White space as above.
size_t next_bert(const Scanner& scanner, size_t position) {
  const Character first = scanner.at(position);
  if (first.bits & kSpace) return scanner.run_of(position, kSpace);
  const auto parts = [](const Character& c) {
    return c.code_point != kNoCharacter && is_bert_punctuation(c.code_point);
  };
  if (parts(first)) return position + first.size;
  return scanner.run(position, [&](const Character& c) { return !(c.bits & kSpace) && !parts(c); });
}

// What tells the later expressions apart.
struct Style {
  enum class Contractions : uint8_t { kNone, kAlone, kWithWord } contractions;
  enum class Words : uint8_t { kLetters, kLettersAndMarks, kCased } words;
  int digits;                                                         // characters of \p{N} a word
  enum class Tail : uint8_t { kNewlines, kNewlinesAndSlashes } tail;  // what symbols take along
};

// The end of [Upperish]*[Lowerish]+ at `position`, or `position`. Some letters are both.
size_t word_with_lowerish_end(const Scanner& scanner, size_t position) {
  size_t end = position;
  size_t after_both = position;  // the end of the last character that is lowerish too
  for (Character c = scanner.at(end); c.bits & kUpperish; c = scanner.at(end)) {
    end += c.size;
    if (c.bits & kLowerish) after_both = end;
  }
  const size_t lower_end = scanner.run_of(end, kLowerish);
  return lower_end != end ? lower_end : after_both;
}

// [^\r\n\p{L}\p{N}]?[Upperish]*[Lowerish]+ | [^\r\n\p{L}\p{N}]?[Upperish]+[Lowerish]* : each first with the optional
// character, then without it.
size_t cased_word(const Scanner& scanner, size_t position) {
  const Character c = scanner.at(position);
  const bool can_lead = c.size != 0 && !(c.bits & (kLetter | kNumber)) && !is_newline(c);
  const size_t led = can_lead ? position + c.size : position;
  for (size_t start : {led, position})
    if (const size_t end = word_with_lowerish_end(scanner, start); end != start) return end;
  for (size_t start : {led, position})
    if (const size_t end = scanner.run_of(start, kUpperish); end != start)
      return end;  // nothing lowerish follows
  return position;
}

size_t next_styled(const Scanner& scanner, size_t position, const Style& style) {
  if (style.contractions == Style::Contractions::kAlone) {
    const size_t contracted = contraction(scanner, position, Case::kIgnored);
    if (contracted != position) return contracted;
  }
  const Character c = scanner.at(position);
  const size_t next = position + c.size;
  if (style.words == Style::Words::kCased) {
    const size_t end = cased_word(scanner, position);
    if (end != position)
      return style.contractions == Style::Contractions::kWithWord ? contraction(scanner, end, Case::kIgnored)
                                                                  : end;
  } else {
    const CharClass letters =
        style.words == Style::Words::kLetters ? kLetter : static_cast<CharClass>(kLetter | kMark);
    if (c.bits & letters) return scanner.run_of(position, letters);
    if (!(c.bits & kNumber) && !is_newline(c) && (scanner.at(next).bits & letters))
      return scanner.run_of(next, letters);
  }
  if (c.bits & kNumber) {
    size_t end = next;
    for (int i = 1; i < style.digits && (scanner.at(end).bits & kNumber); ++i) end += scanner.at(end).size;
    return end;
  }
  const CharClass not_symbol = style.words == Style::Words::kLettersAndMarks
                                   ? static_cast<CharClass>(kSpace | kLetter | kNumber | kMark)
                                   : static_cast<CharClass>(kSpace | kLetter | kNumber);
  const size_t start = c.code_point == ' ' ? next : position;
  const Character first = scanner.at(start);
  if (first.size != 0 && !(first.bits & not_symbol)) {
    const size_t end = scanner.run(start, [=](const Character& x) { return !(x.bits & not_symbol); });
    const bool slashes = style.tail == Style::Tail::kNewlinesAndSlashes;
    return scanner.run(end,
                       [=](const Character& x) { return is_newline(x) || (slashes && x.code_point == '/'); });
  }
  size_t after_newline = position;  // \s*[\r\n]+
  size_t end = position;
  for (Character x = scanner.at(end); x.bits & kSpace; x = scanner.at(end)) {
    end += x.size;
    if (is_newline(x)) after_newline = end;
  }
  if (after_newline != position) return after_newline;
  return white_space(scanner, position);
}

constexpr Style style_of(SplitRule rule) {
  using C = Style::Contractions;
  using W = Style::Words;
  using T = Style::Tail;
  switch (rule) {
    case SplitRule::kQwen2: return {C::kAlone, W::kLetters, 1, T::kNewlines};
    case SplitRule::kQwen35: return {C::kAlone, W::kLettersAndMarks, 1, T::kNewlines};
    case SplitRule::kTekken: return {C::kNone, W::kCased, 1, T::kNewlinesAndSlashes};
    case SplitRule::kGpt4o: return {C::kWithWord, W::kCased, 3, T::kNewlinesAndSlashes};
    default: return {C::kAlone, W::kLetters, 3, T::kNewlines};  // kLlama3
  }
}

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Cuts runs where `belongs` holds from the rest: the next boundary after `position`.
template <typename Predicate>
size_t next_run(const Scanner& scanner, size_t position, Predicate belongs) {
  const bool inside = belongs(scanner.at(position));
  return scanner.run(position, [&](const Character& c) { return belongs(c) == inside; });
}

size_t next_single_number(const Scanner& scanner, size_t position) {
  const Character c = scanner.at(position);
  if (c.bits & kNumber) return position + c.size;
  return scanner.run(position, [](const Character& x) { return !(x.bits & kNumber); });
}

// Bytes whose character in GPT-2's byte alphabet is a number: the digits, and those written as ² ³ ¹ ¼ ½ ¾.
bool is_numeric_byte(char byte) {
  const auto b = static_cast<uint8_t>(byte);
  return (b >= '0' && b <= '9') || b == 0xB2 || b == 0xB3 || b == 0xB9 || (b >= 0xBC && b <= 0xBE);
}

size_t next_byte_number_run(std::string_view text, size_t position) {
  const bool inside = is_numeric_byte(text[position]);
  while (position < text.size() && is_numeric_byte(text[position]) == inside) ++position;
  return position;
}

size_t next_three_digits(std::string_view text, size_t position) {
  const auto is_digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  const auto three_at = [&](size_t i) {
    return i + 3 <= text.size() && is_digit(i) && is_digit(i + 1) && is_digit(i + 2);
  };
  if (three_at(position)) return position + 3;
  while (position < text.size() && !three_at(position)) ++position;
  return position;
}

size_t next_boundary(SplitRule rule, std::string_view text, const Scanner& scanner, size_t position) {
  switch (rule) {
    case SplitRule::kGpt2: return next_gpt2(scanner, position);
    case SplitRule::kClip: return next_clip(scanner, position);
    case SplitRule::kBert: return next_bert(scanner, position);
    case SplitRule::kSingleNumbers: return next_single_number(scanner, position);
    case SplitRule::kNumberRuns:
      return next_run(scanner, position, [](const Character& c) { return (c.bits & kNumber) != 0; });
    case SplitRule::kByteNumberRuns: return next_byte_number_run(text, position);
    case SplitRule::kThreeDigits: return next_three_digits(text, position);
    case SplitRule::kPunctuationRuns:
      return next_run(scanner, position, [](const Character& c) {
        return (c.bits & kPunctuation) || is_ascii_punctuation(c.code_point);
      });
    default: return next_styled(scanner, position, style_of(rule));
  }
}

void apply(SplitRule rule, std::string_view text, std::vector<std::string_view>& words) {
  const Scanner scanner(text);
  for (size_t position = 0; position < text.size();) {
    const size_t end = next_boundary(rule, text, scanner, position);
    const bool drops_space = rule == SplitRule::kClip || rule == SplitRule::kBert;
    const bool dropped = drops_space && (scanner.at(position).bits & kSpace);
    if (!dropped) words.push_back(text.substr(position, end - position));
    position = end;
  }
}

struct Named {
  std::string_view name;
  std::initializer_list<SplitRule> rules;
};

const Named kGgufNames[] = {
    {"default", {SplitRule::kGpt2}},
    {"gpt-2", {SplitRule::kGpt2}},
    {"mpt", {SplitRule::kGpt2}},
    {"olmo", {SplitRule::kGpt2}},
    {"phi-2", {SplitRule::kGpt2}},
    {"jais", {SplitRule::kGpt2}},
    {"trillion", {SplitRule::kGpt2}},
    {"smollm", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"starcoder", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"refact", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"command-r", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"codeshell", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"exaone", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"minerva-7b", {SplitRule::kSingleNumbers, SplitRule::kGpt2}},
    {"falcon",
     {SplitRule::kPunctuationRuns, SplitRule::kGpt2, SplitRule::kByteNumberRuns, SplitRule::kThreeDigits}},
    {"llama3", {SplitRule::kLlama3}},
    {"llama-v3", {SplitRule::kLlama3}},
    {"llama-bpe", {SplitRule::kLlama3}},
    {"falcon3", {SplitRule::kLlama3}},
    {"dbrx", {SplitRule::kLlama3}},
    {"smaug-bpe", {SplitRule::kLlama3}},
    {"chatglm-bpe", {SplitRule::kLlama3}},
    {"glm4", {SplitRule::kLlama3}},
    {"qwen2", {SplitRule::kQwen2}},
    {"deepseek-r1-qwen", {SplitRule::kQwen2}},
    {"stablelm2", {SplitRule::kQwen2}},
    {"hunyuan", {SplitRule::kQwen2}},
    {"megrez", {SplitRule::kQwen2}},
    {"qwen35", {SplitRule::kQwen35}},
    {"tekken", {SplitRule::kTekken}},
    {"gpt-4o", {SplitRule::kGpt4o}},
    {"llama4", {SplitRule::kGpt4o}},
};

struct NamedRegex {
  std::string_view regex;
  SplitRule rule;
};

const NamedRegex kRegexes[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", SplitRule::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", SplitRule::kGpt2},
    {R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", SplitRule::kClip},
    // Its tokens of control are found before.
    {R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)",
     SplitRule::kClip},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kLlama3},
    {R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kLlama3},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kQwen2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kQwen35},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kTekken},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kGpt4o},
    {R"([0-9][0-9][0-9])", SplitRule::kThreeDigits},
    {R"(\p{N})", SplitRule::kSingleNumbers},
    {R"(\p{N}+)", SplitRule::kNumberRuns},
};

}  // namespace

void split_words(const PreTokenizer& rules, std::string_view text, std::vector<std::string_view>& words) {
  words.clear();
  if (text.empty()) return;
  if (rules.empty()) {
    words.push_back(text);
    return;
  }
  apply(rules.front(), text, words);
  std::vector<std::string_view> before;
  for (size_t i = 1; i < rules.size(); ++i) {
    before.swap(words);
    words.clear();
    for (std::string_view word : before) apply(rules[i], word, words);
  }
}

std::optional<PreTokenizer> pre_tokenizer_of_gguf(std::string_view name) {
  for (const Named& named : kGgufNames)
    if (named.name == name) return PreTokenizer(named.rules);
  return std::nullopt;
}

std::string known_gguf_pre_tokenizers() {
  std::string names;
  for (const Named& named : kGgufNames) names += (names.empty() ? "" : ", ") + std::string(named.name);
  return names;
}

std::optional<SplitRule> split_rule_of_regex(std::string_view regex) {
  for (const NamedRegex& named : kRegexes)
    if (named.regex == regex) return named.rule;
  return std::nullopt;
}

}  // namespace weft
