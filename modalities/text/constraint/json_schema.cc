// JSON Schema to a grammar of the JSON texts that it accepts.
//
// Every schema becomes a rule, made when something first refers to it; so recursion through $ref is recursion of rules.
// Schemas that apply together (allOf, $ref or anyOf with siblings) are merged into one first. Where JSON Schema leaves
// freedom that a grammar cannot follow, the grammar has fewer texts than the schema, never more: see docs/text.md.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "modalities/text/constraint/grammar_builder.h"
#include "modalities/text/constraint/json_number_range.h"
#include "modalities/text/constraint/json_tree.h"
#include "modalities/text/constraint/regex.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace constraint {
namespace {

constexpr int kMaxMerges = 64;  // nested: a chain of $ref and allOf
constexpr size_t kMaxRules = 100'000;
constexpr uint32_t kMaxCount = 1'000'000;

constexpr std::string_view kAnnotations[] = {
    "$schema",  "$id",      "$comment",  "$defs",       "definitions", "title",  "default",
    "examples", "readOnly", "writeOnly", "description", "deprecated",  "$anchor"};
constexpr std::string_view kObjectKeywords[] = {"properties", "required", "additionalProperties",
                                                "minProperties", "maxProperties"};
constexpr std::string_view kArrayKeywords[] = {"items",    "prefixItems", "additionalItems",
                                               "minItems", "maxItems",    "uniqueItems"};
constexpr std::string_view kStringKeywords[] = {"minLength", "maxLength", "pattern", "format"};
constexpr std::string_view kNumberKeywords[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                                                "multipleOf"};
constexpr std::string_view kGeneralKeywords[] = {"type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf"};

template <typename Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// RFC 3339 and other formats, as regular expressions.
constexpr std::string_view kDate =
    R"((?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29))";
constexpr std::string_view kTime =
    R"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))";
constexpr std::string_view kLabel = R"([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)";
constexpr std::string_view kByte = R"((?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9]))";

const std::map<std::string, std::string, std::less<>>& formats() {
  static const auto* const kFormats = [] {
    const std::string date(kDate), time(kTime), label(kLabel), byte(kByte);
    const std::string host = label + R"((?:\.)" + label + "){0,7}";
    return new const std::map<std::string, std::string, std::less<>>{
        {"date", date},
        {"time", time},
        {"date-time", date + "T" + time},
        {"duration",
         R"(P(?:[0-9]{1,9}W|(?:[0-9]{1,9}Y)(?:[0-9]{1,9}M)?(?:[0-9]{1,9}D)?|(?:[0-9]{1,9}M)(?:[0-9]{1,9}D)?|[0-9]{1,9}D|T(?:[0-9]{1,9}H(?:[0-9]{1,9}M)?(?:[0-9]{1,9}S)?|[0-9]{1,9}M(?:[0-9]{1,9}S)?|[0-9]{1,9}S)))"},
        {"uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
        {"hostname", host},
        {"email", R"([A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,32}){0,3}@)" + host},
        {"ipv4", byte + R"((?:\.)" + byte + "){3}"},
        {"ipv6", "[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}"},
        {"uri",
         R"([a-z][a-z0-9+.-]{0,15}://)" + host +
             R"((?::[0-9]{1,4})?(?:/[A-Za-z0-9._~-]{0,64}){0,16}(?:\?[A-Za-z0-9._~=&-]{0,256})?(?:#[A-Za-z0-9._~-]{0,64})?)"},
    };
  }();
  return *kFormats;
}

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& root, const GrammarLimits& limits) : root_(root), limits_(limits) {}

  Result<Grammar> run() {
    const ExpressionId start = reference({&root_, ""});
    const RuleId root = builder_.add_rule("the schema");
    builder_.define(root, start);
    while (!queue_.empty() && status_.ok()) {
      const auto [rule, schema] = queue_.back();
      queue_.pop_back();
      builder_.define(rule, compile(schema));
    }
    if (!status_.ok()) return std::move(status_);
    return builder_.compile(root, limits_);
  }

 private:
  /// A schema and where it stands, as a JSON pointer.
  struct Schema {
    const Json* json;
    std::string pointer;
  };
  enum class Member : uint8_t { kOptional, kRequired };

  ExpressionId fail(const Schema& schema, StatusCode code, std::string message, std::string expected = {},
                    std::string got = {}) {
    if (status_.ok()) {
      status_ = Status(code, std::move(message))
                    .at("schema, " + (schema.pointer.empty() ? std::string("root") : schema.pointer))
                    .expected(std::move(expected))
                    .got(std::move(got));
    }
    return GrammarBuilder::kEmpty;
  }

  static Schema below(const Schema& schema, std::string_view key, const Json* json) {
    std::string escaped;
    for (const char c : key) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return {json, schema.pointer + "/" + escaped};
  }
  Schema own(Json json, const Schema& at) {
    owned_.push_back(std::move(json));
    return {&owned_.back(), at.pointer};
  }

  // ---- rules that schemas share

  ExpressionId word(std::string_view text) { return builder_.literal(text); }
  ExpressionId characters(const CodePointSet& set) { return builder_.character(set); }
  ExpressionId any_of(std::initializer_list<ExpressionId> choices) { return builder_.alternatives(choices); }
  ExpressionId all_of(std::initializer_list<ExpressionId> parts) { return builder_.sequence(parts); }

  // A rule that is made the first time it is asked for.
  ExpressionId shared(const std::string& name, const std::function<ExpressionId()>& make) {
    const auto [found, added] = shared_.try_emplace(name, 0);
    if (added) {
      const RuleId rule = builder_.add_rule(name);
      found->second = rule;
      builder_.define(rule, make());
      return builder_.reference(rule);
    }
    return builder_.reference(found->second);
  }

  // Free white space: none, one blank, or a line break with some indentation. Models without a bound write blanks
  // for ever.
  ExpressionId space() {
    return shared("white space", [&] {
      return any_of({GrammarBuilder::kEmpty, word(" "),
                     all_of({word("\n"), builder_.repeat(characters({{' ', ' '}, {'\t', '\t'}}), 0, 20)})});
    });
  }
  ExpressionId comma() {
    return shared("comma", [&] { return all_of({word(","), space()}); });
  }
  ExpressionId colon() {
    return shared("colon", [&] { return all_of({word(":"), space()}); });
  }

  static const CodePointSet& plain_characters() {
    static const CodePointSet kPlain = CodePointSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement();
    return kPlain;
  }

  ExpressionId string_character() {
    return shared("character of a string", [&] {
      const ExpressionId hex = characters({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
      const ExpressionId d = characters({{'D', 'D'}, {'d', 'd'}});
      const ExpressionId not_d = characters({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}});
      const ExpressionId unit =
          any_of({all_of({not_d, hex, hex, hex}), all_of({d, characters({{'0', '7'}}), hex, hex})});
      const ExpressionId high = all_of({d, characters({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), hex, hex});
      const ExpressionId low = all_of({d, characters({{'C', 'F'}, {'c', 'f'}}), hex, hex});
      CodePointSet short_escapes;
      for (const char c : std::string_view("\"\\/bfnrt"))
        short_escapes.add(static_cast<uint32_t>(c), static_cast<uint32_t>(c));
      return any_of({characters(plain_characters()), all_of({word("\\"), characters(short_escapes)}),
                     all_of({word("\\u"), any_of({unit, all_of({high, word("\\u"), low})})})});
    });
  }

  // A character of the set as JSON spells it, each in one way.
  ExpressionId spelled(const CodePointSet& set) {
    std::vector<ExpressionId> choices = {characters(set.intersection(plain_characters()))};
    const CodePointSet escaped = set.without(plain_characters());
    for (const CodePointRange& range : escaped.ranges()) {
      for (uint32_t c = range.first; c <= range.last; ++c) {
        const std::string text = to_json_text(Json::string(std::string(1, static_cast<char>(c))));
        choices.push_back(word(std::string_view(text).substr(1, text.size() - 2)));
      }
    }
    return builder_.alternatives(std::move(choices));
  }

  ExpressionId any_string() {
    return shared("string", [&] {
      return all_of({word("\""), builder_.repeat(string_character(), 0, kUnbounded), word("\"")});
    });
  }
  ExpressionId any_number() {
    return shared("number", [&] { return number_range(builder_, {}); });
  }

  ExpressionId any_value() {
    return shared("value", [&] {
      // The reference must exist before what it refers to does.
      const ExpressionId value = builder_.reference(shared_["value"]);
      const ExpressionId member = all_of({any_string(), colon(), value});
      return any_of({any_string(), any_number(), word("true"), word("false"), word("null"),
                     list("[", value, "]", 0, kUnbounded), list("{", member, "}", 0, kUnbounded)});
    });
  }

  // open ws (element (comma element)*)? ws close, with min to max elements.
  ExpressionId list(std::string_view open, ExpressionId element, std::string_view close, uint32_t min,
                    uint32_t max) {
    if (max < min) return characters({});
    const ExpressionId rest = builder_.repeat(all_of({comma(), element}), min == 0 ? 0 : min - 1,
                                              max == kUnbounded ? kUnbounded : max - std::min(max, 1u));
    const ExpressionId some = all_of({word(open), space(), element, rest, space(), word(close)});
    const ExpressionId none = all_of({word(open), space(), word(close)});
    if (max == 0) return none;
    return min == 0 ? any_of({none, some}) : some;
  }

  // ---- schemas

  ExpressionId reference(const Schema& schema) {
    const auto [found, added] = rules_.try_emplace(schema.json, 0);
    if (added) {
      if (builder_.rule_count() > kMaxRules)
        return fail(schema, StatusCode::kOutOfRange, "a schema has too many parts");
      found->second = builder_.add_rule("schema " + (schema.pointer.empty() ? "root" : schema.pointer));
      queue_.emplace_back(found->second, schema);
    }
    return builder_.reference(found->second);
  }

  ExpressionId compile(const Schema& schema) {
    const Json& json = *schema.json;
    if (json.kind == Json::Kind::kTrue) return any_value();
    if (json.kind == Json::Kind::kFalse) return characters({});
    if (!json.is_object()) {
      return fail(schema, StatusCode::kCorruptData, "this is not a schema", "an object, true or false",
                  kind_name(json));
    }
    if (!check_keywords(schema)) return GrammarBuilder::kEmpty;
    if (json.find("$ref") != nullptr || json.find("allOf") != nullptr) {
      // A plain reference stays one; anything beside it is merged.
      if (const Json* ref = json.find("$ref"); ref != nullptr && assertions(json) == 1) {
        const auto target = resolve(below(schema, "$ref", ref));
        return target ? reference(*target) : GrammarBuilder::kEmpty;
      }
      const auto flat = flatten(schema, 0);
      return flat ? compile(*flat) : GrammarBuilder::kEmpty;
    }
    if (json.find("anyOf") != nullptr || json.find("oneOf") != nullptr) return compile_choice(schema);
    if (json.find("const") != nullptr || json.find("enum") != nullptr) return compile_enum(schema);
    return compile_types(schema);
  }

  bool check_keywords(const Schema& schema) {
    for (const auto& [key, value] : schema.json->members) {
      if (holds(kAnnotations, key) || holds(kGeneralKeywords, key) || holds(kObjectKeywords, key) ||
          holds(kArrayKeywords, key) || holds(kStringKeywords, key) || holds(kNumberKeywords, key)) {
        continue;
      }
      std::string known;
      for (const auto names : {std::span<const std::string_view>(kGeneralKeywords),
                               std::span<const std::string_view>(kObjectKeywords),
                               std::span<const std::string_view>(kArrayKeywords),
                               std::span<const std::string_view>(kStringKeywords),
                               std::span<const std::string_view>(kNumberKeywords)}) {
        for (const std::string_view name : names) known += (known.empty() ? "" : ", ") + std::string(name);
      }
      fail(below(schema, key, &value), StatusCode::kUnsupported, "this keyword is not supported", known, key);
      return false;
    }
    return true;
  }

  static size_t assertions(const Json& json) {
    return static_cast<size_t>(
        std::count_if(json.members.begin(), json.members.end(),
                      [](const auto& member) { return !holds(kAnnotations, member.name); }));
  }

  // ---- references and merging

  std::optional<Schema> resolve(const Schema& ref) {
    const auto unresolved = [&](StatusCode code, const char* message) {
      fail(ref, code, message, "\"#\" or \"#/$defs/name\"",
           ref.json->is_string() ? ref.json->text : kind_name(*ref.json));
      return std::nullopt;
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
      target = below(target, key, next);
      begin = end + 1;
    }
    return target;
  }

  // ~1 and ~0 of JSON pointers, %XX of URI fragments.
  static std::string unescape(const std::string& part) {
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

  // The schema with its $ref and allOf merged into it.
  std::optional<Schema> flatten(const Schema& schema, int depth) {
    if (depth > kMaxMerges) {
      fail(schema, StatusCode::kUnsupported, "schemas that apply together refer to each other without end");
      return std::nullopt;
    }
    if (!schema.json->is_object()) return schema;
    if (!check_keywords(schema)) return std::nullopt;
    const Json *ref = schema.json->find("$ref"), *all = schema.json->find("allOf");
    if (ref == nullptr && all == nullptr) return schema;
    Json rest = Json::object({});
    for (const auto& member : schema.json->members) {
      if (member.name != "$ref" && member.name != "allOf" && !holds(kAnnotations, member.name))
        rest.members.push_back(member);
    }
    Schema merged = own(std::move(rest), schema);
    const auto include = [&](const Schema& part) {
      const auto flat = flatten(part, depth + 1);
      if (!flat) return false;
      auto result = merge(merged, *flat);
      if (!result) return false;
      merged = own(*std::move(result), schema);
      return true;
    };
    if (ref != nullptr) {
      const auto target = resolve(below(schema, "$ref", ref));
      if (!target || !include(*target)) return std::nullopt;
    }
    if (all != nullptr && !all->is_array()) {
      fail(below(schema, "allOf", all), StatusCode::kCorruptData, "allOf is not a list",
           "an array of schemas", kind_name(*all));
      return std::nullopt;
    }
    for (size_t i = 0; all != nullptr && i < all->items.size(); ++i) {
      if (!include(below(below(schema, "allOf", all), std::to_string(i), &all->items[i])))
        return std::nullopt;
    }
    return merged;
  }

  // A schema that both hold of. What cannot be decided now is left as an allOf of a member.
  std::optional<Json> merge(const Schema& a, const Schema& b) {
    const Json &x = *a.json, &y = *b.json;
    for (const Schema* schema : {&a, &b}) {
      const Json::Kind kind = schema->json->kind;
      if (kind == Json::Kind::kObject || kind == Json::Kind::kTrue || kind == Json::Kind::kFalse) continue;
      fail(*schema, StatusCode::kCorruptData, "this is not a schema", "an object, true or false",
           kind_name(*schema->json));
      return std::nullopt;
    }
    if (x.kind == Json::Kind::kTrue || y.kind == Json::Kind::kFalse) return y;
    if (y.kind == Json::Kind::kTrue || x.kind == Json::Kind::kFalse) return x;
    Json out = Json::object({});
    for (const auto& [key, value] : x.members) {
      if (holds(kAnnotations, key)) continue;
      const Json* other = y.find(key);
      if (other == nullptr) {
        out.members.push_back({key, value});
        continue;
      }
      auto both = merge_keyword(key, value, *other);
      if (!both) {
        fail(below(b, key, other), StatusCode::kUnsupported,
             "this keyword cannot be merged with another schema's", to_json_text(value).substr(0, 100),
             to_json_text(*other).substr(0, 100));
        return std::nullopt;
      }
      out.members.push_back({key, *std::move(both)});
    }
    for (const auto& [key, value] : y.members) {
      if (!holds(kAnnotations, key) && x.find(key) == nullptr) out.members.push_back({key, value});
    }
    if (const Json* type = out.find("type"); type != nullptr && type->is_array() && type->items.empty()) {
      return Json(Json::Kind::kFalse);
    }
    if ((x.find("prefixItems") != nullptr) != (y.find("prefixItems") != nullptr) &&
        x.find("items") != nullptr && y.find("items") != nullptr) {
      fail(b, StatusCode::kUnsupported, "prefixItems cannot be merged with another schema's items");
      return std::nullopt;
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
          if (named.find(name) == named.end())
            property = Json::object({{"allOf", Json::array({*additional, property})}});
        }
      }
    }
    return out;
  }

  static std::optional<Json> merge_keyword(const std::string& key, const Json& a, const Json& b) {
    const auto both = [&] { return Json::object({{"allOf", Json::array({a, b})}}); };
    if (key == "type") return merge_types(a, b);
    if (key == "properties" && a.is_object() && b.is_object()) {
      std::unordered_map<std::string_view, const Json*> others;
      for (const auto& [name, schema] : b.members) others.emplace(name, &schema);
      Json out = Json::object({});
      for (const auto& [name, schema] : a.members) {
        const auto other = others.find(name);
        const bool common = other != others.end();
        out.members.push_back(
            {name, common ? Json::object({{"allOf", Json::array({schema, *other->second})}}) : schema});
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
        if (std::any_of(b.items.begin(), b.items.end(),
                        [&](const Json& other) { return equal(value, other); }))
          out.items.push_back(value);
      }
      return out;
    }
    if (key == "additionalProperties" || key == "items" || key == "additionalItems") return both();
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

  static Json merge_types(const Json& a, const Json& b) {
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

  // ---- anyOf, oneOf

  ExpressionId compile_choice(const Schema& schema) {
    const Json *any = schema.json->find("anyOf"), *one = schema.json->find("oneOf");
    if (any != nullptr && one != nullptr)
      return fail(schema, StatusCode::kUnsupported, "anyOf beside oneOf is not supported");
    const char* keyword = any != nullptr ? "anyOf" : "oneOf";
    const Json* list = any != nullptr ? any : one;
    const Schema at = below(schema, keyword, list);
    if (!list->is_array() || list->items.empty()) {
      return fail(at, StatusCode::kCorruptData, "this is not a list of schemas",
                  "an array with one schema or more", kind_name(*list));
    }
    Json rest = Json::object({});
    for (const auto& member : schema.json->members) {
      if (member.name != keyword && !holds(kAnnotations, member.name)) rest.members.push_back(member);
    }
    std::vector<Schema> branches;
    const Schema common = own(std::move(rest), schema);
    for (size_t i = 0; i < list->items.size(); ++i) {
      const Schema branch = below(at, std::to_string(i), &list->items[i]);
      if (common.json->members.empty() && one == nullptr) {
        branches.push_back(branch);
        continue;
      }
      const auto flat = flatten(branch, 0);
      if (!flat) return GrammarBuilder::kEmpty;
      auto merged = merge(common, *flat);
      if (!merged) return GrammarBuilder::kEmpty;
      branches.push_back(own(*std::move(merged), branch));
    }
    if (one != nullptr && !check_disjoint(branches)) return GrammarBuilder::kEmpty;
    std::vector<ExpressionId> choices;
    for (const Schema& branch : branches) choices.push_back(reference(branch));
    return builder_.alternatives(std::move(choices));
  }

  // Whether no value can satisfy two of them, as far as types, constants and required members tell.
  bool check_disjoint(const std::vector<Schema>& branches) {
    if (branches.size() > 1000)
      return fail(branches[0], StatusCode::kOutOfRange, "oneOf has too many branches"), false;
    for (size_t i = 0; i < branches.size(); ++i) {
      for (size_t j = i + 1; j < branches.size(); ++j) {
        if (disjoint(branches[i], branches[j], 0)) continue;
        fail(branches[j], StatusCode::kUnsupported,
             "this branch of oneOf may hold of the same value as branch " + std::to_string(i) +
                 ", which a grammar cannot exclude",
             "branches that differ in type, in a constant, or in a required property that is constant",
             "use anyOf");
        return false;
      }
    }
    return true;
  }

  bool disjoint(const Schema& a_in, const Schema& b_in, int depth) {
    if (depth > 4) return false;
    const auto a = flatten(a_in, 0), b = flatten(b_in, 0);
    if (!a || !b) return false;
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
    if (types_x != std::set<std::string>{"object"} || types_y != std::set<std::string>{"object"})
      return false;
    const Json *properties_x = x.find("properties"), *properties_y = y.find("properties");
    if (properties_x == nullptr || properties_y == nullptr) return false;
    for (const auto& [name, property] : properties_x->members) {
      const Json* other = properties_y->find(name);
      if (other != nullptr && is_required(x, name) && is_required(y, name) &&
          disjoint({&property, a->pointer}, {other, b->pointer}, depth + 1)) {
        return true;
      }
    }
    return false;
  }

  static bool is_required(const Json& schema, const std::string& name) {
    const Json* required = schema.find("required");
    return required != nullptr && std::any_of(required->items.begin(), required->items.end(),
                                              [&](const Json& r) { return r.text == name; });
  }
  static std::vector<Json> constants(const Json& schema) {
    if (const Json* value = schema.find("const"); value != nullptr) return {*value};
    if (const Json* values = schema.find("enum"); values != nullptr) return values->items;
    return {};
  }
  // The types that a value of this schema can have, integers as numbers; none if any.
  static std::set<std::string> kinds(const Json& schema, const std::vector<Json>& values) {
    std::set<std::string> out;
    for (const Json& value : values) out.insert(type_of(value));
    const Json* type = schema.find("type");
    if (type == nullptr || !out.empty()) return out;
    const auto add = [&](const Json& name) { out.insert(name.text == "integer" ? "number" : name.text); };
    if (type->is_string()) add(*type);
    for (const Json& name : type->items) add(name);
    return out;
  }

  static const char* type_of(const Json& value) {
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

  // ---- constants

  ExpressionId compile_enum(const Schema& schema) {
    const Json *constant = schema.json->find("const"), *values = schema.json->find("enum");
    for (const auto& [key, value] : schema.json->members) {
      if (key != "const" && key != "enum" && key != "type" && !holds(kAnnotations, key)) {
        return fail(below(schema, key, &value), StatusCode::kUnsupported,
                    "this keyword beside const or enum is not supported", "type", key);
      }
    }
    if (values != nullptr && !values->is_array()) {
      return fail(below(schema, "enum", values), StatusCode::kCorruptData, "enum is not a list", "an array",
                  kind_name(*values));
    }
    std::vector<ExpressionId> choices;
    for (const Json& value : constants(*schema.json)) {
      const bool listed = constant == nullptr || values == nullptr ||
                          std::any_of(values->items.begin(), values->items.end(),
                                      [&](const Json& v) { return equal(v, value); });
      if (listed && has_type(value, schema.json->find("type"))) choices.push_back(word(to_json_text(value)));
    }
    return builder_.alternatives(std::move(choices));
  }

  static bool has_type(const Json& value, const Json* type) {
    if (type == nullptr) return true;
    const auto fits = [&](const Json& name) {
      if (name.text != "integer") return name.text == type_of(value);
      const auto number = Decimal::parse(value.text);
      return value.kind == Json::Kind::kNumber && number && number->fraction.empty();
    };
    return type->is_string() ? fits(*type) : std::any_of(type->items.begin(), type->items.end(), fits);
  }

  // ---- types

  ExpressionId compile_types(const Schema& schema) {
    std::vector<std::string> types;
    if (const Json* type = schema.json->find("type"); type != nullptr) {
      if (type->is_string()) types.push_back(type->text);
      for (const Json& name : type->items) types.push_back(name.text);
      if (!type->is_string() && (!type->is_array() || types.empty())) {
        return fail(below(schema, "type", type), StatusCode::kCorruptData, "this is not a type",
                    "a type's name, or a list of them", kind_name(*type));
      }
    } else {  // the types that the keywords speak of
      const auto speaks = [&](const auto& keywords) {
        return std::any_of(schema.json->members.begin(), schema.json->members.end(),
                           [&](const auto& m) { return holds(keywords, m.name); });
      };
      if (speaks(kObjectKeywords)) types.emplace_back("object");
      if (speaks(kArrayKeywords)) types.emplace_back("array");
      if (speaks(kStringKeywords)) types.emplace_back("string");
      if (speaks(kNumberKeywords)) types.emplace_back("number");
      if (types.empty()) return any_value();
    }
    std::vector<ExpressionId> choices;
    for (const std::string& type : types) {
      if (type == "object") {
        choices.push_back(compile_object(schema));
      } else if (type == "array") {
        choices.push_back(compile_array(schema));
      } else if (type == "string") {
        choices.push_back(compile_string(schema));
      } else if (type == "number" || type == "integer") {
        choices.push_back(compile_number(schema, type == "integer"));
      } else if (type == "boolean") {
        choices.push_back(any_of({word("true"), word("false")}));
      } else if (type == "null") {
        choices.push_back(word("null"));
      } else {
        return fail(schema, StatusCode::kCorruptData, "an unknown type",
                    "object, array, string, number, integer, boolean or null", type);
      }
    }
    return builder_.alternatives(std::move(choices));
  }

  // A keyword's count; `fallback` if it is absent.
  uint32_t count(const Schema& schema, const char* keyword, uint32_t fallback) {
    const Json* value = schema.json->find(keyword);
    if (value == nullptr) return fallback;
    const auto number = value->kind == Json::Kind::kNumber ? Decimal::parse(value->text) : std::nullopt;
    if (!number || number->sign == Decimal::Sign::kNegative || !number->fraction.empty()) {
      fail(below(schema, keyword, value), StatusCode::kCorruptData, "this is not a count",
           "a whole number, 0 or more", to_json_text(*value).substr(0, 50));
      return fallback;
    }
    if (number->integer.size() > 6) {
      if (std::string_view(keyword).starts_with("max")) return fallback;  // as good as no bound
      fail(below(schema, keyword, value), StatusCode::kOutOfRange, "this count is too large",
           "at most " + std::to_string(kMaxCount));
      return fallback;
    }
    return static_cast<uint32_t>(std::stoul(number->integer));
  }

  ExpressionId compile_string(const Schema& schema) {
    const uint32_t min = count(schema, "minLength", 0), max = count(schema, "maxLength", kUnbounded);
    const Json *pattern = schema.json->find("pattern"), *format = schema.json->find("format");
    if (pattern == nullptr && format == nullptr) {
      if (max < min) return characters({});
      if (min == 0 && max == kUnbounded) return any_string();
      return all_of({word("\""), builder_.repeat(string_character(), min, max), word("\"")});
    }
    const char* keyword = pattern != nullptr ? "pattern" : "format";
    const Json* value = pattern != nullptr ? pattern : format;
    const Schema at = below(schema, keyword, value);
    if (!value->is_string())
      return fail(at, StatusCode::kCorruptData, "this is not a string", "a string", kind_name(*value));
    if ((pattern != nullptr && format != nullptr) || min > 0 || max != kUnbounded) {
      return fail(at, StatusCode::kUnsupported, "pattern, format and a length cannot be combined",
                  "one of them; a pattern may bound the length: ^.{1,8}$");
    }
    std::string_view regex = value->text;
    if (pattern == nullptr) {
      const auto known = formats().find(value->text);
      if (known == formats().end()) {
        std::string names;
        for (const auto& [name, unused] : formats()) names += (names.empty() ? "" : ", ") + name;
        return fail(at, StatusCode::kUnsupported, "this format is not supported", names, value->text);
      }
      regex = known->second;
    }
    const Result<ExpressionId> inner =
        add_regex(builder_, regex, pattern != nullptr ? RegexScope::kAnywhere : RegexScope::kWhole,
                  limits_.max_depth, [&](const CodePointSet& set) { return shared_set(set); });
    if (!inner.ok()) {
      if (status_.ok()) status_ = inner.status().at("schema, " + at.pointer);
      return GrammarBuilder::kEmpty;
    }
    return all_of({word("\""), *inner, word("\"")});
  }

  // As spelled(), made once a set.
  ExpressionId shared_set(const CodePointSet& set) {
    const auto [found, added] = spelled_.try_emplace(set, 0);
    if (added) {
      found->second = builder_.add_rule("characters");
      builder_.define(found->second, spelled(set));
    }
    return builder_.reference(found->second);
  }

  ExpressionId compile_number(const Schema& schema, bool integer) {
    NumberRange range;
    const auto bound = [&](const char* keyword) -> std::optional<Decimal> {
      const Json* value = schema.json->find(keyword);
      if (value == nullptr) return std::nullopt;
      if (value->kind != Json::Kind::kNumber) {
        fail(below(schema, keyword, value), StatusCode::kCorruptData, "this is not a number", "a number",
             kind_name(*value));
        return std::nullopt;
      }
      const auto number = Decimal::parse(value->text);
      if (!number)
        fail(below(schema, keyword, value), StatusCode::kUnsupported, "a bound has too many digits",
             "at most 400", value->text.substr(0, 50));
      return number;
    };
    if (const auto low = bound("minimum")) range.low = {*low, Inclusion::kInclusive};
    if (const auto high = bound("maximum")) range.high = {*high, Inclusion::kInclusive};
    if (const auto low = bound("exclusiveMinimum");
        low && (!range.low || compare(*low, range.low->value) >= 0)) {
      range.low = {*low, Inclusion::kExclusive};
    }
    if (const auto high = bound("exclusiveMaximum");
        high && (!range.high || compare(*high, range.high->value) <= 0)) {
      range.high = {*high, Inclusion::kExclusive};
    }
    if (const Json* multiple = schema.json->find("multipleOf"); multiple != nullptr) {
      const auto value =
          multiple->kind == Json::Kind::kNumber ? Decimal::parse(multiple->text) : std::nullopt;
      if (!value || value->integer != "1" || !value->fraction.empty() ||
          value->sign == Decimal::Sign::kNegative) {
        return fail(below(schema, "multipleOf", multiple), StatusCode::kUnsupported,
                    "multiples of other numbers are not supported", "1",
                    to_json_text(*multiple).substr(0, 50));
      }
      integer = true;
    }
    if (!status_.ok()) return GrammarBuilder::kEmpty;
    return integer                   ? integer_range(builder_, range)
           : range.low || range.high ? number_range(builder_, range)
                                     : any_number();
  }

  ExpressionId compile_array(const Schema& schema) {
    const Json *items = schema.json->find("items"), *prefix = schema.json->find("prefixItems");
    Schema items_at = below(schema, "items", items), prefix_at = below(schema, "prefixItems", prefix);
    if (prefix == nullptr && items != nullptr && items->is_array()) {  // before 2020-12
      std::swap(prefix, items);
      prefix_at = items_at;
      items = schema.json->find("additionalItems");
      items_at = below(schema, "additionalItems", items);
      prefix_at.json = prefix;
    }
    if (prefix != nullptr && !prefix->is_array()) {
      return fail(prefix_at, StatusCode::kCorruptData, "prefixItems is not a list", "an array of schemas",
                  kind_name(*prefix));
    }
    const uint32_t min = count(schema, "minItems", 0);
    uint32_t max = count(schema, "maxItems", kUnbounded);
    if (const Json* unique = schema.json->find("uniqueItems");
        unique != nullptr && unique->kind != Json::Kind::kFalse && max > 1) {
      return fail(below(schema, "uniqueItems", unique), StatusCode::kUnsupported,
                  "uniqueItems is not supported", "false, or maxItems of 1");
    }
    const auto fixed = static_cast<uint32_t>(prefix == nullptr ? 0 : prefix->items.size());
    // A tuple ends with its last element, unless the schema asks for more.
    if (prefix != nullptr && items == nullptr && min <= fixed) max = std::min(max, fixed);
    if (items != nullptr && items->kind == Json::Kind::kFalse) max = std::min(max, fixed);
    if (max < min) return characters({});
    const ExpressionId element = items == nullptr ? any_value() : reference(items_at);
    if (fixed == 0) return list("[", element, "]", min, max);
    // From the last element of the prefix to the first: what may follow once i elements are written.
    const ExpressionId close = all_of({space(), word("]")});
    ExpressionId rest = close;
    const uint32_t written = std::min(fixed, max);
    if (max > fixed) {
      const uint32_t more_min = min - std::min(min, fixed),
                     more_max = max == kUnbounded ? kUnbounded : max - fixed;
      rest = all_of({builder_.repeat(all_of({comma(), element}), more_min, more_max), close});
    }
    for (uint32_t i = written; i-- > 0;) {
      const ExpressionId here = reference(below(prefix_at, std::to_string(i), &prefix->items[i]));
      const ExpressionId more = all_of({i == 0 ? GrammarBuilder::kEmpty : comma(), here, rest});
      const RuleId rule = builder_.add_rule("elements");  // a rule, so that long prefixes do not nest
      builder_.define(rule, i >= min ? any_of({close, more}) : more);
      rest = builder_.reference(rule);
    }
    return all_of({word("["), space(), rest});
  }

  // ---- objects

  struct Property {
    std::string name;
    Schema schema;
    Member presence;
  };

  ExpressionId compile_object(const Schema& schema) {
    const Json *named = schema.json->find("properties"), *required = schema.json->find("required");
    const Json* additional = schema.json->find("additionalProperties");
    if (named != nullptr && !named->is_object()) {
      return fail(below(schema, "properties", named), StatusCode::kCorruptData, "properties is not an object",
                  "an object of schemas", kind_name(*named));
    }
    std::unordered_set<std::string> wanted;
    for (size_t i = 0; required != nullptr && i < required->items.size(); ++i)
      wanted.insert(required->items[i].text);
    if (required != nullptr &&
        (!required->is_array() || std::any_of(required->items.begin(), required->items.end(),
                                              [](const Json& r) { return !r.is_string(); }))) {
      return fail(below(schema, "required", required), StatusCode::kCorruptData,
                  "required is not a list of names", "an array of strings",
                  to_json_text(*required).substr(0, 50));
    }
    static const Json kTrue(Json::Kind::kTrue);
    // Only what is named, unless nothing is or the schema says otherwise.
    const bool open = additional != nullptr ? additional->kind != Json::Kind::kFalse : named == nullptr;
    const Schema others = additional != nullptr ? below(schema, "additionalProperties", additional)
                                                : Schema{&kTrue, schema.pointer};
    std::vector<Property> properties;
    for (size_t i = 0; named != nullptr && i < named->members.size(); ++i) {
      const auto& [name, property] = named->members[i];
      const bool is_wanted = wanted.erase(name) > 0;
      if (!is_wanted && property.kind == Json::Kind::kFalse) continue;
      properties.push_back({name, below(below(schema, "properties", named), name, &property),
                            is_wanted ? Member::kRequired : Member::kOptional});
    }
    for (size_t i = 0; required != nullptr && i < required->items.size();
         ++i) {  // required, but not described
      const std::string& name = required->items[i].text;
      if (wanted.erase(name) > 0) properties.push_back({name, others, Member::kRequired});
    }
    const auto always =
        static_cast<uint32_t>(std::count_if(properties.begin(), properties.end(), [](const Property& p) {
          return p.presence == Member::kRequired;
        }));
    const uint32_t min = count(schema, "minProperties", 0), max = count(schema, "maxProperties", kUnbounded);
    const bool counts_hold = min <= always && (max == kUnbounded || (!open && max >= properties.size()));
    if (properties.empty() && open) return list("{", additional_member(properties, others), "}", min, max);
    if (!counts_hold) {
      return fail(schema, StatusCode::kUnsupported,
                  "minProperties and maxProperties beside properties are not supported",
                  "bounds that required and properties meet anyhow");
    }
    return all_of({word("{"), space(), members(properties, open, others)});
  }

  // What follows the opening brace: a chain of rules, from the last property to the first, once for "no member yet" and
  // once for "after a member".
  ExpressionId members(const std::vector<Property>& properties, bool open, const Schema& others) {
    const ExpressionId close = all_of({space(), word("}")});
    ExpressionId first = word("}"), later = close;  // the white space after '{' has been taken
    if (open) {
      const ExpressionId member = additional_member(properties, others);
      later = all_of({builder_.repeat(all_of({comma(), member}), 0, kUnbounded), close});
      first = any_of({word("}"), all_of({member, later})});
    }
    for (auto property = properties.rbegin(); property != properties.rend(); ++property) {
      const ExpressionId member =
          all_of({word(to_json_text(Json::string(property->name))), colon(), reference(property->schema)});
      const auto step = [&](ExpressionId before, ExpressionId without) {
        const ExpressionId with = all_of({before, member, later});
        const RuleId rule = builder_.add_rule("members");
        builder_.define(rule, property->presence == Member::kRequired ? with : any_of({with, without}));
        return builder_.reference(rule);
      };
      const ExpressionId next_first = step(GrammarBuilder::kEmpty, first), next_later = step(comma(), later);
      first = next_first;
      later = next_later;
    }
    return first;
  }

  // A member whose name is none of the properties'. Names are written without escapes, so that no name has two forms.
  ExpressionId additional_member(const std::vector<Property>& properties, const Schema& others) {
    if (properties.empty()) return all_of({any_string(), colon(), reference(others)});
    struct Node {
      std::map<uint32_t, size_t> children;
      bool ends = false;
    };
    std::vector<Node> nodes(1);
    for (const Property& property : properties) {
      size_t at = 0;
      for (size_t i = 0; i < property.name.size();) {
        const Utf8Step step = utf8_step(std::string_view(property.name).substr(i));
        i += step.size;
        const auto [child, added] = nodes[at].children.try_emplace(step.code_point, nodes.size());
        at = child->second;
        if (added) nodes.emplace_back();
      }
      nodes[at].ends = true;
    }
    const ExpressionId quote = word("\"");
    const ExpressionId anything =
        all_of({builder_.repeat(characters(plain_characters()), 0, kUnbounded), quote});
    std::vector<RuleId> rules;
    for (size_t i = 0; i < nodes.size(); ++i) rules.push_back(builder_.add_rule("other names"));
    for (size_t i = 0; i < nodes.size(); ++i) {
      CodePointSet continued;
      std::vector<ExpressionId> choices;
      for (const auto& [c, child] : nodes[i].children) {
        continued.add(c, c);
        const CodePointSet plain = CodePointSet::single(c).intersection(plain_characters());
        if (!plain.empty()) choices.push_back(all_of({characters(plain), builder_.reference(rules[child])}));
      }
      if (!nodes[i].ends) choices.push_back(quote);
      choices.push_back(all_of({characters(plain_characters().without(continued)), anything}));
      builder_.define(rules[i], builder_.alternatives(std::move(choices)));
    }
    return all_of({quote, builder_.reference(rules[0]), colon(), reference(others)});
  }

  const Json& root_;
  const GrammarLimits& limits_;
  GrammarBuilder builder_;
  std::deque<Json> owned_;  // merged schemas; a deque, since rules point at them
  std::unordered_map<const Json*, RuleId> rules_;
  std::vector<std::pair<RuleId, Schema>> queue_;
  std::unordered_map<std::string, RuleId> shared_;
  std::map<CodePointSet, RuleId> spelled_;
  Status status_;
};

}  // namespace
}  // namespace constraint

Result<Grammar> compile_json_schema(std::string_view schema_json, const GrammarLimits& limits) {
  if (schema_json.size() > limits.max_source_bytes) {
    return Status(StatusCode::kOutOfRange, "a JSON schema is too long")
        .expected("at most " + std::to_string(limits.max_source_bytes) + " bytes")
        .got(std::to_string(schema_json.size()));
  }
  Result<constraint::Json> json = constraint::parse_json_tree(schema_json, limits.max_depth);
  if (!json.ok()) return json.status().at("JSON schema");
  return constraint::SchemaCompiler(*json, limits).run();
}

}  // namespace weft
