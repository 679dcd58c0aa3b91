// What may follow `|`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <unordered_set>

#include "modalities/text/chat_template/builtins.h"
#include "modalities/text/chat_template/json.h"

namespace weft::jinja {
namespace {

// ---- strings

Value trim(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("trim", std::move(arguments), {"chars"});
  const Text text = evaluator.text_of(value);
  if (!evaluator.charge(value.weight() * (1 + bound[0].weight()))) return {};
  return strip(text, bound[0].text(), Sides::kBoth);
}

template <Case wanted>
Value case_filter(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("a change of case", std::move(arguments), {});
  return change_case(evaluator, evaluator.text_of(value), wanted);
}

// Unlike the method: only white space and -({[< begin a new word.
Value title(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("title", std::move(arguments), {});
  const Text text = evaluator.text_of(value);
  const std::string_view bytes = text.bytes();
  const auto separates = [](uint32_t c) {
    return is_space(c) ||
           (c < 128 && std::string_view("-({[<").find(static_cast<char>(c)) != std::string_view::npos);
  };
  BoundedText out(&evaluator);
  for (size_t begin = 0; begin < bytes.size() && evaluator.charge(1);) {
    size_t end = begin;
    const bool separator = separates(next_code_point(bytes, &end));
    for (size_t next = end; next < bytes.size() && separates(next_code_point(bytes, &next)) == separator;)
      end = next;
    const Text part = text.slice(begin, end);
    out.append(separator ? part : change_case(evaluator, part, Case::kCapitalised));
    begin = end;
  }
  return out.finish();
}

Value replace_filter(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("replace", std::move(arguments), {"old", "new", "count"}, 2);
  if (evaluator.failed()) return {};
  return replace(evaluator, evaluator.text_of(value), evaluator.text_of(bound[0]),
                 evaluator.text_of(bound[1]), bound[2].integer().value_or(-1));
}

Value indent(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("indent", std::move(arguments), {"width", "first", "blank"});
  if (evaluator.failed()) return {};
  const int64_t width = bound[0].is_undefined() ? 4 : bound[0].integer().value_or(0);
  if (width > 1000)
    return evaluator.fail(StatusCode::kOutOfRange, "an indentation is too wide", "at most 1000");
  const Text blanks =
      bound[0].text() != nullptr
          ? *bound[0].text()
          : Text(std::string(static_cast<size_t>(std::max(width, int64_t{0})), ' '), TextOrigin::kTemplate);
  const Text text = evaluator.text_of(value);
  if (!evaluator.charge(static_cast<int64_t>(text.size()))) return {};
  // Jinja appends a line break first, so that a text that ends in one keeps it.
  const Text whole = TextBuilder().append(text).append("\n", TextOrigin::kTemplate).finish();
  const std::vector<Text> lines = split_lines(whole);
  BoundedText out(&evaluator);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n", TextOrigin::kTemplate);
    if (i == 0 ? bound[1].truthy() : (bound[2].truthy() || !lines[i].empty())) out.append(blanks);
    out.append(lines[i]);
  }
  return out.finish();
}

Value format(Evaluator& evaluator, const Value& value, Arguments arguments) {
  if (!arguments.named.empty())
    return evaluator.fail(StatusCode::kUnsupported, "'format' takes no named arguments here");
  return percent_format(evaluator, evaluator.text_of(value), arguments.positional);
}

Value string(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("string", std::move(arguments), {});
  return evaluator.text_of(value);
}

Value tojson(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("tojson", std::move(arguments), {"ensure_ascii", "indent", "separators", "sort_keys"});
  if (evaluator.failed()) return {};
  JsonStyle style;
  if (bound[0].truthy()) style.characters = JsonStyle::Characters::kAscii;
  if (bound[3].truthy()) style.key_order = KeyOrder::kSorted;
  if (!bound[1].is_undefined() && !bound[1].is_none()) {
    const int64_t width = bound[1].integer().value_or(0);
    if (width > 100)
      return evaluator.fail(StatusCode::kOutOfRange, "an indentation is too wide", "at most 100");
    style.layout = JsonStyle::Layout::kLines;
    style.item_separator = ",";
    style.indent = bound[1].text() != nullptr
                       ? std::string(bound[1].text()->bytes())
                       : std::string(static_cast<size_t>(std::max(width, int64_t{0})), ' ');
  }
  if (!bound[2].is_undefined() && !bound[2].is_none()) {
    const List* pair = bound[2].list();
    if (pair == nullptr || pair->items.size() != 2)
      return evaluator.wrong_type("separators=", bound[2], "two strings");
    style.item_separator = evaluator.text_of(pair->items[0]).bytes();
    style.key_separator = evaluator.text_of(pair->items[1]).bytes();
  }
  return dump_json(evaluator, value, style);
}

// ---- numbers

Value to_int(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("int", std::move(arguments), {"default", "base"});
  const Value fallback = bound[0].is_undefined() ? Value(int64_t{0}) : bound[0];
  double number = 0;
  if (const auto integer = value.integer()) return *integer;
  if (const double* d = value.get_if<double>()) {
    number = *d;
  } else if (value.text() != nullptr) {
    const std::string spelled(strip(*value.text(), nullptr, Sides::kBoth).bytes());
    const int base = static_cast<int>(bound[1].integer().value_or(10));
    if (base < 2 || base > 36) return evaluator.wrong_type("base=", bound[1], "2 to 36");
    char* end = nullptr;
    errno = 0;
    const long long integer = std::strtoll(spelled.c_str(), &end, base);
    if (!spelled.empty() && end == spelled.c_str() + spelled.size()) {
      return errno == 0
                 ? Value(int64_t{integer})
                 : evaluator.fail(StatusCode::kOutOfRange, "an integer is too large", "at most 64 bits");
    }
    number = std::strtod(spelled.c_str(), &end);
    if (spelled.empty() || end != spelled.c_str() + spelled.size()) return fallback;
  } else {
    return fallback;
  }
  return number > -9e18 && number < 9e18 ? Value(static_cast<int64_t>(number)) : fallback;
}

Value to_float(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("float", std::move(arguments), {"default"});
  if (const auto number = value.number()) return *number;
  if (value.text() != nullptr) {
    const std::string spelled(strip(*value.text(), nullptr, Sides::kBoth).bytes());
    char* end = nullptr;
    const double number = std::strtod(spelled.c_str(), &end);
    if (!spelled.empty() && end == spelled.c_str() + spelled.size()) return number;
  }
  return bound[0].is_undefined() ? Value(0.0) : bound[0];
}

Value absolute(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("abs", std::move(arguments), {});
  if (const auto integer = value.integer()) {
    if (*integer == INT64_MIN) return evaluator.fail(StatusCode::kOutOfRange, "an integer becomes too large");
    return std::abs(*integer);
  }
  return value.number() ? Value(std::fabs(*value.number()))
                        : evaluator.wrong_type("'abs'", value, "a number");
}

Value round_number(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("round", std::move(arguments), {"precision", "method"});
  if (evaluator.failed()) return {};
  const std::string_view method = bound[1].text() == nullptr ? "common" : bound[1].text()->bytes();
  const int64_t precision = bound[0].integer().value_or(0);
  if (!value.number()) return evaluator.wrong_type("'round'", value, "a number");
  if (precision < -300 || precision > 300) return evaluator.wrong_type("precision=", bound[0], "-300 to 300");
  if (method == "common") {
    if (value.integer() && precision >= 0) return value;
    if (precision >= 0) {  // printf rounds the exact binary value, as Python does
      char buffer[700];
      std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), *value.number());
      return std::strtod(buffer, nullptr);
    }
  } else if (method != "ceil" && method != "floor") {
    return evaluator.fail(StatusCode::kCorruptData, "an unknown way to round", "common, ceil or floor",
                          std::string(method));
  }
  const double scale = std::pow(10.0, static_cast<double>(precision)), scaled = *value.number() * scale;
  const double rounded = method == "ceil"    ? std::ceil(scaled)
                         : method == "floor" ? std::floor(scaled)
                                             : std::nearbyint(scaled);
  if (method == "common" && value.integer()) return static_cast<int64_t>(rounded / scale);
  return rounded / scale;
}

// ---- collections

Value default_value(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("default", std::move(arguments), {"default_value", "boolean"});
  if (!value.is_undefined() && (value.truthy() || !bound[1].truthy())) return value;
  return bound[0].is_undefined() ? Value::literal("") : bound[0];
}

Value length(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("length", std::move(arguments), {});
  if (!evaluator.charge(value.text() != nullptr ? value.weight() : 1)) return {};
  if (const List* list = value.list()) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<int64_t>(dict->entries.size());
  if (const Text* text = value.text()) return static_cast<int64_t>(count_code_points(text->bytes()));
  if (value.is_undefined()) return int64_t{0};
  return evaluator.wrong_type("'length'", value, "a list, a dictionary or a string");
}

Value list(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("list", std::move(arguments), {});
  return evaluator.list(evaluator.iterate(value));
}

enum class End : uint8_t { kFirst, kLast };
template <End end>
Value end_of(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("first or last", std::move(arguments), {});
  const std::vector<Value> items = evaluator.iterate(value);
  if (items.empty()) return Value::undefined(end == End::kFirst ? "first" : "last");
  return end == End::kFirst ? items.front() : items.back();
}

Value join(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("join", std::move(arguments), {"d", "attribute"});
  const Text separator = evaluator.text_of(bound[0]);
  BoundedText out(&evaluator);
  const std::vector<Value> items = evaluator.iterate(value);
  for (size_t i = 0; i < items.size() && evaluator.charge(1); ++i) {
    if (i > 0) out.append(separator);
    out.append(evaluator.text_of(bound[1].is_undefined() ? items[i] : evaluator.path(items[i], bound[1])));
  }
  return out.finish();
}

Value items(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("items", std::move(arguments), {});
  if (value.is_undefined()) return evaluator.list({});
  if (value.dict() == nullptr) return evaluator.wrong_type("'items'", value, "a dictionary");
  std::vector<Value> pairs;
  for (const auto& [key, member] : value.dict()->entries) {
    if (!evaluator.charge(2)) return {};
    pairs.push_back(evaluator.list({key, member}, ListKind::kTuple));
  }
  return evaluator.list(std::move(pairs));
}

Value reverse(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("reverse", std::move(arguments), {});
  std::vector<Value> items = evaluator.iterate(value);
  std::reverse(items.begin(), items.end());
  if (value.text() == nullptr) return evaluator.list(std::move(items));
  BoundedText out(&evaluator);
  for (const Value& character : items) out.append(*character.text());
  return out.finish();
}

// What a comparison sees: the attribute if one is named, and lower case unless case counts.
Value comparison_key(Evaluator& evaluator, const Value& item, const Value& attribute,
                     const Value& case_sensitive) {
  const Value key = attribute.is_undefined() || attribute.is_none() ? item : evaluator.path(item, attribute);
  if (key.text() == nullptr || case_sensitive.truthy()) return key;
  return change_case(evaluator, *key.text(), Case::kLower);
}

// Stable. A comparison of values without an order fails the evaluator; the order is then of no interest, but
// it must stay a strict weak one for std::stable_sort, so a failed comparison is false.
std::vector<Value> sorted(Evaluator& evaluator, const std::vector<Value>& items,
                          const std::vector<Value>& keys, const Value& descending) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const bool reversed = descending.truthy();
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return evaluator.charge(1) && (reversed ? evaluator.ordered_before(keys[b], keys[a])
                                            : evaluator.ordered_before(keys[a], keys[b]));
  });
  std::vector<Value> out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

Value sort(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("sort", std::move(arguments), {"reverse", "case_sensitive", "attribute"});
  const std::vector<Value> items = evaluator.iterate(value);
  std::vector<Value> keys;
  for (const Value& item : items) keys.push_back(comparison_key(evaluator, item, bound[2], bound[1]));
  return evaluator.failed() ? Value() : evaluator.list(sorted(evaluator, items, keys, bound[0]));
}

Value dictsort(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("dictsort", std::move(arguments), {"case_sensitive", "by", "reverse"});
  if (value.dict() == nullptr) return evaluator.wrong_type("'dictsort'", value, "a dictionary");
  const bool by_value = bound[1].text() != nullptr && bound[1].text()->bytes() == "value";
  const Value pairs = items(evaluator, value, {});
  if (evaluator.failed()) return {};
  std::vector<Value> keys;
  for (const auto& [key, member] : value.dict()->entries) {
    keys.push_back(comparison_key(evaluator, by_value ? member : key, Value(), bound[0]));
  }
  return evaluator.list(sorted(evaluator, pairs.list()->items, keys, bound[2]));
}

Value unique(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("unique", std::move(arguments), {"case_sensitive", "attribute"});
  std::unordered_set<std::string> seen;
  std::vector<Value> out;
  for (const Value& item : evaluator.iterate(value)) {
    const Value key = comparison_key(evaluator, item, bound[1], bound[0]);
    const auto identity = Dict::key_of(key);
    if (!identity) return evaluator.wrong_type("'unique'", key, "strings or numbers");
    if (!evaluator.charge(key.weight())) return {};
    if (seen.insert(*identity).second) out.push_back(item);
  }
  return evaluator.list(std::move(out));
}

template <End end>
Value extreme(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound =
      evaluator.bind("min or max", std::move(arguments), {"case_sensitive", "attribute"});
  const std::vector<Value> items = evaluator.iterate(value);
  Value best = Value::undefined("min or max of nothing"), best_key;
  for (size_t i = 0; i < items.size() && !evaluator.failed(); ++i) {
    const Value key = comparison_key(evaluator, items[i], bound[1], bound[0]);
    const bool better = i == 0 || (end == End::kFirst ? evaluator.ordered_before(key, best_key)
                                                      : evaluator.ordered_before(best_key, key));
    if (better) {
      best = items[i];
      best_key = key;
    }
  }
  return best;
}

Value sum(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("sum", std::move(arguments), {"attribute", "start"});
  Value total = bound[1].is_undefined() ? Value(int64_t{0}) : bound[1];
  for (const Value& item : evaluator.iterate(value)) {
    total = evaluator.add(
        total, bound[0].is_undefined() || bound[0].is_none() ? item : evaluator.path(item, bound[0]));
    if (evaluator.failed()) return {};
  }
  return total;
}

// Attributes only: of a dictionary the methods, not the keys.
Value attr(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("attr", std::move(arguments), {"name"}, 1);
  if (evaluator.failed()) return {};
  const std::string name(evaluator.text_of(bound[0]).bytes());
  if (value.dict() != nullptr && find_method(value, name) == nullptr) return Value::undefined(name);
  return evaluator.attribute(value, name);
}

Value map(Evaluator& evaluator, const Value& value, Arguments arguments) {
  if (!value.truthy()) return evaluator.list({});  // none, too, as Jinja has it
  std::vector<Value> out;
  if (arguments.positional.empty()) {
    const std::vector<Value> bound = evaluator.bind("map", std::move(arguments), {"attribute", "default"});
    if (bound[0].is_undefined()) {
      return evaluator.fail(StatusCode::kCorruptData, "'map' lacks an argument",
                            "a filter's name or attribute=");
    }
    for (const Value& item : evaluator.iterate(value)) {
      out.push_back(evaluator.path(item, bound[0], bound[1]));
      if (evaluator.failed()) return {};
    }
    return evaluator.list(std::move(out));
  }
  const std::string name(evaluator.text_of(arguments.positional[0]).bytes());
  arguments.positional.erase(arguments.positional.begin());
  for (const Value& item : evaluator.iterate(value)) {
    out.push_back(evaluator.filter(name, item, arguments));
    if (evaluator.failed()) return {};
  }
  return evaluator.list(std::move(out));
}

enum class Choice : uint8_t { kSelect, kReject };
enum class Subject : uint8_t { kItem, kAttribute };
template <Choice choice, Subject subject>
Value choose(Evaluator& evaluator, const Value& value, Arguments arguments) {
  if (!value.truthy()) return evaluator.list({});
  Value attribute;
  const auto take_first = [&] {
    const Value first = arguments.positional.front();
    arguments.positional.erase(arguments.positional.begin());
    return first;
  };
  if (subject == Subject::kAttribute) {
    if (arguments.positional.empty()) {
      return evaluator.fail(StatusCode::kCorruptData,
                            "'selectattr' or 'rejectattr' lacks an attribute's name");
    }
    attribute = take_first();
  }
  const bool by_truth = arguments.positional.empty();
  const std::string name(by_truth ? "" : std::string(evaluator.text_of(take_first()).bytes()));
  std::vector<Value> out;
  for (const Value& item : evaluator.iterate(value)) {
    const Value tested = subject == Subject::kAttribute ? evaluator.path(item, attribute) : item;
    const bool holds = by_truth ? tested.truthy() : evaluator.test(name, tested, arguments);
    if (evaluator.failed()) return {};
    if (holds == (choice == Choice::kSelect)) out.push_back(item);
  }
  return evaluator.list(std::move(out));
}

Value safe(Evaluator& evaluator, const Value& value, Arguments arguments) {
  evaluator.bind("safe", std::move(arguments), {});
  return value;  // nothing is escaped in the first place
}

constexpr std::pair<std::string_view, FilterFunction> kFilters[] = {
    {"abs", absolute},
    {"attr", attr},
    {"capitalize", case_filter<Case::kCapitalised>},
    {"count", length},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dictsort},
    {"first", end_of<End::kFirst>},
    {"float", to_float},
    {"format", format},
    {"indent", indent},
    {"int", to_int},
    {"items", items},
    {"join", join},
    {"last", end_of<End::kLast>},
    {"length", length},
    {"list", list},
    {"lower", case_filter<Case::kLower>},
    {"map", map},
    {"max", extreme<End::kLast>},
    {"min", extreme<End::kFirst>},
    {"reject", choose<Choice::kReject, Subject::kItem>},
    {"rejectattr", choose<Choice::kReject, Subject::kAttribute>},
    {"replace", replace_filter},
    {"reverse", reverse},
    {"round", round_number},
    {"safe", safe},
    {"select", choose<Choice::kSelect, Subject::kItem>},
    {"selectattr", choose<Choice::kSelect, Subject::kAttribute>},
    {"sort", sort},
    {"string", string},
    {"sum", sum},
    {"title", title},
    {"tojson", tojson},
    {"trim", trim},
    {"unique", unique},
    {"upper", case_filter<Case::kUpper>},
};

}  // namespace

FilterFunction find_filter(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const auto& entry) { return entry.first == name; });
  return found == std::end(kFilters) ? nullptr : found->second;
}

std::string filter_names() {
  std::string names;
  for (const auto& [name, function] : kFilters) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace weft::jinja
