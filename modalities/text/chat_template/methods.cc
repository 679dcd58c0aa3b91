// Methods of strings, lists and dictionaries: those of Python that change nothing.
#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "modalities/text/chat_template/builtins.h"

namespace weft::jinja {
namespace {

// ---- strings

const Text* text_argument(Evaluator& evaluator, std::string_view method, const Value& value) {
  if (value.text() == nullptr && !evaluator.failed()) {
    evaluator.wrong_type("'" + std::string(method) + "'", value, "a string");
  }
  return value.text();
}

template <Sides sides>
Value strip_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("strip", std::move(arguments), {"chars"});
  if (evaluator.failed() || !evaluator.charge(receiver.weight() * (1 + bound[0].weight()))) return {};
  const bool by_default = bound[0].is_undefined() || bound[0].is_none();
  if (!by_default && text_argument(evaluator, "strip", bound[0]) == nullptr) return {};
  return strip(*receiver.text(), by_default ? nullptr : bound[0].text(), sides);
}

template <Case wanted>
Value case_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("a change of case", std::move(arguments), {});
  return evaluator.failed() ? Value() : Value(change_case(evaluator, *receiver.text(), wanted));
}

enum class From : uint8_t { kLeft, kRight };

// At white space, in runs; no empty parts. What is left over after `limit` parts keeps its far end's white
// space.
std::vector<Value> split_at_space(const Text& text, int64_t limit, From from) {
  std::vector<ByteRange> words;
  const std::string_view bytes = text.bytes();
  bool within_word = false;
  for (size_t i = 0; i < bytes.size();) {
    const size_t at = i;
    const bool space = is_space(next_code_point(bytes, &i));
    if (!space && !within_word) words.push_back({at, i});
    if (!space) words.back().end = i;
    within_word = !space;
  }
  const size_t count = words.size();
  const bool all = limit < 0 || count <= static_cast<uint64_t>(limit);
  const size_t taken = all ? count : static_cast<size_t>(limit);
  std::vector<Value> parts;
  if (!all && from == From::kRight) parts.push_back(text.slice(0, words[count - taken - 1].end));
  for (size_t i = 0; i < taken; ++i) {
    const ByteRange word = words[from == From::kLeft ? i : count - taken + i];
    parts.push_back(text.slice(word.begin, word.end));
  }
  if (!all && from == From::kLeft) parts.push_back(text.slice(words[taken].begin, text.size()));
  return parts;
}

std::vector<Value> split_at(const Text& text, std::string_view separator, int64_t limit, From from) {
  std::vector<Value> parts;
  const std::string_view bytes = text.bytes();
  size_t begin = 0, end = bytes.size();
  for (; limit != 0; --limit) {
    if (from == From::kLeft) {
      const size_t found = bytes.find(separator, begin);
      if (found == bytes.npos) break;
      parts.push_back(text.slice(begin, found));
      begin = found + separator.size();
    } else {
      const size_t found = bytes.substr(0, end).rfind(separator);
      if (found == bytes.npos) break;
      parts.push_back(text.slice(found + separator.size(), end));
      end = found;
    }
  }
  parts.push_back(text.slice(begin, end));
  if (from == From::kRight) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <From from>
Value split_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("split", std::move(arguments), {"sep", "maxsplit"});
  if (evaluator.failed() || !evaluator.charge(static_cast<int64_t>(receiver.text()->size()))) return {};
  const int64_t limit = bound[1].integer().value_or(-1);
  std::vector<Value> parts;
  if (bound[0].is_undefined() || bound[0].is_none()) {
    parts = split_at_space(*receiver.text(), limit, from);
  } else {
    const Text* separator = text_argument(evaluator, "split", bound[0]);
    if (separator == nullptr) return {};
    if (separator->empty()) return evaluator.fail(StatusCode::kCorruptData, "'split' has an empty separator");
    parts = split_at(*receiver.text(), separator->bytes(), limit, from);
  }
  return evaluator.list(std::move(parts));
}

Value format_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  if (!evaluator.charge(receiver.weight())) return {};
  return brace_format(evaluator, *receiver.text(), arguments);
}

Value splitlines(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("splitlines", std::move(arguments), {});
  if (evaluator.failed() || !evaluator.charge(static_cast<int64_t>(receiver.text()->size()))) return {};
  const std::vector<Text> lines = split_lines(*receiver.text());
  return evaluator.list({lines.begin(), lines.end()});
}

template <From from>
Value partition(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("partition", std::move(arguments), {"sep"}, 1);
  if (evaluator.failed() || !evaluator.charge(receiver.weight())) return {};
  const Text *separator = text_argument(evaluator, "partition", bound[0]), *text = receiver.text();
  if (separator == nullptr) return {};
  const size_t found =
      from == From::kLeft ? text->bytes().find(separator->bytes()) : text->bytes().rfind(separator->bytes());
  if (found == std::string_view::npos) {
    return evaluator.list(from == From::kLeft ? std::vector<Value>{*text, Text(), Text()}
                                              : std::vector<Value>{Text(), Text(), *text},
                          ListKind::kTuple);
  }
  const size_t after = found + separator->size();
  return evaluator.list({text->slice(0, found), text->slice(found, after), text->slice(after, text->size())},
                        ListKind::kTuple);
}

Value replace_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("replace", std::move(arguments), {"old", "new", "count"}, 2);
  if (evaluator.failed()) return {};
  const Text *from = text_argument(evaluator, "replace", bound[0]),
             *to = text_argument(evaluator, "replace", bound[1]);
  if (from == nullptr || to == nullptr) return {};
  return replace(evaluator, *receiver.text(), *from, *to, bound[2].integer().value_or(-1));
}

// startswith and endswith: a string, or a tuple of strings of which one must fit.
template <From from>
Value affix_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("startswith or endswith", std::move(arguments), {"affix"}, 1);
  if (evaluator.failed() || !evaluator.charge(bound[0].weight())) return {};
  const std::vector<Value> one = {bound[0]};
  for (const Value& affix : bound[0].list() != nullptr ? bound[0].list()->items : one) {
    const Text* text = text_argument(evaluator, "startswith or endswith", affix);
    if (text == nullptr) return {};
    const std::string_view bytes = receiver.text()->bytes();
    if (from == From::kLeft ? bytes.starts_with(text->bytes()) : bytes.ends_with(text->bytes())) return true;
  }
  return false;
}

template <From from>
Value remove_affix(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("removeprefix or removesuffix", std::move(arguments), {"affix"}, 1);
  if (evaluator.failed() || !evaluator.charge(receiver.weight())) return {};
  const Text *affix = text_argument(evaluator, "removeprefix or removesuffix", bound[0]),
             *text = receiver.text();
  if (affix == nullptr) return {};
  if (from == From::kLeft && text->bytes().starts_with(affix->bytes()))
    return text->slice(affix->size(), text->size());
  if (from == From::kRight && text->bytes().ends_with(affix->bytes())) {
    return text->slice(0, text->size() - affix->size());
  }
  return receiver;
}

template <From from>
Value find_in_text(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("find", std::move(arguments), {"sub"}, 1);
  if (evaluator.failed() || !evaluator.charge(receiver.weight())) return {};
  const Text* wanted = text_argument(evaluator, "find", bound[0]);
  if (wanted == nullptr) return {};
  const std::string_view bytes = receiver.text()->bytes();
  const size_t found = from == From::kLeft ? bytes.find(wanted->bytes()) : bytes.rfind(wanted->bytes());
  if (found == bytes.npos) return int64_t{-1};
  return static_cast<int64_t>(count_code_points(bytes.substr(0, found)));
}

Value count_in_text(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("count", std::move(arguments), {"sub"}, 1);
  if (evaluator.failed() || !evaluator.charge(static_cast<int64_t>(receiver.text()->size()))) return {};
  const Text* wanted = text_argument(evaluator, "count", bound[0]);
  if (wanted == nullptr) return {};
  const std::string_view bytes = receiver.text()->bytes();
  if (wanted->empty()) return static_cast<int64_t>(count_code_points(bytes) + 1);
  int64_t count = 0;
  for (size_t i = bytes.find(wanted->bytes()); i != bytes.npos;
       i = bytes.find(wanted->bytes(), i + wanted->size()))
    ++count;
  return count;
}

Value join_method(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("join", std::move(arguments), {"iterable"}, 1);
  if (evaluator.failed()) return {};
  BoundedText out(&evaluator);
  const std::vector<Value> items = evaluator.iterate(bound[0]);
  for (size_t i = 0; i < items.size(); ++i) {
    const Text* text = text_argument(evaluator, "join", items[i]);
    if (text == nullptr) return {};
    if (i > 0) out.append(*receiver.text());
    out.append(*text);
  }
  return out.finish();
}

enum class Alignment : uint8_t { kLeft, kRight };
template <Alignment alignment>
Value justify(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("ljust or rjust", std::move(arguments), {"width", "fillchar"}, 1);
  if (evaluator.failed()) return {};
  const Text fill = bound[1].is_undefined() ? Text(" ", TextOrigin::kTemplate) : evaluator.text_of(bound[1]);
  const int64_t missing =
      bound[0].integer().value_or(0) - static_cast<int64_t>(count_code_points(receiver.text()->bytes()));
  BoundedText out(&evaluator);
  if (alignment == Alignment::kLeft) out.append(*receiver.text());
  for (int64_t i = 0; i < missing && evaluator.charge(1); ++i) out.append(fill);
  if (alignment == Alignment::kRight) out.append(*receiver.text());
  return out.finish();
}

bool is_digit(uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND;
}
bool is_letter(uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_alphanumeric(uint32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return is_letter(c) || (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

/// isdigit() and its like: not empty, and all characters are of the class.
template <bool (*in_class)(uint32_t)>
Value all_of_class(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("a test of characters", std::move(arguments), {});
  if (evaluator.failed() || !evaluator.charge(receiver.weight())) return {};
  const std::string_view bytes = receiver.text()->bytes();
  for (size_t i = 0; i < bytes.size();) {
    if (!in_class(next_code_point(bytes, &i))) return false;
  }
  return !bytes.empty();
}

template <Case wanted>
Value is_case(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  return evaluator.test(wanted == Case::kUpper ? "upper" : "lower", receiver, std::move(arguments));
}

// ---- lists and dictionaries

Value list_index(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("index", std::move(arguments), {"value"}, 1);
  const std::vector<Value>& items = receiver.list()->items;
  for (size_t i = 0; i < items.size() && evaluator.charge(1); ++i) {
    if (evaluator.equals(items[i], bound[0])) return static_cast<int64_t>(i);
  }
  return evaluator.fail(StatusCode::kCorruptData, "a list does not hold the value that 'index' looks for");
}

Value list_count(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("count", std::move(arguments), {"value"}, 1);
  int64_t count = 0;
  for (const Value& item : receiver.list()->items) {
    if (!evaluator.charge(1)) break;
    count += evaluator.equals(item, bound[0]);
  }
  return count;
}

Value dict_keys(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("keys", std::move(arguments), {});
  return evaluator.list(evaluator.iterate(receiver));
}

Value dict_values(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("values", std::move(arguments), {});
  std::vector<Value> values;
  for (const auto& [key, value] : receiver.dict()->entries) values.push_back(value);
  return evaluator.list(std::move(values));
}

Value dict_items(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("items", std::move(arguments), {});
  return evaluator.filter("items", receiver, {});
}

Value dict_get(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  std::vector<Value> bound = evaluator.bind("get", std::move(arguments), {"key", "default"}, 1);
  if (evaluator.failed() || !evaluator.charge(bound[0].weight())) return {};
  if (const Value* found = receiver.dict()->find(bound[0])) return *found;
  return bound[1].is_undefined() ? Value(None{}) : bound[1];
}

Value dict_copy(Evaluator& evaluator, const Value& receiver, Arguments arguments) {
  evaluator.bind("copy", std::move(arguments), {});
  return receiver;  // values are immutable
}

using Method = std::pair<std::string_view, MethodFunction>;
constexpr Method kTextMethods[] = {
    {"capitalize", case_method<Case::kCapitalised>},
    {"count", count_in_text},
    {"endswith", affix_method<From::kRight>},
    {"find", find_in_text<From::kLeft>},
    {"format", format_method},
    {"isalnum", all_of_class<is_alphanumeric>},
    {"isalpha", all_of_class<is_letter>},
    {"isdigit", all_of_class<is_digit>},
    {"islower", is_case<Case::kLower>},
    {"isspace", all_of_class<is_space>},
    {"isupper", is_case<Case::kUpper>},
    {"join", join_method},
    {"ljust", justify<Alignment::kLeft>},
    {"lower", case_method<Case::kLower>},
    {"lstrip", strip_method<Sides::kLeft>},
    {"partition", partition<From::kLeft>},
    {"removeprefix", remove_affix<From::kLeft>},
    {"removesuffix", remove_affix<From::kRight>},
    {"replace", replace_method},
    {"rfind", find_in_text<From::kRight>},
    {"rjust", justify<Alignment::kRight>},
    {"rpartition", partition<From::kRight>},
    {"rsplit", split_method<From::kRight>},
    {"rstrip", strip_method<Sides::kRight>},
    {"split", split_method<From::kLeft>},
    {"splitlines", splitlines},
    {"startswith", affix_method<From::kLeft>},
    {"strip", strip_method<Sides::kBoth>},
    {"title", case_method<Case::kTitle>},
    {"upper", case_method<Case::kUpper>},
};
constexpr Method kListMethods[] = {{"count", list_count}, {"index", list_index}};
constexpr Method kDictMethods[] = {{"copy", dict_copy},
                                   {"get", dict_get},
                                   {"items", dict_items},
                                   {"keys", dict_keys},
                                   {"values", dict_values}};

constexpr std::string_view kMutatingListMethods[] = {"append", "clear",  "extend",  "insert",
                                                     "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kMutatingDictMethods[] = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t count>
MethodFunction find_in(const Method (&methods)[count], std::string_view name) {
  const auto* found = std::find_if(std::begin(methods), std::end(methods),
                                   [&](const Method& method) { return method.first == name; });
  return found == std::end(methods) ? nullptr : found->second;
}

}  // namespace

MethodFunction find_method(const Value& receiver, std::string_view name) {
  if (receiver.text() != nullptr) return find_in(kTextMethods, name);
  if (receiver.list() != nullptr) return find_in(kListMethods, name);
  if (receiver.dict() != nullptr) return find_in(kDictMethods, name);
  return nullptr;
}

bool is_mutating_method(const Value& receiver, std::string_view name) {
  const auto holds = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  return (receiver.list() != nullptr && receiver.list()->kind == ListKind::kList &&
          holds(kMutatingListMethods)) ||
         (receiver.dict() != nullptr && holds(kMutatingDictMethods));
}

}  // namespace weft::jinja
