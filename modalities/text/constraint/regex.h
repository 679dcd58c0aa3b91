/// Regular expressions to grammar expressions, over any alphabet of characters.
#ifndef WEFT_MODALITIES_TEXT_CONSTRAINT_REGEX_H
#define WEFT_MODALITIES_TEXT_CONSTRAINT_REGEX_H

#include <weft/sdk/status.h>

#include <functional>
#include <string_view>

#include "modalities/text/constraint/grammar_builder.h"

namespace weft::constraint {

/// What stands for one character of a set: the character itself, or its spelling in JSON.
using CharacterSpelling = std::function<ExpressionId(const CodePointSet&)>;
/// Whether a match must be the whole text, or may lie anywhere within unless ^ and $ say otherwise.
enum class RegexScope : uint8_t { kWhole, kAnywhere };

/// Errors: as compile_regex.
Result<ExpressionId> add_regex(GrammarBuilder& builder, std::string_view pattern, RegexScope scope,
                               int max_depth, const CharacterSpelling& spelling);

}  // namespace weft::constraint
#endif
