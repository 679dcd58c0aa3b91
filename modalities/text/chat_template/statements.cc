#include <algorithm>

#include "modalities/text/chat_template/builtins.h"
#include "modalities/text/chat_template/evaluator.h"

namespace weft::jinja {

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get()) {
    for (const auto& [known, value] : scope->variables_) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(const std::string& name, Value value) {
  for (auto& [known, old] : variables_) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  variables_.emplace_back(name, std::move(value));
}

Evaluator::Evaluator(const Syntax& syntax, const RenderLimits& limits, int64_t now_seconds)
    : syntax_(syntax), limits_(limits), now_seconds_(now_seconds), root_(std::make_shared<Scope>(nullptr)) {}

Result<RenderedChat> Evaluator::run() {
  TextBuilder output;
  output_ = &output;
  execute(syntax_.body, root_);
  if (failed()) return std::move(status_);
  const Text text = output.finish();
  RenderedChat rendered{std::string(text.bytes()), {}};
  size_t begin = 0;
  for (const Text::Run& run : text.runs()) {
    rendered.runs.push_back({begin, run.end, run.origin});
    begin = run.end;
  }
  return rendered;
}

Value Evaluator::fail(StatusCode code, std::string message, std::string expected, std::string got) {
  if (status_.ok()) {
    status_ = Status(code, std::move(message))
                  .at(place(syntax_.source, at_))
                  .expected(std::move(expected))
                  .got(std::move(got));
  }
  return {};
}

Value Evaluator::wrong_type(std::string_view what, const Value& value, std::string_view expected) {
  std::string got = value.type_name();
  if (const Undefined* undefined = value.get_if<Undefined>(); undefined != nullptr && undefined->name) {
    got = "'" + *undefined->name + "', which is undefined";
  }
  return fail(StatusCode::kCorruptData, std::string(what) + " does not take this value",
              std::string(expected), got);
}

bool Evaluator::charge(int64_t steps) {
  if (failed()) return false;
  steps_ += std::min(steps, limits_.max_steps);  // cannot overflow: steps_ <= max_steps before
  if (steps_ <= limits_.max_steps) return true;
  fail(StatusCode::kOutOfRange, "a template runs too long",
       "at most " + std::to_string(limits_.max_steps) + " steps of evaluation");
  return false;
}

Evaluator::Flow Evaluator::execute(const Body& body, const std::shared_ptr<Scope>& scope) {
  const Depth depth(this);
  if (failed()) return Flow::kBreak;
  for (const Statement& statement : body) {
    at_ = statement.at;
    if (!charge(1)) return Flow::kBreak;
    const Flow flow = execute(statement, scope);
    if (failed()) return Flow::kBreak;
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute(const Statement& statement, const std::shared_ptr<Scope>& scope) {
  const auto& what = statement.what;
  if (const auto* data = std::get_if<Data>(&what)) print(data->text);
  if (const auto* print_node = std::get_if<Print>(&what)) {
    const Value value = evaluate(*print_node->value, scope);
    if (!failed()) print(text_of(value));
  }
  if (const auto* branches = std::get_if<If>(&what)) return execute_if(*branches, scope);
  if (const auto* loop = std::get_if<For>(&what)) return execute_for(*loop, scope);
  if (const auto* with = std::get_if<With>(&what)) return execute_with(*with, scope);
  if (const auto* set = std::get_if<Set>(&what)) {
    assign(set->targets, set->attribute, evaluate(*set->value, scope), scope);
  }
  if (const auto* block = std::get_if<SetBlock>(&what)) {
    Value value = capture(block->body, std::make_shared<Scope>(scope));
    assign({block->target}, block->attribute, apply_filters(block->filters, std::move(value), scope), scope);
  }
  if (const auto* macro = std::get_if<std::unique_ptr<Macro>>(&what)) {
    Callable callable{macro->get(), scope, (*macro)->name, {}};
    scope->set((*macro)->name, Value(std::make_shared<const Callable>(std::move(callable))));
  }
  if (const auto* block = std::get_if<FilterBlock>(&what)) {
    const Value value =
        apply_filters(block->filters, capture(block->body, std::make_shared<Scope>(scope)), scope);
    if (!failed()) print(text_of(value));
  }
  if (std::holds_alternative<Break>(what)) return Flow::kBreak;
  if (std::holds_alternative<Continue>(what)) return Flow::kContinue;
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute_if(const If& node, const std::shared_ptr<Scope>& scope) {
  for (const auto& [condition, body] : node.branches) {
    const bool chosen = evaluate(*condition, scope).truthy();
    if (failed()) return Flow::kBreak;
    if (chosen) return execute(body, scope);
  }
  return execute(node.otherwise, scope);
}

Evaluator::Flow Evaluator::execute_for(const For& node, const std::shared_ptr<Scope>& scope) {
  const Value iterable = evaluate(*node.iterable, scope);
  std::vector<Value> items = iterate(iterable);
  if (node.condition != nullptr) {
    std::vector<Value> kept;
    for (Value& item : items) {
      const auto inner = std::make_shared<Scope>(scope);
      unpack(node.targets, item, inner.get());
      if (failed()) return Flow::kBreak;
      if (evaluate(*node.condition, inner).truthy()) kept.push_back(std::move(item));
    }
    items = std::move(kept);
  }
  if (failed()) return Flow::kBreak;
  if (items.empty()) return execute(node.otherwise, scope);
  const Value all = list(std::move(items));
  if (failed()) return Flow::kBreak;
  const auto shared = *all.get_if<std::shared_ptr<const List>>();
  for (size_t i = 0; i < shared->items.size() && charge(1); ++i) {
    const auto inner = std::make_shared<Scope>(scope);
    inner->set("loop", Value(std::make_shared<const Loop>(Loop{shared, i})));
    unpack(node.targets, shared->items[i], inner.get());
    const Flow flow = execute(node.body, inner);
    if (failed() || flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

Evaluator::Flow Evaluator::execute_with(const With& node, const std::shared_ptr<Scope>& scope) {
  const auto inner = std::make_shared<Scope>(scope);
  for (const auto& [name, expression] : node.variables) inner->set(name, evaluate(*expression, scope));
  return failed() ? Flow::kBreak : execute(node.body, inner);
}

void Evaluator::assign(const std::vector<std::string>& targets, const std::string& attribute, Value value,
                       const std::shared_ptr<Scope>& scope) {
  if (failed()) return;
  if (attribute.empty()) return unpack(targets, value, scope.get());
  const Value* object = scope->find(targets[0]);
  const auto* space = object == nullptr ? nullptr : object->get_if<std::shared_ptr<Namespace>>();
  if (space == nullptr) {
    wrong_type("an assignment to an attribute", object == nullptr ? Value::undefined(targets[0]) : *object,
               "a namespace");
    return;
  }
  if (value.holds_namespace()) {
    fail(StatusCode::kUnsupported, "a namespace cannot hold a namespace", "any other value");
    return;
  }
  if (attribute.starts_with('_')) {
    fail(StatusCode::kUnsupported, "a namespace's names cannot begin with an underscore", {}, attribute);
    return;
  }
  for (auto& [name, old] : (*space)->members) {
    if (name == attribute) {
      old = std::move(value);
      return;
    }
  }
  (*space)->members.emplace_back(attribute, std::move(value));
}

void Evaluator::unpack(const std::vector<std::string>& targets, const Value& value, Scope* scope) {
  if (targets.size() == 1) return scope->set(targets[0], value);
  const std::vector<Value> items = iterate(value);
  if (failed()) return;
  if (items.size() != targets.size()) {
    fail(StatusCode::kCorruptData, "the variables and the values differ in number",
         std::to_string(targets.size()) + " values", std::to_string(items.size()));
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) scope->set(targets[i], items[i]);
}

void Evaluator::print(const Text& text) {
  if (!charge(static_cast<int64_t>(text.size() / 16))) return;
  if (text.size() > limits_.max_output_bytes - output_->size()) {
    fail(StatusCode::kOutOfRange, "a template writes too much",
         "at most " + std::to_string(limits_.max_output_bytes) + " bytes");
    return;
  }
  output_->append(text);
}

Text Evaluator::capture(const Body& body, const std::shared_ptr<Scope>& scope) {
  TextBuilder captured;
  TextBuilder* const outer = std::exchange(output_, &captured);
  execute(body, scope);
  output_ = outer;
  return captured.finish();
}

Value Evaluator::apply_filters(const std::vector<Step>& filters, Value value,
                               const std::shared_ptr<Scope>& scope) {
  for (const Step& step : filters) value = evaluate_step(std::move(value), step, scope);
  return value;
}

Value Evaluator::call_macro(const Callable& callable, Arguments arguments) {
  const std::shared_ptr<Scope> outer = callable.scope.lock();
  if (outer == nullptr) {
    return fail(StatusCode::kUnsupported, "a macro is called after the block that defined it has ended",
                "a call within that block", callable.name);
  }
  const Macro& macro = *callable.macro;
  if (arguments.positional.size() > macro.parameters.size()) {
    return fail(StatusCode::kCorruptData, "a macro gets too many arguments",
                "at most " + std::to_string(macro.parameters.size()),
                std::to_string(arguments.positional.size()));
  }
  const auto scope = std::make_shared<Scope>(outer);
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    scope->set(macro.parameters[i].name, std::move(arguments.positional[i]));
  }
  std::vector<bool> given(macro.parameters.size(), false);
  std::fill_n(given.begin(), arguments.positional.size(), true);
  for (auto& [name, value] : arguments.named) {
    const auto parameter = std::find_if(macro.parameters.begin(), macro.parameters.end(),
                                        [&wanted = name](const Parameter& p) { return p.name == wanted; });
    const size_t i = static_cast<size_t>(parameter - macro.parameters.begin());
    if (parameter == macro.parameters.end() || given[i]) {
      return fail(StatusCode::kCorruptData, "a macro gets an argument that it has not, or has already",
                  "a parameter of " + macro.name, name);
    }
    given[i] = true;
    scope->set(name, std::move(value));
  }
  for (size_t i = 0; i < given.size() && !failed(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    if (given[i]) continue;
    scope->set(parameter.name, parameter.default_value == nullptr
                                   ? Value::undefined(parameter.name)
                                   : evaluate(*parameter.default_value, scope));
  }
  return failed() ? Value() : Value(capture(macro.body, scope));
}

}  // namespace weft::jinja
