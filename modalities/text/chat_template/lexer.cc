#include "modalities/text/chat_template/lexer.h"

#include <charconv>
#include <cstdlib>
#include <utility>

#include "modalities/text/chat_template/text.h"
#include "modalities/unicode/utf8.h"

namespace weft::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Lexer {
 public:
  explicit Lexer(const Source& source) : source_(source), text_(source.text) {}

  Result<std::vector<Token>> run() {
    while (position_ < text_.size() && status_.ok()) data();
    if (!status_.ok()) return std::move(status_);
    emit(TokenKind::kEnd, text_.size());
    return std::move(tokens_);
  }

 private:
  bool at(std::string_view what) const { return text_.substr(position_, what.size()) == what; }

  void fail(size_t where, std::string message, std::string expected, std::string got = {}) {
    if (!status_.ok()) return;
    status_ = Status(StatusCode::kCorruptData, std::move(message))
                  .at(place(source_, static_cast<Offset>(where)))
                  .expected(std::move(expected))
                  .got(std::move(got));
    position_ = text_.size();
  }

  Token& emit(TokenKind kind, size_t where, std::string text = {}) {
    tokens_.push_back({kind, static_cast<Offset>(where), std::move(text), 0, 0});
    return tokens_.back();
  }

  void emit_data(size_t begin, size_t end) {
    if (begin < end) emit(TokenKind::kData, begin, std::string(text_.substr(begin, end - begin)));
  }

  void skip_space() { position_ += without_leading_space(text_.substr(position_)).begin; }

  // The end of the data in [begin, tag), given the tag's sign ('-', '+' or another character) and whether
  // lstrip_blocks applies to this kind of tag.
  enum class Strip : uint8_t { kBlanksOfLine, kNothing };
  size_t data_end(size_t begin, size_t tag, char sign, Strip strip) const {
    const std::string_view data = text_.substr(begin, tag - begin);
    if (sign == '-') return begin + without_trailing_space(data).end;
    if (sign == '+' || strip == Strip::kNothing) return tag;
    const size_t line = data.rfind('\n');
    const bool starts_line = line != data.npos || begin == 0 || text_[begin - 1] == '\n';
    if (!starts_line) return tag;
    const size_t line_begin = line == data.npos ? 0 : line + 1;
    const std::string_view blanks = data.substr(line_begin);
    return without_leading_space(blanks).begin == blanks.size() ? begin + line_begin : tag;
  }

  char sign_at(size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }

  // If the text at `offset` is a closing delimiter, the offset behind it and what it strips; else npos.
  size_t after_block_end(size_t offset, std::string_view close) const {
    const char sign = sign_at(offset);
    const size_t delimiter = sign == '-' || sign == '+' ? offset + 1 : offset;
    if (text_.substr(delimiter, 2) != close) return text_.npos;
    size_t after = delimiter + 2;
    if (sign == '-') {
      after += without_leading_space(text_.substr(after)).begin;
    } else if (sign != '+' && sign_at(after) == '\n') {
      ++after;
    }
    return after;
  }

  void data() {
    const size_t begin = position_;
    size_t tag = begin;
    for (;; ++tag) {
      tag = text_.find('{', tag);
      if (tag == text_.npos || tag + 1 >= text_.size()) {
        emit_data(begin, text_.size());
        position_ = text_.size();
        return;
      }
      if (text_[tag + 1] == '{' || text_[tag + 1] == '%' || text_[tag + 1] == '#') break;
    }
    const char kind = text_[tag + 1];
    const char sign = sign_at(tag + 2);
    emit_data(begin, data_end(begin, tag, sign, kind == '{' ? Strip::kNothing : Strip::kBlanksOfLine));
    position_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') return comment(tag);
    if (kind == '%' && raw(tag)) return;
    emit(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, tag);
    code(tag, kind);
  }

  void comment(size_t tag) {
    for (size_t i = position_; i < text_.size(); ++i) {
      const size_t after = after_block_end(i, "#}");
      if (after == text_.npos) continue;
      position_ = after;
      return;
    }
    fail(tag, "a comment is not closed", "#}", "the end of the template");
  }

  // {% raw %} ... {% endraw %}; false if this tag is another one.
  bool raw(size_t tag) {
    const size_t saved = position_;
    skip_space();
    if (!at("raw")) return position_ = saved, false;
    position_ += 3;
    skip_space();
    if (at("-%}")) {
      position_ += 3;
      skip_space();
    } else if (at("%}")) {
      position_ += 2;
    } else {
      return position_ = saved, false;
    }
    const size_t begin = position_;
    for (size_t end = text_.find("{%", begin); end != text_.npos; end = text_.find("{%", end + 1)) {
      const char sign = sign_at(end + 2);
      position_ = end + (sign == '-' || sign == '+' ? 3 : 2);
      skip_space();
      if (!at("endraw")) continue;
      position_ += 6;
      skip_space();
      const size_t after = after_block_end(position_, "%}");
      if (after == text_.npos) continue;
      emit_data(begin, data_end(begin, end, sign, Strip::kBlanksOfLine));
      position_ = after;
      return true;
    }
    fail(tag, "a raw block is not closed", "{% endraw %}", "the end of the template");
    return true;
  }

  // The inside of {{ }} or {% %}, with its end.
  void code(size_t tag, char kind) {
    const std::string close = kind == '{' ? "}}" : "%}";
    while (status_.ok()) {
      skip_space();
      if (position_ >= text_.size())
        return fail(tag, "a tag is not closed", close, "the end of the template");
      if (brackets_.empty() && end_of_code(kind)) return;
      token();
    }
  }

  bool end_of_code(char kind) {
    const size_t where = position_;
    if (kind == '%') {
      const size_t after = after_block_end(position_, "%}");
      if (after == text_.npos) return false;
      position_ = after;
      emit(TokenKind::kBlockEnd, where);
      return true;
    }
    if (at("-}}")) {
      position_ += 3;
      skip_space();
    } else if (at("}}")) {
      position_ += 2;
    } else {
      return false;
    }
    emit(TokenKind::kVariableEnd, where);
    return true;
  }

  void token() {
    const char c = text_[position_];
    if (is_digit(c)) return number();
    if (is_name_start(c)) return name();
    if (c == '\'' || c == '"') return string();
    op();
  }

  void name() {
    const size_t begin = position_;
    while (position_ < text_.size() && (is_name_start(text_[position_]) || is_digit(text_[position_])))
      ++position_;
    emit(TokenKind::kName, begin, std::string(text_.substr(begin, position_ - begin)));
  }

  std::string digits() {
    std::string out;
    while (is_digit(sign_at(position_)) || (sign_at(position_) == '_' && is_digit(sign_at(position_ + 1)))) {
      if (text_[position_] != '_') out += text_[position_];
      ++position_;
    }
    return out;
  }

  void number() {
    const size_t begin = position_;
    // In `x.0.1` these are two subscripts, not a float.
    const bool subscript = begin > 0 && text_[begin - 1] == '.';
    std::string spelled = digits();
    bool is_float = false;
    if (!subscript && sign_at(position_) == '.' && is_digit(sign_at(position_ + 1))) {
      is_float = true;
      ++position_;
      spelled += "." + digits();
    }
    const char e = sign_at(position_), after_e = sign_at(position_ + 1);
    if (!subscript && (e == 'e' || e == 'E') &&
        (is_digit(after_e) || ((after_e == '+' || after_e == '-') && is_digit(sign_at(position_ + 2))))) {
      is_float = true;
      spelled += 'e';
      ++position_;
      if (!is_digit(after_e)) spelled += text_[position_++];
      spelled += digits();
    }
    if (is_float) {
      emit(TokenKind::kFloat, begin).number = std::strtod(spelled.c_str(), nullptr);
      return;
    }
    if (spelled.size() > 1 && spelled[0] == '0' && spelled.find_first_not_of('0') != spelled.npos) {
      return fail(begin, "an integer begins with a zero", "digits without leading zeros", spelled);
    }
    Token& token = emit(TokenKind::kInteger, begin);
    const auto parsed = std::from_chars(spelled.data(), spelled.data() + spelled.size(), token.integer);
    if (parsed.ec != std::errc()) fail(begin, "an integer is too large", "at most 64 bits", spelled);
  }

  void string() {
    const size_t begin = position_;
    const char quote = text_[position_++];
    std::string value;
    while (position_ < text_.size() && text_[position_] != quote) {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) {
        escape(&value);
      } else {
        value += text_[position_++];
      }
    }
    if (!status_.ok()) return;
    if (position_ >= text_.size()) return fail(begin, "a string is not closed", std::string(1, quote));
    ++position_;
    emit(TokenKind::kString, begin, std::move(value));
  }

  // One escape sequence, as Python's "unicode-escape" reads it.
  void escape(std::string* value) {
    const size_t begin = position_++;
    const char c = text_[position_++];
    static constexpr std::string_view kNamed = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    for (size_t i = 0; i < kNamed.size(); i += 2) {
      if (kNamed[i] == c) return value->push_back(kNamed[i + 1]);
    }
    if (c == '\n') return;
    if (c >= '0' && c <= '7') {
      uint32_t code_point = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && sign_at(position_) >= '0' && sign_at(position_) <= '7'; ++i) {
        code_point = code_point * 8 + static_cast<uint32_t>(text_[position_++] - '0');
      }
      return append_utf8(*value, code_point);
    }
    const int wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (wanted == 0) {
      *value += '\\';
      position_ = begin + 1;  // an unknown escape means itself
      *value += text_[position_++];
      return;
    }
    uint32_t code_point = 0;
    for (int i = 0; i < wanted; ++i) {
      const int digit = hex_value(sign_at(position_));
      if (digit < 0)
        return fail(begin, "an escape is cut short", std::to_string(wanted) + " hexadecimal digits");
      code_point = code_point << 4 | static_cast<uint32_t>(digit);
      ++position_;
    }
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
      return fail(begin, "an escape is no character", "a code point that is not a surrogate");
    }
    append_utf8(*value, code_point);
  }

  void op() {
    static constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    static constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    const size_t begin = position_;
    std::string spelled(1, text_[begin]);
    for (const std::string_view two : kTwo) {
      if (at(two)) spelled = two;
    }
    if (spelled.size() == 1 && kOne.find(spelled) == kOne.npos) {
      return fail(begin, "a character that no expression has", "a name, a value or an operator",
                  "'" + spelled + "'");
    }
    if (spelled == "(" || spelled == "[" || spelled == "{") {
      brackets_.push_back(spelled == "(" ? ')' : spelled == "[" ? ']' : '}');
    } else if (spelled == ")" || spelled == "]" || spelled == "}") {
      const std::string open =
          brackets_.empty() ? "the end of the tag" : std::string("'") + brackets_.back() + "'";
      if (brackets_.empty() || brackets_.back() != spelled[0]) {
        return fail(begin, "a bracket closes none", open, "'" + spelled + "'");
      }
      brackets_.pop_back();
    }
    position_ += spelled.size();
    emit(TokenKind::kOperator, begin, std::move(spelled));
  }

  const Source& source_;
  std::string_view text_;
  size_t position_ = 0;
  std::string brackets_;  // the closing brackets that are awaited
  std::vector<Token> tokens_;
  Status status_;
};

}  // namespace

Result<Source> make_source(std::string_view text, std::string_view name) {
  if (text.size() > kMaxTemplateBytes) {
    return Status(StatusCode::kOutOfRange, "a template is too long")
        .at(std::string(name))
        .expected("at most " + std::to_string(kMaxTemplateBytes) + " bytes")
        .got(std::to_string(text.size()));
  }
  if (const size_t offset = find_invalid_utf8(text); offset != text.npos) {
    return Status(StatusCode::kCorruptData, "a template is not UTF-8")
        .at(std::string(name) + ", offset " + std::to_string(offset));
  }
  Source source{std::string(name), {}};
  source.text.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    source.text += text[i] == '\r' ? '\n' : text[i];
  }
  if (!source.text.empty() && source.text.back() == '\n') source.text.pop_back();
  return source;
}

std::string place(const Source& source, Offset at) {
  const std::string_view before = std::string_view(source.text).substr(0, at);
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  size_t line = 1;
  for (const char c : before) line += c == '\n';
  return source.name + ":" + std::to_string(line) + ":" +
         std::to_string(count_code_points(before.substr(line_begin)) + 1);
}

Result<std::vector<Token>> tokenize(const Source& source) { return Lexer(source).run(); }

}  // namespace weft::jinja
