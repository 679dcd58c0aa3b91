#include "modalities/text/chat_template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

namespace weft::jinja {
namespace {

/// Python's repr of a string: single quotes unless the text holds some and no double quotes.
void append_repr(const Text& text, TextBuilder* out) {
  const std::string_view bytes = text.bytes();
  const TextOrigin origin = text.origin();
  const bool has_single = bytes.find('\'') != bytes.npos, has_double = bytes.find('"') != bytes.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string repr(1, quote);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      repr += {'\\', c};
    } else if (c == '\n') {
      repr += "\\n";
    } else if (c == '\r') {
      repr += "\\r";
    } else if (c == '\t') {
      repr += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      const char* digits = "0123456789abcdef";
      repr += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      repr += c;
    }
  }
  repr += quote;
  out->append(repr, origin);
}

void append_value(const Value& value, TextBuilder* out);

void append_element(const Value& value, TextBuilder* out) {
  if (value.text() != nullptr) {
    append_repr(*value.text(), out);
  } else if (value.is_undefined()) {
    out->append("Undefined", TextOrigin::kTemplate);
  } else {
    append_value(value, out);
  }
}

void append_list(const List& list, TextBuilder* out) {
  const bool tuple = list.kind == ListKind::kTuple;
  out->append(tuple ? "(" : "[", TextOrigin::kTemplate);
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out->append(", ", TextOrigin::kTemplate);
    append_element(list.items[i], out);
  }
  if (tuple && list.items.size() == 1) out->append(",", TextOrigin::kTemplate);
  out->append(tuple ? ")" : "]", TextOrigin::kTemplate);
}

void append_dict(const Dict& dict, TextBuilder* out) {
  out->append("{", TextOrigin::kTemplate);
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out->append(", ", TextOrigin::kTemplate);
    append_element(dict.entries[i].first, out);
    out->append(": ", TextOrigin::kTemplate);
    append_element(dict.entries[i].second, out);
  }
  out->append("}", TextOrigin::kTemplate);
}

void append_value(const Value& value, TextBuilder* out) {
  const auto literal = [&](std::string_view text) { out->append(text, TextOrigin::kTemplate); };
  if (value.is_none()) return literal("None");
  if (const bool* b = value.get_if<bool>()) return literal(*b ? "True" : "False");
  if (const int64_t* i = value.get_if<int64_t>()) return literal(std::to_string(*i));
  if (const double* d = value.get_if<double>()) return literal(float_text(*d));
  if (const Text* text = value.text()) return static_cast<void>(out->append(*text));
  if (const List* list = value.list()) return append_list(*list, out);
  if (const Dict* dict = value.dict()) return append_dict(*dict, out);
  if (!value.is_undefined()) literal(std::string("<") + value.type_name() + ">");
}

}  // namespace

int64_t Value::weight() const {
  if (text() != nullptr) return 1 + static_cast<int64_t>(text()->size() / 16);
  if (list() != nullptr) return list()->weight;
  if (dict() != nullptr) return dict()->weight;
  return 1;
}

Value Value::undefined(std::string name) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(std::move(name))};
  return value;
}

const List* Value::list() const {
  const auto* pointer = get_if<std::shared_ptr<const List>>();
  return pointer ? pointer->get() : nullptr;
}

const Dict* Value::dict() const {
  const auto* pointer = get_if<std::shared_ptr<const Dict>>();
  return pointer ? pointer->get() : nullptr;
}

std::optional<int64_t> Value::integer() const {
  if (const int64_t* i = get_if<int64_t>()) return *i;
  if (const bool* b = get_if<bool>()) return *b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const double* d = get_if<double>()) return *d;
  if (const auto i = integer()) return static_cast<double>(*i);
  return std::nullopt;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (const auto n = number()) return *n != 0;
  if (text() != nullptr) return !text()->empty();
  if (list() != nullptr) return !list()->items.empty();
  if (dict() != nullptr) return !dict()->entries.empty();
  return true;
}

const char* Value::type_name() const {
  if (list() != nullptr) return list()->kind == ListKind::kTuple ? "tuple" : "list";
  static constexpr const char* kNames[] = {"undefined", "NoneType", "bool",      "int",  "float",   "str",
                                           "list",      "dict",     "namespace", "loop", "function"};
  static_assert(std::size(kNames) == std::variant_size_v<Variant>);
  return kNames[data_.index()];
}

int Value::depth() const {
  if (list() != nullptr) return list()->depth;
  if (dict() != nullptr) return dict()->depth;
  if (const auto* callable = get_if<std::shared_ptr<const Callable>>())
    return 1 + (*callable)->receiver.depth();
  if (const auto* loop = get_if<std::shared_ptr<const Loop>>()) return 1 + (*loop)->items->depth;
  return 0;
}

bool Value::holds_namespace() const {
  if (list() != nullptr) return list()->holds_namespace;
  if (dict() != nullptr) return dict()->holds_namespace;
  if (const auto* callable = get_if<std::shared_ptr<const Callable>>())
    return (*callable)->receiver.holds_namespace();
  if (const auto* loop = get_if<std::shared_ptr<const Loop>>()) return (*loop)->items->holds_namespace;
  return get_if<std::shared_ptr<Namespace>>() != nullptr;
}

std::optional<std::string> Dict::key_of(const Value& key) {
  if (const Text* text = key.text()) return "s" + std::string(text->bytes());
  if (const auto i = key.integer()) return "n" + std::to_string(*i);
  if (const double* d = key.get_if<double>()) {
    if (*d == std::floor(*d) && std::fabs(*d) < 9e15) return "n" + std::to_string(static_cast<int64_t>(*d));
    return "f" + float_text(*d);
  }
  if (key.is_none()) return "none";
  return std::nullopt;
}

const Value* Dict::find(std::string_view text_key) const {
  const auto found = index.find("s" + std::string(text_key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

const Value* Dict::find(const Value& key) const {
  const auto identity = key_of(key);
  if (!identity) return nullptr;
  const auto found = index.find(*identity);
  return found == index.end() ? nullptr : &entries[found->second].second;
}

void Dict::set(const Value& key, Value value) {
  const auto [place, added] = index.try_emplace(*key_of(key), entries.size());
  if (added) {
    entries.emplace_back(key, std::move(value));
  } else {
    entries[place->second].second = std::move(value);
  }
}

namespace {
Status too_deep() {
  return Status(StatusCode::kOutOfRange, "a value nests too deeply")
      .expected("at most " + std::to_string(kMaxValueDepth) + " levels of lists and dictionaries");
}
}  // namespace

Result<Value> make_list(std::vector<Value> items, ListKind kind) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) {
    list->depth = std::max(list->depth, 1 + item.depth());
    list->holds_namespace |= item.holds_namespace();
    list->weight = std::min(kMaxWeight, list->weight + item.weight());
  }
  if (list->depth > kMaxValueDepth) return too_deep();
  list->items = std::move(items);
  list->kind = kind;
  return Value(std::shared_ptr<const List>(std::move(list)));
}

Result<Value> make_dict(Dict dict) {
  for (const auto& [key, value] : dict.entries) {
    dict.depth = std::max(dict.depth, 1 + value.depth());
    dict.holds_namespace |= value.holds_namespace();
    dict.weight = std::min(kMaxWeight, dict.weight + key.weight() + value.weight());
  }
  if (dict.depth > kMaxValueDepth) return too_deep();
  return Value(std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(dict))));
}

bool equal(const Value& a, const Value& b) {
  if (const auto i = a.integer(), j = b.integer(); i && j) return *i == *j;
  if (const auto x = a.number(), y = b.number(); x && y) return *x == *y;
  if (a.text() != nullptr && b.text() != nullptr) return a.text()->bytes() == b.text()->bytes();
  if (a.list() != nullptr && b.list() != nullptr) {
    const std::vector<Value>&x = a.list()->items, &y = b.list()->items;
    if (a.list()->kind != b.list()->kind || x.size() != y.size()) return false;
    for (size_t i = 0; i < x.size(); ++i) {
      if (!equal(x[i], y[i])) return false;
    }
    return true;
  }
  if (a.dict() != nullptr && b.dict() != nullptr) {
    if (a.dict()->entries.size() != b.dict()->entries.size()) return false;
    for (const auto& [key, value] : a.dict()->entries) {
      const Value* other = b.dict()->find(key);
      if (other == nullptr || !equal(value, *other)) return false;
    }
    return true;
  }
  if (const auto* x = a.get_if<std::shared_ptr<Namespace>>(), *y = b.get_if<std::shared_ptr<Namespace>>();
      x && y) {
    return *x == *y;
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::optional<bool> less(const Value& a, const Value& b) {
  if (const auto i = a.integer(), j = b.integer(); i && j) return *i < *j;
  if (const auto x = a.number(), y = b.number(); x && y) return *x < *y;
  // UTF-8 sorts bytewise as its code points do.
  if (a.text() != nullptr && b.text() != nullptr) return a.text()->bytes() < b.text()->bytes();
  if (a.list() != nullptr && b.list() != nullptr && a.list()->kind == b.list()->kind) {
    const std::vector<Value>&x = a.list()->items, &y = b.list()->items;
    for (size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(x[i], y[i])) return less(x[i], y[i]);
    }
    return x.size() < y.size();
  }
  return std::nullopt;
}

Text to_text(const Value& value) {
  if (value.text() != nullptr) return *value.text();
  TextBuilder out;
  append_value(value, &out);
  return out.finish();
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string scientific(buffer, end);
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent < -4 || exponent >= 16) return scientific;
  const auto fixed_end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string fixed(buffer, fixed_end);
  return fixed.find('.') == fixed.npos ? fixed + ".0" : fixed;
}

}  // namespace weft::jinja
