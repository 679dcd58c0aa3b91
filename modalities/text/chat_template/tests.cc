// What may follow `is`.
#include <algorithm>
#include <iterator>

#include "modalities/text/chat_template/builtins.h"

namespace weft::jinja {
namespace {

bool no_arguments(Evaluator& evaluator, Arguments arguments) {
  evaluator.bind("test", std::move(arguments), {});
  return !evaluator.failed();
}

// A test without arguments, from a predicate on the value.
template <bool (*predicate)(const Value&)>
bool plain(Evaluator& evaluator, const Value& value, Arguments arguments) {
  return no_arguments(evaluator, std::move(arguments)) && predicate(value);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is_none(); }
bool is_string(const Value& v) { return v.text() != nullptr; }
bool is_mapping(const Value& v) { return v.dict() != nullptr; }
// An undefined value iterates as an empty one, in Jinja as here.
bool is_iterable(const Value& v) {
  return v.list() != nullptr || v.dict() != nullptr || v.text() != nullptr || v.is_undefined();
}
bool is_number(const Value& v) { return v.number().has_value(); }
bool is_integer(const Value& v) { return v.get_if<int64_t>() != nullptr; }
bool is_float(const Value& v) { return v.get_if<double>() != nullptr; }
bool is_boolean(const Value& v) { return v.get_if<bool>() != nullptr; }
bool is_true(const Value& v) { return v.get_if<bool>() != nullptr && *v.get_if<bool>(); }
bool is_false(const Value& v) { return v.get_if<bool>() != nullptr && !*v.get_if<bool>(); }
bool is_callable(const Value& v) { return v.get_if<std::shared_ptr<const Callable>>() != nullptr; }

template <Case wanted>
bool has_case(Evaluator& evaluator, const Value& value, Arguments arguments) {
  if (!no_arguments(evaluator, std::move(arguments))) return false;
  const Text text = evaluator.text_of(value);
  const Case other = wanted == Case::kUpper ? Case::kLower : Case::kUpper;
  return change_case(evaluator, text, wanted).bytes() == text.bytes() &&
         change_case(evaluator, text, other).bytes() != text.bytes();
}

template <int remainder>
bool parity(Evaluator& evaluator, const Value& value, Arguments arguments) {
  if (!no_arguments(evaluator, std::move(arguments))) return false;
  const auto integer = value.integer();
  if (!integer) return evaluator.wrong_type("a test for even or odd", value, "an integer"), false;
  return (*integer % 2 != 0) == (remainder != 0);
}

bool is_divisible_by(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("divisibleby", std::move(arguments), {"num"}, 1);
  if (evaluator.failed()) return false;
  const auto a = value.integer(), b = bound[0].integer();
  if (!a || !b || *b == 0)
    return evaluator.wrong_type("'divisibleby'", a ? bound[0] : value, "an integer, not 0"), false;
  return *b == -1 || *a % *b == 0;
}

// Tests with one argument, by comparison.
enum class Relation : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn };
template <Relation relation>
bool related(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("test", std::move(arguments), {"other"}, 1);
  if (evaluator.failed()) return false;
  switch (relation) {
    case Relation::kEqual: return evaluator.equals(value, bound[0]);
    case Relation::kNotEqual: return !evaluator.equals(value, bound[0]);
    case Relation::kLess: return evaluator.ordered_before(value, bound[0]);
    case Relation::kLessEqual:
      return evaluator.ordered_before(value, bound[0]) || evaluator.equals(value, bound[0]);
    case Relation::kGreater: return evaluator.ordered_before(bound[0], value);
    case Relation::kGreaterEqual:
      return evaluator.ordered_before(bound[0], value) || evaluator.equals(value, bound[0]);
    case Relation::kIn: return evaluator.contains(bound[0], value);
  }
}

bool is_same_as(Evaluator& evaluator, const Value& value, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("sameas", std::move(arguments), {"other"}, 1);
  return !evaluator.failed() && value.type_name() == bound[0].type_name() &&
         evaluator.equals(value, bound[0]);
}

constexpr std::pair<std::string_view, TestFunction> kTests[] = {
    {"!=", related<Relation::kNotEqual>},
    {"<", related<Relation::kLess>},
    {"<=", related<Relation::kLessEqual>},
    {"==", related<Relation::kEqual>},
    {">", related<Relation::kGreater>},
    {">=", related<Relation::kGreaterEqual>},
    {"boolean", plain<is_boolean>},
    {"callable", plain<is_callable>},
    {"defined", plain<is_defined>},
    {"divisibleby", is_divisible_by},
    {"eq", related<Relation::kEqual>},
    {"equalto", related<Relation::kEqual>},
    {"even", parity<0>},
    {"false", plain<is_false>},
    {"float", plain<is_float>},
    {"ge", related<Relation::kGreaterEqual>},
    {"greaterthan", related<Relation::kGreater>},
    {"gt", related<Relation::kGreater>},
    {"in", related<Relation::kIn>},
    {"integer", plain<is_integer>},
    {"iterable", plain<is_iterable>},
    {"le", related<Relation::kLessEqual>},
    {"lessthan", related<Relation::kLess>},
    {"lower", has_case<Case::kLower>},
    {"lt", related<Relation::kLess>},
    {"mapping", plain<is_mapping>},
    {"ne", related<Relation::kNotEqual>},
    {"none", plain<is_none>},
    {"number", plain<is_number>},
    {"odd", parity<1>},
    {"sameas", is_same_as},
    {"sequence", plain<is_iterable>},
    {"string", plain<is_string>},
    {"true", plain<is_true>},
    {"undefined", plain<is_undefined>},
    {"upper", has_case<Case::kUpper>},
};

}  // namespace

TestFunction find_test(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const auto& entry) { return entry.first == name; });
  return found == std::end(kTests) ? nullptr : found->second;
}

std::string test_names() {
  std::string names;
  for (const auto& [name, function] : kTests) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace weft::jinja
