/// Source text to syntax tree.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_PARSER_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_PARSER_H

#include <weft/sdk/status.h>

#include "modalities/text/chat_template/syntax.h"

namespace weft::jinja {

/// How deeply blocks and brackets may nest.
inline constexpr int kMaxSyntaxDepth = 100;

/// Errors, with the place: kCorruptData (syntax), kUnsupported (a tag outside the subset), kOutOfRange
/// (nesting).
Result<Syntax> parse(Source source);

}  // namespace weft::jinja
#endif
