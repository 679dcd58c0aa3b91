#include <algorithm>
#include <charconv>
#include <optional>

#include "modalities/text/prompt_weights/prompt_weights.h"

namespace weft {
namespace {

// What a notation's characters mean.
struct Brackets {
  char up_open, up_close;      // more weight; 0: none
  char down_open, down_close;  // less weight; 0: none
  double factor;
  bool takes_numbers;  // (word:1.3)
  bool has_breaks;
  std::string_view escapable;
};

constexpr Brackets brackets_of(PromptNotation notation) {
  switch (notation) {
    case PromptNotation::kA1111: return {'(', ')', '[', ']', 1.1, true, true, "()[]\\"};
    case PromptNotation::kComfyUi: return {'(', ')', 0, 0, 1.1, true, false, "()"};
    case PromptNotation::kNovelAi: return {'{', '}', '[', ']', 1.05, false, true, "{}[]\\"};
    case PromptNotation::kPlain: break;
  }
  return {};
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

// ":1.3)" at the start of `text`: the number, and how many bytes it takes with the bracket.
struct Weight {
  double value = 1;
  size_t size = 0;
};
std::optional<Weight> weight_at(std::string_view text) {
  size_t at = 1;
  const auto skip_spaces = [&] {
    while (at < text.size() && is_space(text[at])) ++at;
  };
  skip_spaces();
  const size_t sign = at < text.size() && text[at] == '+' ? 1 : 0;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + at + sign, end, value, std::chars_format::fixed);
  if (parsed.ec != std::errc()) return std::nullopt;
  at = static_cast<size_t>(parsed.ptr - text.data());
  skip_spaces();
  if (at >= text.size() || text[at] != ')') return std::nullopt;
  return Weight{std::clamp(value, -100.0, 100.0), at + 1};
}

class PromptParser {
 public:
  PromptParser(std::string_view prompt, const Brackets& brackets) : prompt_(prompt), b_(brackets) {}

  std::vector<PromptPart> parse() {
    for (size_t at = 0; at < prompt_.size();) at += step(prompt_.substr(at), at);
    flush();
    for (const size_t open : up_) scale_from(open, b_.factor);
    for (const size_t open : down_) scale_from(open, 1 / b_.factor);
    return merged();
  }

 private:
  // Reads what `rest` begins with; returns its size.
  size_t step(std::string_view rest, size_t at) {
    const char c = rest.front();
    if (c == '\\' && rest.size() > 1 && b_.escapable.find(rest[1]) != std::string_view::npos) {
      text_ += rest[1];
      return 2;
    }
    if (c == b_.up_open) return open(up_);
    if (b_.down_open != 0 && c == b_.down_open) return open(down_);
    if (c == b_.up_close && !up_.empty()) return close(up_, b_.factor, 1);
    if (b_.down_close != 0 && c == b_.down_close && !down_.empty()) return close(down_, 1 / b_.factor, 1);
    if (c == ':' && b_.takes_numbers && !up_.empty()) {
      if (const std::optional<Weight> weight = weight_at(rest))
        return close(up_, weight->value, weight->size);
    }
    if (const size_t size = break_size(rest, at); size > 0) {
      while (!text_.empty() && is_space(text_.back())) text_.pop_back();
      flush();
      parts_.push_back({PromptPart::Kind::kBreak, {}, 1});
      return size;
    }
    text_ += c;
    return 1;
  }

  size_t break_size(std::string_view rest, size_t at) const {
    constexpr std::string_view kBreak = "BREAK";
    if (!b_.has_breaks || !rest.starts_with(kBreak)) return 0;
    const bool begins = at == 0 || !is_word(prompt_[at - 1]);
    const bool ends = rest.size() == kBreak.size() || !is_word(rest[kBreak.size()]);
    if (!begins || !ends) return 0;
    size_t size = kBreak.size();
    while (size < rest.size() && is_space(rest[size])) ++size;
    return size;
  }

  size_t open(std::vector<size_t>& stack) {
    flush();
    stack.push_back(parts_.size());
    return 1;
  }
  size_t close(std::vector<size_t>& stack, double factor, size_t size) {
    flush();
    scale_from(stack.back(), factor);
    stack.pop_back();
    return size;
  }
  void scale_from(size_t first, double factor) {
    for (size_t i = first; i < parts_.size(); ++i) {
      parts_[i].weight = static_cast<float>(parts_[i].weight * factor);
    }
  }
  void flush() {
    if (!text_.empty()) parts_.push_back({PromptPart::Kind::kText, std::move(text_), 1});
    text_.clear();
  }

  std::vector<PromptPart> merged() {
    std::vector<PromptPart> result;
    for (PromptPart& part : parts_) {
      const bool is_break = part.kind == PromptPart::Kind::kBreak;
      if (is_break) part.weight = 1;
      const bool joins = !is_break && !result.empty() && result.back().kind == PromptPart::Kind::kText &&
                         result.back().weight == part.weight;
      if (joins) result.back().text += part.text;
      else result.push_back(std::move(part));
    }
    if (result.empty()) result.emplace_back();
    return result;
  }

  std::string_view prompt_;
  const Brackets b_;
  std::string text_;  // since the last bracket
  std::vector<PromptPart> parts_;
  std::vector<size_t> up_, down_;  // where open brackets begin, in parts_
};

}  // namespace

std::vector<PromptPart> parse_prompt(std::string_view prompt, PromptNotation notation) {
  if (notation == PromptNotation::kPlain) return {{PromptPart::Kind::kText, std::string(prompt), 1}};
  return PromptParser(prompt, brackets_of(notation)).parse();
}

}  // namespace weft
