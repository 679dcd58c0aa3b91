/// Runs a syntax tree over given variables, within limits.
///
/// Errors: the first failure is kept with its place; from then on every operation returns at once, with an
/// undefined value that nobody looks at. Code here and in the built-ins asks failed() wherever it loops or
/// decides.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_EVALUATOR_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_EVALUATOR_H

#include <weft/sdk/status.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "modalities/text/chat_template/chat_template.h"
#include "modalities/text/chat_template/syntax.h"
#include "modalities/text/chat_template/value.h"

namespace weft::jinja {

/// Variables of one block; reads go on to the blocks around it.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}
  const Value* find(std::string_view name) const;
  void set(const std::string& name, Value value);

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<std::string, Value>> variables_;
};

/// Evaluated arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Evaluator {
 public:
  Evaluator(const Syntax& syntax, const RenderLimits& limits, int64_t now_seconds);

  void define(const std::string& name, Value value) { root_->set(name, std::move(value)); }
  Result<RenderedChat> run();

  // For the built-in filters, tests, methods and functions.

  bool failed() const { return !status_.ok(); }
  /// Keeps the first error, at the place that is being evaluated; returns an undefined value.
  Value fail(StatusCode code, std::string message, std::string expected = {}, std::string got = {});
  /// kCorruptData: "`what` does not take a `type`".
  Value wrong_type(std::string_view what, const Value& value, std::string_view expected);
  /// Counts work; false once the limit is reached or anything else has failed.
  bool charge(int64_t steps);
  size_t max_text_bytes() const { return limits_.max_output_bytes; }
  int64_t now_seconds() const { return now_seconds_; }

  /// Arguments by parameter; undefined where not given. Unknown, doubled and surplus arguments fail.
  /// Precondition: `required` <= the number of parameters.
  std::vector<Value> bind(std::string_view function, Arguments arguments,
                          std::initializer_list<std::string_view> names, size_t required = 0);
  /// What a for loop would see: elements, keys, characters.
  std::vector<Value> iterate(const Value& value);
  Value attribute(const Value& object, const std::string& name);
  Value item(const Value& object, const Value& key);
  /// A dotted path as `map(attribute=...)` takes it: "a.b.0". `fallback` stands in for undefined parts.
  Value path(const Value& object, const Value& dotted, const Value& fallback = {});
  Value filter(const std::string& name, Value value, Arguments arguments);
  bool test(const std::string& name, const Value& value, Arguments arguments);
  Value list(std::vector<Value> items, ListKind kind = ListKind::kList);
  Value dict(Dict entries);
  Value add(const Value& a, const Value& b);
  bool contains(const Value& container, const Value& element);
  /// False, and failed(), if the two have no order.
  bool ordered_before(const Value& a, const Value& b);
  bool equals(const Value& a, const Value& b);
  Text text_of(const Value& value);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  /// Counts how deeply evaluation nests, and fails beyond the limit.
  class Depth {
   public:
    explicit Depth(Evaluator* evaluator) : evaluator_(evaluator) {
      if (++evaluator_->depth_ > evaluator_->limits_.max_depth) {
        evaluator_->fail(StatusCode::kOutOfRange, "a template's evaluation nests too deeply",
                         "at most " + std::to_string(evaluator_->limits_.max_depth) + " levels");
      }
    }
    ~Depth() { --evaluator_->depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Evaluator* evaluator_;
  };

  // statements.cc
  Flow execute(const Body& body, const std::shared_ptr<Scope>& scope);
  Flow execute(const Statement& statement, const std::shared_ptr<Scope>& scope);
  Flow execute_if(const If& node, const std::shared_ptr<Scope>& scope);
  Flow execute_for(const For& node, const std::shared_ptr<Scope>& scope);
  Flow execute_with(const With& node, const std::shared_ptr<Scope>& scope);
  void assign(const std::vector<std::string>& targets, const std::string& attribute, Value value,
              const std::shared_ptr<Scope>& scope);
  void unpack(const std::vector<std::string>& targets, const Value& value, Scope* scope);
  void print(const Text& text);
  Text capture(const Body& body, const std::shared_ptr<Scope>& scope);
  Value apply_filters(const std::vector<Step>& filters, Value value, const std::shared_ptr<Scope>& scope);
  Value call_macro(const Callable& callable, Arguments arguments);

  // expressions.cc
  Value evaluate(const Expression& expression, const std::shared_ptr<Scope>& scope);
  Value evaluate_step(Value base, const Step& step, const std::shared_ptr<Scope>& scope);
  Value evaluate_compare(const Compare& node, const std::shared_ptr<Scope>& scope);
  bool compare(CompareOp op, const Value& a, const Value& b);
  Value arithmetic(ArithmeticOp op, const Value& a, const Value& b);
  Value integer_arithmetic(ArithmeticOp op, int64_t a, int64_t b);
  Value float_arithmetic(ArithmeticOp op, double a, double b);
  Value repeat(const Value& sequence, int64_t times);
  Value slice(const Value& object, const Slice& node, const std::shared_ptr<Scope>& scope);
  Value call(const Value& function, Arguments arguments);
  Arguments evaluate_arguments(const ArgumentList& list, const std::shared_ptr<Scope>& scope);
  Value loop_attribute(const Loop& loop, const std::string& name);

  const Syntax& syntax_;
  const RenderLimits limits_;
  const int64_t now_seconds_;
  std::shared_ptr<Scope> root_;
  TextBuilder* output_ = nullptr;
  Offset at_ = 0;  // what is being evaluated, for errors
  int64_t steps_ = 0;
  int depth_ = 0;
  Status status_;
};

/// Builds a string within the evaluator's limits; what is appended after a failure is dropped.
class BoundedText {
 public:
  explicit BoundedText(Evaluator* evaluator) : evaluator_(evaluator) {}
  BoundedText& append(std::string_view bytes, TextOrigin origin);
  BoundedText& append(const Text& text) { return append(text, 0, text.size()); }
  BoundedText& append(const Text& text, size_t begin, size_t end);
  Text finish() { return builder_.finish(); }

 private:
  bool grows_by(size_t bytes);
  Evaluator* evaluator_;
  TextBuilder builder_;
};

}  // namespace weft::jinja
#endif
