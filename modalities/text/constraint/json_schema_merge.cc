#include "modalities/text/constraint/json_schema_merge.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "modalities/text/constraint/json_number_range.h"

namespace weft::constraint {
namespace {

// A chain of $ref and allOf; all schemas flattened; all values copied into merged schemas.
constexpr int kMaxDepth = 64;
constexpr size_t kMaxFlattened = 50'000;
constexpr size_t kMaxOwnedValues = 1'000'000;
// Lists longer than this are not compared pair by pair.
constexpr size_t kMaxCompared = 500;

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

size_t count_values(const Json& json) {
  size_t count = 1;
  for (const Json& item : json.items) count += count_values(item);
  for (const JsonMember& member : json.members) count += count_values(member.value);
  return count;
}

// ~1 and ~0 of JSON pointers, %XX of URI fragments.
std::string unescape(const std::string& part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    const std::string_view rest = std::string_view(part).substr(i);
    if (rest.starts_with("~0") || rest.starts_with("~1")) {
      out += rest[1] == '0' ? '~' : '/';
      ++i;
    } else if (rest.size() > 2 && rest[0] == '%' && std::isxdigit(static_cast<unsigned char>(rest[1])) &&
               std::isxdigit(static_cast<unsigned char>(rest[2]))) {
      out += static_cast<char>(std::stoi(std::string(rest.substr(1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += part[i];
    }
  }
  return out;
}

Json merge_types(const Json& a, const Json& b) {
  const auto names = [](const Json& type) {
    std::vector<std::string> out;
    if (type.is_string()) out.push_back(type.text);
    for (const Json& item : type.items) out.push_back(item.text);
    return out;
  };
  Json out = Json::array({});
  const std::vector<std::string> others = names(b);
  for (const std::string& name : names(a)) {
    if (holds(others, name) || (name == "integer" && holds(others, "number"))) {
      out.items.push_back(Json::string(name));
    } else if (name == "number" && holds(others, "integer")) {
      out.items.push_back(Json::string("integer"));
    }
  }
  return out;
}

// Both schemas at once: what either says, each thing once. So merging a recursive schema with itself at every level
// ends in the same schemas.
Json both_of(const Json& a, const Json& b) {
  std::vector<Json> parts;
  const auto add = [&](const Json& part) {
    const bool known = parts.size() < kMaxCompared &&
                       std::any_of(parts.begin(), parts.end(), [&](const Json& p) { return equal(p, part); });
    if (!known) parts.push_back(part);
  };
  for (const Json* schema : {&a, &b}) {
    const Json* all = schema->find("allOf");
    if (all == nullptr || !all->is_array() || schema->members.size() != 1) {
      add(*schema);
    } else {
      for (const Json& part : all->items) add(part);
    }
  }
  return parts.size() == 1 ? parts[0] : Json::object({{"allOf", Json::array(std::move(parts))}});
}

std::optional<Json> merge_keyword(const std::string& key, const Json& a, const Json& b) {
  if (key == "type") return merge_types(a, b);
  if (key == "properties" && a.is_object() && b.is_object()) {
    std::unordered_map<std::string_view, const Json*> others;
    for (const auto& [name, schema] : b.members) others.emplace(name, &schema);
    Json out = Json::object({});
    for (const auto& [name, schema] : a.members) {
      const auto other = others.find(name);
      const bool common = other != others.end();
      out.members.push_back({name, common ? both_of(schema, *other->second) : schema});
      if (other != others.end()) others.erase(other);
    }
    for (const auto& [name, schema] : b.members) {
      if (others.find(name) != others.end()) out.members.push_back({name, schema});
    }
    return out;
  }
  if (key == "required" && a.is_array() && b.is_array()) {
    Json out = a;
    out.items.insert(out.items.end(), b.items.begin(), b.items.end());
    return out;
  }
  if (key == "enum" && a.is_array() && b.is_array()) {
    Json out = Json::array({});
    for (const Json& value : a.items) {
      if (std::any_of(b.items.begin(), b.items.end(), [&](const Json& other) { return equal(value, other); }))
        out.items.push_back(value);
    }
    return out;
  }
  if (key == "additionalProperties" || key == "items" || key == "additionalItems") return both_of(a, b);
  const bool lower = key.starts_with("min") || key == "exclusiveMinimum",
             upper = key.starts_with("max") || key == "exclusiveMaximum";
  if (lower || upper) {
    const auto x = Decimal::parse(a.text), y = Decimal::parse(b.text);
    if (a.kind != Json::Kind::kNumber || b.kind != Json::Kind::kNumber || !x || !y) return std::nullopt;
    return (compare(*x, *y) < 0) == upper ? a : b;
  }
  if (equal(a, b)) return a;
  return std::nullopt;
}

bool is_required(const Json& schema, const std::string& name) {
  const Json* required = schema.find("required");
  return required != nullptr && std::any_of(required->items.begin(), required->items.end(),
                                            [&](const Json& r) { return r.text == name; });
}

// The types that a value of this schema can have, integers as numbers; none if any.
std::set<std::string> kinds(const Json& schema, const std::vector<Json>& values) {
  std::set<std::string> out;
  for (const Json& value : values) out.insert(type_name(value));
  const Json* type = schema.find("type");
  if (type == nullptr || !out.empty()) return out;
  const auto add = [&](const Json& name) { out.insert(name.text == "integer" ? "number" : name.text); };
  if (type->is_string()) add(*type);
  for (const Json& name : type->items) add(name);
  return out;
}

}  // namespace

std::vector<Json> constants(const Json& schema) {
  if (const Json* value = schema.find("const"); value != nullptr) return {*value};
  if (const Json* values = schema.find("enum"); values != nullptr) return values->items;
  return {};
}

const char* type_name(const Json& value) {
  switch (value.kind) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kFalse:
    case Json::Kind::kTrue: return "boolean";
    case Json::Kind::kNumber: return "number";
    case Json::Kind::kString: return "string";
    case Json::Kind::kArray: return "array";
    case Json::Kind::kObject: return "object";
  }
  return "";
}

Result<Schema> SchemaMerger::resolve(const Schema& ref) const {
  const auto unresolved = [&](StatusCode code, const char* message) {
    return ref.error(code, message, "\"#\" or \"#/$defs/name\"",
                     ref.json->is_string() ? ref.json->text : kind_name(*ref.json));
  };
  if (!ref.json->is_string()) return unresolved(StatusCode::kCorruptData, "a reference is not a string");
  const std::string& text = ref.json->text;
  if (text.empty() || text[0] != '#')
    return unresolved(StatusCode::kUnsupported, "a reference leaves this schema");
  if (text.size() > 1 && text[1] != '/')
    return unresolved(StatusCode::kUnsupported, "references by anchor are not supported");
  Schema target{&root_, ""};
  for (size_t begin = std::min<size_t>(2, text.size()); begin <= text.size() && text.size() > 1;) {
    const size_t end = std::min(text.find('/', begin), text.size());
    const std::string key = unescape(text.substr(begin, end - begin));
    const Json* next = target.json->find(key);
    if (target.json->is_array() && !key.empty() && key.size() < 7 &&
        key.find_first_not_of("0123456789") == key.npos) {
      const size_t index = std::stoul(key);
      if (index < target.json->items.size()) next = &target.json->items[index];
    }
    if (next == nullptr) return unresolved(StatusCode::kCorruptData, "a reference leads nowhere");
    target = target.below(key, next);
    begin = end + 1;
  }
  return target;
}

Result<Schema> SchemaMerger::own(Json json, const Schema& at) {
  owned_values_ += count_values(json);
  if (owned_values_ > kMaxOwnedValues) {
    return at.error(StatusCode::kOutOfRange, "too many schemas apply together");
  }
  owned_.push_back(std::move(json));
  return Schema{&owned_.back(), at.pointer};
}

Result<Schema> SchemaMerger::without(const Schema& schema, std::string_view keyword) {
  Json rest = Json::object({});
  for (const JsonMember& member : schema.json->members) {
    if (member.name != keyword && !is_keyword(KeywordGroup::kAnnotation, member.name))
      rest.members.push_back(member);
  }
  return own(std::move(rest), schema);
}

Result<Schema> SchemaMerger::flatten(const Schema& schema, int depth) {
  if (depth > kMaxDepth) {
    return schema.error(StatusCode::kUnsupported,
                        "schemas that apply together refer to each other without end");
  }
  if (++flattened_ > kMaxFlattened)
    return schema.error(StatusCode::kOutOfRange, "too many schemas apply together");
  if (!schema.json->is_object()) return schema;
  if (Status status = check_keywords(schema); !status.ok()) return status;
  const Json *ref = schema.json->find("$ref"), *all = schema.json->find("allOf");
  if (ref == nullptr && all == nullptr) return schema;
  if (all != nullptr && !all->is_array()) {
    return schema.below("allOf", all)
        .error(StatusCode::kCorruptData, "allOf is not a list", "an array of schemas", kind_name(*all));
  }
  std::vector<Schema> parts;
  if (ref != nullptr) {
    Result<Schema> target = resolve(schema.below("$ref", ref));
    if (!target.ok()) return target;
    parts.push_back(*std::move(target));
  }
  for (size_t i = 0; all != nullptr && i < all->items.size(); ++i) {
    parts.push_back(schema.below("allOf", all).below(std::to_string(i), &all->items[i]));
  }
  Result<Schema> merged = without(schema, "allOf");
  if (merged.ok() && ref != nullptr) merged = without(*merged, "$ref");
  for (const Schema& part : parts) {
    if (!merged.ok()) break;
    const Result<Schema> flat = flatten(part, depth + 1);
    if (!flat.ok()) return flat;
    merged = merge(*merged, *flat);
  }
  return merged;
}

Result<Schema> SchemaMerger::merge(const Schema& a, const Schema& b) {
  const Json &x = *a.json, &y = *b.json;
  for (const Schema* schema : {&a, &b}) {
    const Json::Kind kind = schema->json->kind;
    if (kind == Json::Kind::kObject || kind == Json::Kind::kTrue || kind == Json::Kind::kFalse) continue;
    return schema->error(StatusCode::kCorruptData, "this is not a schema", "an object, true or false",
                         kind_name(*schema->json));
  }
  if (x.kind == Json::Kind::kTrue || y.kind == Json::Kind::kFalse) return b;
  if (y.kind == Json::Kind::kTrue || x.kind == Json::Kind::kFalse) return a;
  Json out = Json::object({});
  for (const auto& [key, value] : x.members) {
    if (is_keyword(KeywordGroup::kAnnotation, key)) continue;
    const Json* other = y.find(key);
    if (other == nullptr) {
      out.members.push_back({key, value});
      continue;
    }
    auto both = merge_keyword(key, value, *other);
    if (!both) {
      return b.below(key, other)
          .error(StatusCode::kUnsupported, "this keyword cannot be merged with another schema's",
                 to_json_text(value).substr(0, 100), to_json_text(*other).substr(0, 100));
    }
    out.members.push_back({key, *std::move(both)});
  }
  for (const auto& [key, value] : y.members) {
    if (!is_keyword(KeywordGroup::kAnnotation, key) && x.find(key) == nullptr)
      out.members.push_back({key, value});
  }
  if (const Json* type = out.find("type"); type != nullptr && type->is_array() && type->items.empty()) {
    return own(Json(Json::Kind::kFalse), a);
  }
  if ((x.find("prefixItems") != nullptr) != (y.find("prefixItems") != nullptr) &&
      x.find("items") != nullptr && y.find("items") != nullptr) {
    return b.error(StatusCode::kUnsupported, "prefixItems cannot be merged with another schema's items");
  }
  // additionalProperties speaks of what its own schema's properties do not name.
  for (const auto& [closed, other] : {std::pair(&x, &y), std::pair(&y, &x)}) {
    const Json* additional = closed->find("additionalProperties");
    const Json* others = other->find("properties");
    if (additional == nullptr || others == nullptr || additional->kind == Json::Kind::kTrue) continue;
    std::unordered_set<std::string_view> named;
    if (const Json* own_properties = closed->find("properties"); own_properties != nullptr) {
      for (const auto& member : own_properties->members) named.insert(member.name);
    }
    for (auto& [key, value] : out.members) {
      if (key != "properties") continue;
      for (auto& [name, property] : value.members) {
        if (named.find(name) == named.end()) property = both_of(*additional, property);
      }
    }
  }
  return own(std::move(out), a);
}

bool SchemaMerger::disjoint(const Schema& a_in, const Schema& b_in, int depth) {
  if (depth > 4) return false;
  const auto a = flatten(a_in, 0), b = flatten(b_in, 0);
  if (!a.ok() || !b.ok()) return false;
  const Json &x = *a->json, &y = *b->json;
  if (x.kind == Json::Kind::kFalse || y.kind == Json::Kind::kFalse) return true;
  if (!x.is_object() || !y.is_object()) return false;
  const std::vector<Json> values_x = constants(x), values_y = constants(y);
  if (!values_x.empty() && !values_y.empty()) {
    return std::none_of(values_x.begin(), values_x.end(), [&](const Json& v) {
      return std::any_of(values_y.begin(), values_y.end(), [&](const Json& w) { return equal(v, w); });
    });
  }
  const std::set<std::string> types_x = kinds(x, values_x), types_y = kinds(y, values_y);
  if (!types_x.empty() && !types_y.empty() &&
      std::none_of(types_x.begin(), types_x.end(),
                   [&](const std::string& t) { return types_y.count(t) > 0; })) {
    return true;
  }
  // Two objects: a property that both require and whose values are disjoint.
  if (types_x != std::set<std::string>{"object"} || types_y != std::set<std::string>{"object"}) return false;
  const Json *properties_x = x.find("properties"), *properties_y = y.find("properties");
  if (properties_x == nullptr || properties_y == nullptr || properties_x->members.size() > kMaxCompared) {
    return false;
  }
  for (const auto& [name, property] : properties_x->members) {
    const Json* other = properties_y->find(name);
    if (other != nullptr && is_required(x, name) && is_required(y, name) &&
        disjoint({&property, a->pointer}, {other, b->pointer}, depth + 1)) {
      return true;
    }
  }
  return false;
}

}  // namespace weft::constraint
