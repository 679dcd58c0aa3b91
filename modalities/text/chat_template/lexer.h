/// Splits a template into tokens, as Jinja2 does with trim_blocks and lstrip_blocks.
///
/// trim_blocks: the line break after a block tag or comment goes. lstrip_blocks: blanks between the start of
/// a line and a block tag or comment go. A `-` beside a tag takes all white space on that side, a `+` keeps
/// it. One line break at the template's end goes, and \r\n and \r become \n. {% raw %} blocks are data.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_LEXER_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_LEXER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::jinja {

/// A byte offset into the template (after line breaks were normalised).
using Offset = uint32_t;

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Offset at = 0;
  std::string text;  ///< data, a name, an operator, or a string's value with its escapes resolved
  int64_t integer = 0;
  double number = 0;
};

/// A template's text and name, for errors.
struct Source {
  std::string name;
  std::string text;
};

inline constexpr size_t kMaxTemplateBytes = 1u << 20;

/// A source with normalised line breaks. Errors: kOutOfRange (over kMaxTemplateBytes), kCorruptData (not
/// UTF-8).
Result<Source> make_source(std::string_view text, std::string_view name);
/// "name:line:column", both from 1, columns in code points.
std::string place(const Source& source, Offset at);
/// Errors, with the place: kCorruptData.
Result<std::vector<Token>> tokenize(const Source& source);

}  // namespace weft::jinja
#endif
