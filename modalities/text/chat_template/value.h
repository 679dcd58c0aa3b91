/// Values of the template language: Python's, as far as chat templates can see them.
///
/// Lists, tuples and dictionaries are immutable and shared; a namespace is the one thing that a template may
/// change. Every list and dictionary knows how deeply it nests, so that no value can be built whose
/// destruction or printing would overflow the stack, how much work it is to go through, and whether a
/// namespace is within, so that no cycle can be built.
#ifndef WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_VALUE_H
#define WEFT_MODALITIES_TEXT_CHAT_TEMPLATE_VALUE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "modalities/text/chat_template/text.h"

namespace weft::jinja {

class Value;
struct Macro;
class Scope;

/// A variable or member that does not exist. Prints as nothing; using it in any other way is an error that
/// names it.
struct Undefined {
  std::shared_ptr<const std::string> name;
};
struct None {};

struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

class Value {
 public:
  using Variant = std::variant<Undefined, None, bool, int64_t, double, Text, std::shared_ptr<const List>,
                               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                               std::shared_ptr<const Loop>, std::shared_ptr<const Callable>>;

  Value() = default;
  Value(None v) : data_(v) {}
  Value(bool v) : data_(v) {}
  Value(int64_t v) : data_(v) {}
  Value(double v) : data_(v) {}
  Value(Text v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const List> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Dict> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<Namespace> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Loop> v) : data_(std::move(v)) {}
  Value(std::shared_ptr<const Callable> v) : data_(std::move(v)) {}
  Value(const char*) = delete;  // would be a bool
  static Value undefined(std::string name);
  /// Text of the template itself.
  static Value literal(std::string text) { return Text(std::move(text), TextOrigin::kTemplate); }

  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  bool is_undefined() const { return data_.index() == 0; }
  bool is_none() const { return data_.index() == 1; }
  const Text* text() const { return get_if<Text>(); }
  const List* list() const;
  const Dict* dict() const;
  /// The value as an integer: an integer or a bool.
  std::optional<int64_t> integer() const;
  /// The value as a number: an integer, a bool or a float.
  std::optional<double> number() const;

  bool truthy() const;
  /// "str", "int", "NoneType", ...: Python's names, for errors.
  const char* type_name() const;
  int depth() const;
  bool holds_namespace() const;
  /// Steps that going through the whole value takes: 1 each element, 1 each 16 bytes of text.
  int64_t weight() const;

 private:
  Variant data_;
};

enum class ListKind : uint8_t { kList, kTuple };

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  int depth = 1;
  int64_t weight = 1;
  bool holds_namespace = false;
};

/// Keeps the order of insertion. Keys are text, integers, bools, floats or none; equal numbers are one key.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, size_t> index;  // by key_of()
  int depth = 1;
  int64_t weight = 1;
  bool holds_namespace = false;

  /// The key's identity, or nothing if a value of this type cannot be a key.
  static std::optional<std::string> key_of(const Value& key);
  const Value* find(std::string_view text_key) const;
  const Value* find(const Value& key) const;
  /// Adds or replaces. Precondition: key_of(key).
  void set(const Value& key, Value value);
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> members;
};

struct Loop {
  std::shared_ptr<const List> items;
  size_t index = 0;
};

/// A macro, a global function, or a method of `receiver`.
struct Callable {
  const Macro* macro = nullptr;
  std::weak_ptr<Scope> scope;  // where the macro was defined; weak, since the scope holds the macro
  std::string name;
  Value receiver;
};

/// Deeper values cannot be built.
inline constexpr int kMaxValueDepth = 150;
/// What weights are capped at: more than any render may take.
inline constexpr int64_t kMaxWeight = int64_t{1} << 60;
/// Errors: kOutOfRange beyond kMaxValueDepth.
Result<Value> make_list(std::vector<Value> items, ListKind kind = ListKind::kList);
Result<Value> make_dict(Dict dict);

/// Python's == ; origins do not count.
bool equal(const Value& a, const Value& b);
/// Python's < ; nothing if the two types have no order.
std::optional<bool> less(const Value& a, const Value& b);

/// Python's str(value), with the origin of each byte. Undefined is empty.
Text to_text(const Value& value);
/// Shortest decimal form that reads back equal, as Python's repr: 1.0, 1e-05, inf.
std::string float_text(double value);

}  // namespace weft::jinja
#endif
