/// What templates can call: filters, tests, methods of strings, lists and dictionaries, global functions.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_BUILTINS_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_BUILTINS_H

#include <string>
#include <string_view>

#include "modalities/text/chat_template/evaluator.h"

namespace weft::jinja {

using FilterFunction = Value (*)(Evaluator&, const Value& value, Arguments arguments);
using TestFunction = bool (*)(Evaluator&, const Value& value, Arguments arguments);
using MethodFunction = Value (*)(Evaluator&, const Value& receiver, Arguments arguments);
using GlobalFunction = Value (*)(Evaluator&, Arguments arguments);

// Null if there is none of this name.
FilterFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);
/// Of the receiver's type.
MethodFunction find_method(const Value& receiver, std::string_view name);
GlobalFunction find_function(std::string_view name);
/// Whether the method exists in Python and would change the value, which templates may not.
bool is_mutating_method(const Value& receiver, std::string_view name);

/// "a, b, c": for error messages.
std::string filter_names();
std::string test_names();

// String operations that filters and methods share; all keep the origin of every byte.
enum class Case : uint8_t { kUpper, kLower, kTitle, kCapitalised };
Text change_case(Evaluator& evaluator, const Text& text, Case wanted);
enum class Sides : uint8_t { kBoth, kLeft, kRight };
/// Without the code points in `characters` at these sides; without white space if it is null.
Text strip(const Text& text, const Text* characters, Sides sides);
/// `limit` < 0: all.
Text replace(Evaluator& evaluator, const Text& text, const Text& from, const Text& to, int64_t limit);
std::vector<Text> split_lines(const Text& text);
/// Python's `format % arguments`, with %s %d %i %r and %%.
Text percent_format(Evaluator& evaluator, const Text& format, const std::vector<Value>& arguments);
/// Python's format.format(...), with {}, {0}, {name}, {{ and }}; no format specifications, attributes or indices.
Text brace_format(Evaluator& evaluator, const Text& format, const Arguments& arguments);
/// Python's strftime of a UTC time.
std::string format_time(std::string_view format, int64_t seconds);

}  // namespace weft::jinja
#endif
