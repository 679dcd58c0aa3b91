#include <algorithm>
#include <cmath>

#include "modalities/text/chat_template/builtins.h"
#include "modalities/text/chat_template/evaluator.h"

namespace weft::jinja {
namespace {

std::shared_ptr<const Callable> method(const std::string& name, const Value& receiver) {
  return std::make_shared<const Callable>(Callable{nullptr, {}, name, receiver});
}

int64_t floor_divide(int64_t a, int64_t b) {
  return a / b - ((a % b != 0) && ((a % b < 0) != (b < 0)) ? 1 : 0);
}

}  // namespace

bool BoundedText::grows_by(size_t bytes) {
  if (!evaluator_->charge(static_cast<int64_t>(bytes / 16))) return false;
  if (bytes <= evaluator_->max_text_bytes() - builder_.size()) return true;
  evaluator_->fail(StatusCode::kOutOfRange, "a string becomes too long",
                   "at most " + std::to_string(evaluator_->max_text_bytes()) + " bytes");
  return false;
}

BoundedText& BoundedText::append(std::string_view bytes, TextOrigin origin) {
  if (grows_by(bytes.size())) builder_.append(bytes, origin);
  return *this;
}

BoundedText& BoundedText::append(const Text& text, size_t begin, size_t end) {
  if (grows_by(end - begin)) builder_.append(text, begin, end);
  return *this;
}

// ---- what the built-ins use

std::vector<Value> Evaluator::bind(std::string_view function, Arguments arguments,
                                   std::initializer_list<std::string_view> names, size_t required) {
  std::vector<Value> bound(names.size());
  std::vector<bool> given(names.size(), false);
  const std::string what = "a call of '" + std::string(function) + "'";
  if (arguments.positional.size() > names.size()) {
    fail(StatusCode::kCorruptData, what + " has too many arguments",
         "at most " + std::to_string(names.size()), std::to_string(arguments.positional.size()));
    return bound;
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    bound[i] = std::move(arguments.positional[i]);
    given[i] = true;
  }
  for (auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    const size_t i = static_cast<size_t>(found - names.begin());
    if (found == names.end() || given[i]) {
      std::string known;
      for (const std::string_view n : names) known += (known.empty() ? "" : ", ") + std::string(n);
      fail(StatusCode::kCorruptData, what + " has an argument that is unknown or given twice", known, name);
      return bound;
    }
    bound[i] = std::move(value);
    given[i] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given[i]) {
      fail(StatusCode::kCorruptData, what + " lacks an argument", std::string(*(names.begin() + i)));
      break;
    }
  }
  return bound;
}

std::vector<Value> Evaluator::iterate(const Value& value) {
  std::vector<Value> out;
  if (const List* list = value.list()) {
    if (charge(static_cast<int64_t>(list->items.size()))) out = list->items;
  } else if (const Dict* dict = value.dict()) {
    if (!charge(static_cast<int64_t>(dict->entries.size()))) return out;
    for (const auto& [key, unused] : dict->entries) out.push_back(key);
  } else if (const Text* text = value.text()) {
    // A character as a value of its own takes some hundred bytes: no more of them than the step limit bounds.
    if (!charge(static_cast<int64_t>(8 * text->size()))) return out;
    for (size_t begin = 0; begin < text->size();) {
      size_t end = begin;
      next_code_point(text->bytes(), &end);
      out.push_back(text->slice(begin, end));
      begin = end;
    }
  } else if (!value.is_undefined()) {
    wrong_type("a loop or filter over elements", value, "a list, a dictionary or a string");
  }
  return out;
}

Value Evaluator::list(std::vector<Value> items, ListKind kind) {
  if (!charge(static_cast<int64_t>(items.size()))) return {};
  Result<Value> made = make_list(std::move(items), kind);
  return made.ok() ? *std::move(made) : fail(made.code(), made.error().message, made.error().expected);
}

Value Evaluator::dict(Dict entries) {
  if (!charge(static_cast<int64_t>(entries.entries.size()))) return {};
  Result<Value> made = make_dict(std::move(entries));
  return made.ok() ? *std::move(made) : fail(made.code(), made.error().message, made.error().expected);
}

Text Evaluator::text_of(const Value& value) {
  if (value.text() != nullptr) return *value.text();
  // The printed form of a value is at most 64 bytes for each unit of its weight.
  if (!charge(value.weight())) return {};
  if (value.weight() > static_cast<int64_t>(max_text_bytes() / 4)) {
    fail(StatusCode::kOutOfRange, "a printed value becomes too long",
         "at most " + std::to_string(max_text_bytes()) + " bytes");
    return {};
  }
  return to_text(value);
}

bool Evaluator::equals(const Value& a, const Value& b) {
  return charge(std::min(a.weight(), b.weight())) && equal(a, b);
}

bool Evaluator::ordered_before(const Value& a, const Value& b) {
  if (!charge(std::min(a.weight(), b.weight()))) return false;
  const std::optional<bool> result = less(a, b);
  if (!result) {
    fail(StatusCode::kCorruptData, "two values have no order", "two numbers, two strings or two lists",
         std::string(a.type_name()) + " and " + b.type_name());
  }
  return result.value_or(false);
}

bool Evaluator::contains(const Value& container, const Value& element) {
  if (const Text* text = container.text()) {
    if (element.text() == nullptr) return wrong_type("'in' a string", element, "a string"), false;
    return charge(container.weight()) && text->bytes().find(element.text()->bytes()) != text->bytes().npos;
  }
  if (const List* list = container.list()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& item) { return charge(1) && equals(item, element); });
  }
  if (const Dict* dict = container.dict()) return charge(element.weight()) && dict->find(element) != nullptr;
  if (!container.is_undefined()) wrong_type("'in'", container, "a list, a dictionary or a string");
  return false;
}

Value Evaluator::path(const Value& object, const Value& dotted, const Value& fallback) {
  const auto member = [&](const Value& of, const Value& key) {
    const Value found = item(of, key);
    return found.is_undefined() && !fallback.is_undefined() ? fallback : found;
  };
  if (dotted.integer()) return member(object, dotted);
  if (dotted.text() == nullptr) return wrong_type("attribute=", dotted, "a name or an index");
  const Text& text = *dotted.text();
  Value value = object;
  for (size_t begin = 0; begin <= text.size() && !failed();) {
    const size_t end = std::min(text.bytes().find('.', begin), text.size());
    const std::string part(text.bytes().substr(begin, end - begin));
    const bool index = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    value = member(value, index ? Value(int64_t{std::stol(part)}) : Value::literal(part));
    begin = end + 1;
  }
  return value;
}

Value Evaluator::filter(const std::string& name, Value value, Arguments arguments) {
  const FilterFunction function = find_filter(name);
  if (function == nullptr) {
    return fail(StatusCode::kUnsupported, "this filter is not part of the template language", filter_names(),
                name);
  }
  return charge(1) ? function(*this, value, std::move(arguments)) : Value();
}

bool Evaluator::test(const std::string& name, const Value& value, Arguments arguments) {
  const TestFunction function = find_test(name);
  if (function == nullptr) {
    fail(StatusCode::kUnsupported, "this test is not part of the template language", test_names(), name);
    return false;
  }
  return charge(1) && function(*this, value, std::move(arguments));
}

// ---- members

Value Evaluator::loop_attribute(const Loop& loop, const std::string& name) {
  const std::vector<Value>& items = loop.items->items;
  const auto count = static_cast<int64_t>(items.size()), index = static_cast<int64_t>(loop.index);
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return count - index;
  if (name == "revindex0") return count - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == count;
  if (name == "length") return count;
  if (name == "depth") return int64_t{1};
  if (name == "depth0") return int64_t{0};
  if (name == "previtem") return index == 0 ? Value::undefined("loop.previtem") : items[loop.index - 1];
  if (name == "nextitem")
    return index + 1 == count ? Value::undefined("loop.nextitem") : items[loop.index + 1];
  return Value::undefined("loop." + name);
}

Value Evaluator::attribute(const Value& object, const std::string& name) {
  if (object.is_undefined()) return wrong_type("the attribute '" + name + "'", object, "a value");
  if (find_method(object, name) != nullptr) return method(name, object);
  if (is_mutating_method(object, name)) {
    return fail(StatusCode::kUnsupported, "a template cannot change a list or dictionary",
                "a namespace, or a new value made with '+'", "." + name);
  }
  if (const Dict* dict = object.dict()) {
    if (const Value* found = dict->find(name)) return *found;
  } else if (const auto* space = object.get_if<std::shared_ptr<Namespace>>()) {
    for (const auto& [member, value] : (*space)->members) {
      if (member == name) return value;
    }
  } else if (const auto* loop = object.get_if<std::shared_ptr<const Loop>>()) {
    return loop_attribute(**loop, name);
  }
  return Value::undefined(name);
}

Value Evaluator::item(const Value& object, const Value& key) {
  if (object.is_undefined()) return wrong_type("an index", object, "a list, a dictionary or a string");
  if (!charge(key.weight())) return {};
  if (const Dict* dict = object.dict()) {
    if (const Value* found = dict->find(key)) return *found;
  } else if (const auto index = key.integer(); index && object.list() != nullptr) {
    const std::vector<Value>& items = object.list()->items;
    const int64_t size = static_cast<int64_t>(items.size()), i = *index < 0 ? *index + size : *index;
    if (i >= 0 && i < size) return items[static_cast<size_t>(i)];
  } else if (index && object.text() != nullptr) {
    const std::string_view bytes = object.text()->bytes();
    if (!charge(object.weight())) return {};
    const int64_t size = static_cast<int64_t>(count_code_points(bytes)),
                  i = *index < 0 ? *index + size : *index;
    if (i >= 0 && i < size) {
      const size_t begin = byte_offset(bytes, static_cast<size_t>(i));
      return object.text()->slice(begin, begin + byte_offset(bytes.substr(begin), 1));
    }
  }
  if (key.text() == nullptr)
    return Value::undefined(key.integer() ? "index " + std::to_string(*key.integer()) : "index");
  const std::string name(key.text()->bytes());
  return object.dict() != nullptr && find_method(object, name) == nullptr ? Value::undefined(name)
                                                                          : attribute(object, name);
}

Value Evaluator::slice(const Value& object, const Slice& node, const std::shared_ptr<Scope>& scope) {
  const auto bound = [&](const ExpressionPtr& expression) -> std::optional<int64_t> {
    if (expression == nullptr) return std::nullopt;
    const Value value = evaluate(*expression, scope);
    if (value.is_none()) return std::nullopt;
    if (!value.integer()) wrong_type("a slice", value, "integers");
    return value.integer();
  };
  const std::optional<int64_t> begin = bound(node.begin), end = bound(node.end),
                               given_step = bound(node.step);
  if (failed()) return {};
  if (object.list() == nullptr && object.text() == nullptr)
    return wrong_type("a slice", object, "a list or a string");
  const int64_t step = given_step.value_or(1);
  if (step == 0) return fail(StatusCode::kCorruptData, "a slice's step is zero");
  if (!charge(object.weight())) return {};
  // Python's rules: from the end if negative, then clamped to the ends that this direction can reach.
  const int64_t size = static_cast<int64_t>(
      object.text() != nullptr ? count_code_points(object.text()->bytes()) : object.list()->items.size());
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? size : size - 1;
  const auto clamp = [&](int64_t i) {
    return std::clamp(i < 0 ? std::max(i, -size - 1) + size : i, lowest, highest);
  };
  const int64_t from = begin ? clamp(*begin) : (step > 0 ? lowest : highest);
  const int64_t to = end ? clamp(*end) : (step > 0 ? highest : lowest);
  if (object.text() != nullptr && step == 1) {
    const std::string_view bytes = object.text()->bytes();
    const size_t first = byte_offset(bytes, static_cast<size_t>(from));
    return object.text()->slice(
        first,
        first + byte_offset(bytes.substr(first), static_cast<size_t>(std::max(to - from, int64_t{0}))));
  }
  const std::vector<Value> items = iterate(object);
  if (failed()) return {};
  std::vector<Value> taken;
  // A step beyond the size takes one element; cutting it there keeps the sum within 64 bits.
  const int64_t stride = std::clamp(step, -size - 1, size + 1);
  for (int64_t i = from; step > 0 ? i < to : i > to; i += stride)
    taken.push_back(items[static_cast<size_t>(i)]);
  if (object.list() != nullptr) return list(std::move(taken), object.list()->kind);
  BoundedText text(this);
  for (const Value& character : taken) text.append(*character.text());
  return text.finish();
}

// ---- operators

Value Evaluator::integer_arithmetic(ArithmeticOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case ArithmeticOp::kAdd: overflow = __builtin_add_overflow(a, b, &result); break;
    case ArithmeticOp::kSubtract: overflow = __builtin_sub_overflow(a, b, &result); break;
    case ArithmeticOp::kMultiply: overflow = __builtin_mul_overflow(a, b, &result); break;
    case ArithmeticOp::kFloorDivide:
    case ArithmeticOp::kModulo:
      if (b == 0) return fail(StatusCode::kCorruptData, "a division by zero");
      if (b == -1) {  // the one quotient that overflows
        overflow = op == ArithmeticOp::kFloorDivide && __builtin_sub_overflow(int64_t{0}, a, &result);
      } else {
        result = op == ArithmeticOp::kFloorDivide ? floor_divide(a, b) : a - floor_divide(a, b) * b;
      }
      break;
    case ArithmeticOp::kPower:
      if (b < 0) return float_arithmetic(op, static_cast<double>(a), static_cast<double>(b));
      result = 1;
      if (a == 0 || a == 1) return b == 0 ? int64_t{1} : a;
      if (a == -1) return b % 2 == 0 ? int64_t{1} : int64_t{-1};
      for (; b > 0 && !overflow; --b) overflow = __builtin_mul_overflow(result, a, &result);
      break;
    case ArithmeticOp::kDivide: return float_arithmetic(op, static_cast<double>(a), static_cast<double>(b));
  }
  return overflow ? fail(StatusCode::kOutOfRange, "an integer becomes too large", "at most 64 bits")
                  : Value(result);
}

Value Evaluator::float_arithmetic(ArithmeticOp op, double a, double b) {
  switch (op) {
    case ArithmeticOp::kAdd: return a + b;
    case ArithmeticOp::kSubtract: return a - b;
    case ArithmeticOp::kMultiply: return a * b;
    case ArithmeticOp::kPower: return std::pow(a, b);
    case ArithmeticOp::kDivide:
    case ArithmeticOp::kFloorDivide:
    case ArithmeticOp::kModulo: break;
  }
  if (b == 0) return fail(StatusCode::kCorruptData, "a division by zero");
  if (op == ArithmeticOp::kDivide) return a / b;
  if (op == ArithmeticOp::kFloorDivide) return std::floor(a / b);
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

Value Evaluator::repeat(const Value& sequence, int64_t times) {
  if (const Text* text = sequence.text()) {
    BoundedText out(this);
    for (int64_t i = 0; i < times && !text->empty() && charge(1); ++i) out.append(*text);
    return out.finish();
  }
  std::vector<Value> items;
  const std::vector<Value>& once = sequence.list()->items;
  for (int64_t i = 0; i < times && !once.empty() && charge(static_cast<int64_t>(once.size())); ++i) {
    items.insert(items.end(), once.begin(), once.end());
  }
  return list(std::move(items), sequence.list()->kind);
}

Value Evaluator::add(const Value& a, const Value& b) { return arithmetic(ArithmeticOp::kAdd, a, b); }

Value Evaluator::arithmetic(ArithmeticOp op, const Value& a, const Value& b) {
  if (failed()) return {};
  static constexpr const char* kNames[] = {"+", "-", "*", "/", "//", "%", "**"};
  const std::string name = std::string("'") + kNames[static_cast<int>(op)] + "'";
  if (a.number() && b.number()) {
    if (a.integer() && b.integer()) return integer_arithmetic(op, *a.integer(), *b.integer());
    return float_arithmetic(op, *a.number(), *b.number());
  }
  if (op == ArithmeticOp::kAdd && a.text() != nullptr && b.text() != nullptr) {
    BoundedText text(this);
    text.append(*a.text()).append(*b.text());
    return text.finish();
  }
  if (op == ArithmeticOp::kAdd && a.list() != nullptr && b.list() != nullptr &&
      a.list()->kind == b.list()->kind) {
    std::vector<Value> items = iterate(a);
    for (Value& value : iterate(b)) items.push_back(std::move(value));
    return list(std::move(items), a.list()->kind);
  }
  if (op == ArithmeticOp::kMultiply) {
    if ((a.text() != nullptr || a.list() != nullptr) && b.integer()) return repeat(a, *b.integer());
    if ((b.text() != nullptr || b.list() != nullptr) && a.integer()) return repeat(b, *a.integer());
  }
  if (op == ArithmeticOp::kModulo && a.text() != nullptr) {
    const bool tuple = b.list() != nullptr && b.list()->kind == ListKind::kTuple;
    return percent_format(*this, *a.text(), tuple ? b.list()->items : std::vector<Value>{b});
  }
  // The operand that is to blame: the undefined one, else the second.
  const Value& wrong = a.is_undefined() || !(b.is_undefined() || a.number() || a.text() != nullptr) ? a : b;
  return wrong_type(name, wrong,
                    a.text() != nullptr ? "a string"
                    : a.number()        ? "a number"
                                        : "values that go together");
}

bool Evaluator::compare(CompareOp op, const Value& a, const Value& b) {
  switch (op) {
    case CompareOp::kEqual: return equals(a, b);
    case CompareOp::kNotEqual: return !equals(a, b);
    case CompareOp::kLess: return ordered_before(a, b);
    case CompareOp::kGreater: return ordered_before(b, a);
    case CompareOp::kLessEqual: return ordered_before(a, b) || equals(a, b);
    case CompareOp::kGreaterEqual: return ordered_before(b, a) || equals(a, b);
    case CompareOp::kIn: return contains(b, a);
    case CompareOp::kNotIn: return !contains(b, a);
  }
  return false;
}

Value Evaluator::evaluate_compare(const Compare& node, const std::shared_ptr<Scope>& scope) {
  Value left = evaluate(*node.first, scope);
  for (const auto& [op, operand] : node.rest) {
    const Offset at = at_;
    Value right = evaluate(*operand, scope);
    at_ = at;
    if (failed() || !compare(op, left, right)) return false;
    left = std::move(right);
  }
  return true;
}

// ---- expressions

Value Evaluator::evaluate(const Expression& expression, const std::shared_ptr<Scope>& scope) {
  const Depth depth(this);
  if (!charge(1)) return {};
  at_ = expression.at;
  if (const auto* node = std::get_if<Literal>(&expression.what)) return node->value;
  if (const auto* node = std::get_if<Name>(&expression.what)) {
    if (const Value* value = scope->find(node->name)) return *value;
    if (find_function(node->name) != nullptr) return method(node->name, Value());
    return Value::undefined(node->name);
  }
  if (const auto* node = std::get_if<Postfix>(&expression.what)) {
    Value value = evaluate(*node->base, scope);
    for (const Step& step : node->steps) {
      if (failed()) return {};
      value = evaluate_step(std::move(value), step, scope);
    }
    return value;
  }
  if (const auto* node = std::get_if<Arithmetic>(&expression.what)) {
    Value value = evaluate(*node->first, scope);
    for (const auto& [op, operand] : node->rest) {
      const Value right = evaluate(*operand, scope);
      at_ = expression.at;
      value = arithmetic(op, value, right);
    }
    return value;
  }
  if (const auto* node = std::get_if<Concatenation>(&expression.what)) {
    BoundedText text(this);
    for (const ExpressionPtr& operand : node->operands) {
      const Value value = evaluate(*operand, scope);
      if (failed()) return {};
      text.append(text_of(value));
    }
    return text.finish();
  }
  if (const auto* node = std::get_if<Compare>(&expression.what)) return evaluate_compare(*node, scope);
  if (const auto* node = std::get_if<And>(&expression.what)) {
    Value value;
    for (const ExpressionPtr& operand : node->operands) {
      value = evaluate(*operand, scope);
      if (failed() || !value.truthy()) break;
    }
    return value;
  }
  if (const auto* node = std::get_if<Or>(&expression.what)) {
    Value value;
    for (const ExpressionPtr& operand : node->operands) {
      value = evaluate(*operand, scope);
      if (failed() || value.truthy()) break;
    }
    return value;
  }
  if (const auto* node = std::get_if<Not>(&expression.what)) return !evaluate(*node->operand, scope).truthy();
  if (const auto* node = std::get_if<Sign>(&expression.what)) {
    const Value value = evaluate(*node->operand, scope);
    if (failed()) return {};
    at_ = expression.at;
    if (!value.number()) return wrong_type(node->op == ArithmeticOp::kAdd ? "'+'" : "'-'", value, "a number");
    return arithmetic(node->op, value.integer() ? Value(int64_t{0}) : Value(-0.0), value);
  }
  if (const auto* node = std::get_if<Conditional>(&expression.what)) {
    const bool chosen = evaluate(*node->condition, scope).truthy();
    if (failed()) return {};
    if (chosen) return evaluate(*node->then, scope);
    return node->otherwise == nullptr ? Value::undefined("else") : evaluate(*node->otherwise, scope);
  }
  if (const auto* node = std::get_if<ListDisplay>(&expression.what)) {
    std::vector<Value> items;
    for (const ExpressionPtr& operand : node->items) items.push_back(evaluate(*operand, scope));
    return failed() ? Value() : list(std::move(items), node->kind);
  }
  Dict entries;
  for (const auto& [key_expression, value_expression] : std::get<DictDisplay>(expression.what).entries) {
    const Value key = evaluate(*key_expression, scope);
    Value value = evaluate(*value_expression, scope);
    if (failed()) return {};
    at_ = expression.at;
    if (!Dict::key_of(key)) return wrong_type("a dictionary's key", key, "a string or a number");
    entries.set(key, std::move(value));
  }
  return dict(std::move(entries));
}

Arguments Evaluator::evaluate_arguments(const ArgumentList& list, const std::shared_ptr<Scope>& scope) {
  Arguments arguments;
  for (const Argument& argument : list) {
    Value value = evaluate(*argument.value, scope);
    if (failed()) break;
    if (argument.name.empty()) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(argument.name, std::move(value));
    }
  }
  return arguments;
}

Value Evaluator::evaluate_step(Value base, const Step& step, const std::shared_ptr<Scope>& scope) {
  if (failed()) return {};
  at_ = step.at;
  if (!charge(1)) return {};
  if (const auto* node = std::get_if<Attribute>(&step.what)) return attribute(base, node->name);
  if (const auto* node = std::get_if<Item>(&step.what)) {
    const Value key = evaluate(*node->key, scope);
    at_ = step.at;
    return failed() ? Value() : item(base, key);
  }
  if (const auto* node = std::get_if<Slice>(&step.what)) return slice(base, *node, scope);
  if (const auto* node = std::get_if<Call>(&step.what)) {
    Arguments arguments = evaluate_arguments(node->arguments, scope);
    at_ = step.at;
    return failed() ? Value() : call(base, std::move(arguments));
  }
  if (const auto* node = std::get_if<Filter>(&step.what)) {
    Arguments arguments = evaluate_arguments(node->arguments, scope);
    at_ = step.at;
    return failed() ? Value() : filter(node->name, std::move(base), std::move(arguments));
  }
  const auto& node = std::get<Test>(step.what);
  Arguments arguments = evaluate_arguments(node.arguments, scope);
  at_ = step.at;
  if (failed()) return {};
  return test(node.name, base, std::move(arguments)) == (node.polarity == Polarity::kIs);
}

Value Evaluator::call(const Value& function, Arguments arguments) {
  const auto* callable = function.get_if<std::shared_ptr<const Callable>>();
  if (callable == nullptr) return wrong_type("a call", function, "a macro, a function or a method");
  const Callable& target = **callable;
  if (target.macro != nullptr) return call_macro(target, std::move(arguments));
  if (target.receiver.is_undefined()) return find_function(target.name)(*this, std::move(arguments));
  return find_method(target.receiver, target.name)(*this, target.receiver, std::move(arguments));
}

}  // namespace weft::jinja
