// Global functions.
#include <algorithm>
#include <iterator>

#include "modalities/text/chat_template/builtins.h"

namespace weft::jinja {
namespace {

Value range(Evaluator& evaluator, Arguments arguments) {
  constexpr int64_t kMaxElements = 100'000;  // as in Jinja's sandbox
  const size_t given = arguments.positional.size();
  const std::vector<Value> bound =
      evaluator.bind("range", std::move(arguments), {"start", "stop", "step"}, 1);
  if (evaluator.failed()) return {};
  int64_t parts[3] = {0, 0, 1};
  for (size_t i = 0; i < std::min(given, size_t{3}); ++i) {
    const size_t place = given == 1 ? 1 : i;
    const auto integer = bound[i].get_if<double>() != nullptr ? std::nullopt : bound[i].integer();
    if (!integer) return evaluator.wrong_type("range()", bound[i], "integers");
    parts[place] = *integer;
  }
  const auto [start, stop, step] = parts;
  if (step == 0) return evaluator.fail(StatusCode::kCorruptData, "a range's step is zero");
  std::vector<Value> items;
  for (int64_t i = start, next = 0; step > 0 ? i < stop : i > stop; i = next) {
    if (items.size() == kMaxElements || !evaluator.charge(1)) {
      return evaluator.fail(StatusCode::kOutOfRange, "a range is too long",
                            "at most " + std::to_string(kMaxElements) + " elements");
    }
    items.push_back(i);
    if (__builtin_add_overflow(i, step, &next)) break;
  }
  return evaluator.list(std::move(items));
}

Value raise_exception(Evaluator& evaluator, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("raise_exception", std::move(arguments), {"message"}, 1);
  if (evaluator.failed()) return {};
  const Text message = evaluator.text_of(bound[0]);
  return evaluator.fail(StatusCode::kInvalidArgument, "the chat template refuses these messages: " +
                                                          std::string(message.bytes().substr(0, 1000)));
}

Value strftime_now(Evaluator& evaluator, Arguments arguments) {
  const std::vector<Value> bound = evaluator.bind("strftime_now", std::move(arguments), {"format"}, 1);
  if (evaluator.failed()) return {};
  if (bound[0].text() == nullptr) return evaluator.wrong_type("strftime_now()", bound[0], "a string");
  if (!evaluator.charge(bound[0].weight() * 16)) return {};
  return Value::literal(format_time(bound[0].text()->bytes(), evaluator.now_seconds()));
}

// The members that dict() and namespace() are made of: a dictionary's, then the named arguments.
Dict members(Evaluator& evaluator, Arguments arguments, std::string_view function) {
  Dict out;
  if (arguments.positional.size() > 1) {
    evaluator.fail(StatusCode::kCorruptData, std::string(function) + "() takes one value without a name");
  } else if (arguments.positional.size() == 1) {
    const Dict* given = arguments.positional[0].dict();
    if (given == nullptr) {
      evaluator.wrong_type(std::string(function) + "()", arguments.positional[0], "a dictionary");
    } else if (evaluator.charge(arguments.positional[0].weight())) {
      out = *given;
    }
  }
  for (auto& [name, value] : arguments.named) out.set(Value::literal(name), std::move(value));
  return out;
}

Value dict(Evaluator& evaluator, Arguments arguments) {
  Dict made = members(evaluator, std::move(arguments), "dict");
  return evaluator.failed() ? Value() : evaluator.dict(std::move(made));
}

Value make_namespace(Evaluator& evaluator, Arguments arguments) {
  const Dict made = members(evaluator, std::move(arguments), "namespace");
  auto space = std::make_shared<Namespace>();
  for (const auto& [key, value] : made.entries) {
    const std::string name(key.text() == nullptr ? std::string_view() : key.text()->bytes());
    if (name.empty() || name.starts_with('_')) {
      return evaluator.fail(StatusCode::kUnsupported, "a namespace's names cannot begin with an underscore",
                            {}, name);
    }
    if (value.holds_namespace()) {
      return evaluator.fail(StatusCode::kUnsupported, "a namespace cannot hold a namespace",
                            "any other value");
    }
    space->members.emplace_back(name, value);
  }
  return evaluator.failed() ? Value() : Value(std::move(space));
}

constexpr std::pair<std::string_view, GlobalFunction> kFunctions[] = {
    {"range", range}, {"raise_exception", raise_exception}, {"strftime_now", strftime_now},
    {"dict", dict},   {"namespace", make_namespace},
};

}  // namespace

GlobalFunction find_function(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const auto& entry) { return entry.first == name; });
  return found == std::end(kFunctions) ? nullptr : found->second;
}

}  // namespace weft::jinja
