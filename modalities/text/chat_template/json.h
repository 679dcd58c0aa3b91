/// JSON to template values and back.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_JSON_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_JSON_H

#include <weft/sdk/status.h>

#include <string>
#include <string_view>

#include "modalities/text/chat_template/evaluator.h"
#include "modalities/text/chat_template/value.h"

namespace weft::jinja {

/// Strings have content origin. `name` is what errors call the text. Errors: kInvalidArgument (with the
/// offset).
Result<Value> parse_json(std::string_view json, std::string_view name);

enum class KeyOrder : uint8_t { kAsInserted, kSorted };
struct JsonStyle {
  std::string indent;  ///< of one level; used if `lines`
  enum class Layout : uint8_t { kOneLine, kLines } layout = Layout::kOneLine;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  KeyOrder key_order = KeyOrder::kAsInserted;
  enum class Characters : uint8_t { kUnicode, kAscii } characters = Characters::kUnicode;
};
/// Python's json.dumps. Of content origin as soon as any part of the value is. Fails for values that JSON has
/// not.
Text dump_json(Evaluator& evaluator, const Value& value, const JsonStyle& style);

}  // namespace weft::jinja
#endif
