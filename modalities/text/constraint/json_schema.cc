// JSON Schema to a grammar of the JSON texts that it accepts.
//
// Every schema becomes a rule, made when something first refers to it; so recursion through $ref is recursion of rules.
// Schemas that apply together (allOf, $ref or anyOf with siblings) are merged into one first. Where JSON Schema leaves
// freedom that a grammar cannot follow, the grammar has fewer texts than the schema, never more: see README.md.
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "modalities/text/constraint/grammar_builder.h"
#include "modalities/text/constraint/json_number_range.h"
#include "modalities/text/constraint/json_schema_keywords.h"
#include "modalities/text/constraint/json_schema_merge.h"
#include "modalities/text/constraint/json_tree.h"
#include "modalities/text/constraint/regex.h"
#include "modalities/unicode/utf8.h"

namespace weft {
namespace constraint {
namespace {

constexpr size_t kMaxRules = 100'000;
constexpr uint32_t kMaxCount = 1'000'000;

class SchemaCompiler {
 public:
  SchemaCompiler(const Json& root, const GrammarLimits& limits)
      : root_(root), limits_(limits), merger_(root) {}

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
  enum class Member : uint8_t { kOptional, kRequired };

  ExpressionId fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
    return GrammarBuilder::kEmpty;
  }
  ExpressionId fail(const Schema& schema, StatusCode code, std::string message, std::string expected = {},
                    std::string got = {}) {
    return fail(schema.error(code, std::move(message), std::move(expected), std::move(got)));
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

  // Schemas of equal text are one rule: a recursive schema that is merged with another at each level makes new schemas
  // for ever, but the same ones. Longer texts than this are told apart by their place alone.
  static constexpr size_t kMaxKeyBytes = 4096;

  ExpressionId reference(const Schema& schema) {
    const auto [found, added] = rules_.try_emplace(schema.json, 0);
    if (!added) return builder_.reference(found->second);
    const std::string text = to_json_text(*schema.json);
    if (text.size() <= kMaxKeyBytes) {
      const auto equal_text = rules_by_text_.find(text);
      if (equal_text != rules_by_text_.end()) return builder_.reference(found->second = equal_text->second);
    }
    if (builder_.rule_count() > kMaxRules) {
      return fail(schema, StatusCode::kOutOfRange, "a schema has too many parts");
    }
    const std::string place = schema.pointer.empty() ? "root" : schema.pointer;
    found->second = builder_.add_rule("schema " + place);
    if (text.size() <= kMaxKeyBytes) rules_by_text_.emplace(text, found->second);
    queue_.emplace_back(found->second, schema);
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
    if (Status status = check_keywords(schema); !status.ok()) return fail(std::move(status));
    if (json.find("$ref") != nullptr || json.find("allOf") != nullptr) {
      // A plain reference stays one; anything beside it is merged.
      if (const Json* ref = json.find("$ref"); ref != nullptr && assertions(json) == 1) {
        const Result<Schema> target = merger_.resolve(schema.below("$ref", ref));
        return target.ok() ? reference(*target) : fail(target.status());
      }
      const Result<Schema> flat = merger_.flatten(schema);
      return flat.ok() ? compile(*flat) : fail(flat.status());
    }
    if (json.find("anyOf") != nullptr || json.find("oneOf") != nullptr) return compile_choice(schema);
    if (json.find("const") != nullptr || json.find("enum") != nullptr) return compile_enum(schema);
    return compile_types(schema);
  }

  static size_t assertions(const Json& json) {
    return static_cast<size_t>(std::count_if(
        json.members.begin(), json.members.end(),
        [](const auto& member) { return !is_keyword(KeywordGroup::kAnnotation, member.name); }));
  }

  // ---- anyOf, oneOf

  ExpressionId compile_choice(const Schema& schema) {
    const Json *any = schema.json->find("anyOf"), *one = schema.json->find("oneOf");
    if (any != nullptr && one != nullptr)
      return fail(schema, StatusCode::kUnsupported, "anyOf beside oneOf is not supported");
    const char* keyword = any != nullptr ? "anyOf" : "oneOf";
    const Json* list = any != nullptr ? any : one;
    const Schema at = schema.below(keyword, list);
    if (!list->is_array() || list->items.empty()) {
      return fail(at, StatusCode::kCorruptData, "this is not a list of schemas",
                  "an array with one schema or more", kind_name(*list));
    }
    const Result<Schema> common = merger_.without(schema, keyword);
    if (!common.ok()) return fail(common.status());
    std::vector<Schema> branches;
    for (size_t i = 0; i < list->items.size(); ++i) {
      const Schema branch = at.below(std::to_string(i), &list->items[i]);
      if (common->json->members.empty()) {
        branches.push_back(branch);
        continue;
      }
      const Result<Schema> flat = merger_.flatten(branch);
      if (!flat.ok()) return fail(flat.status());
      const Result<Schema> merged = merger_.merge(*common, *flat);
      if (!merged.ok()) return fail(merged.status());
      branches.push_back({merged->json, branch.pointer});
    }
    if (one != nullptr && !check_disjoint(branches)) return GrammarBuilder::kEmpty;
    std::vector<ExpressionId> choices;
    for (const Schema& branch : branches) choices.push_back(reference(branch));
    return builder_.alternatives(std::move(choices));
  }

  // Whether no value can satisfy two of them, as far as types, constants and required members tell.
  bool check_disjoint(const std::vector<Schema>& branches) {
    if (branches.size() > 300)
      return fail(branches[0], StatusCode::kOutOfRange, "oneOf has too many branches"), false;
    for (size_t i = 0; i < branches.size(); ++i) {
      for (size_t j = i + 1; j < branches.size(); ++j) {
        if (merger_.disjoint(branches[i], branches[j])) continue;
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

  // ---- constants

  ExpressionId compile_enum(const Schema& schema) {
    const Json *constant = schema.json->find("const"), *values = schema.json->find("enum");
    for (const auto& [key, value] : schema.json->members) {
      if (key != "const" && key != "enum" && key != "type" && !is_keyword(KeywordGroup::kAnnotation, key)) {
        return fail(schema.below(key, &value), StatusCode::kUnsupported,
                    "this keyword beside const or enum is not supported", "type", key);
      }
    }
    if (values != nullptr && !values->is_array()) {
      return fail(schema.below("enum", values), StatusCode::kCorruptData, "enum is not a list", "an array",
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
      if (name.text != "integer") return name.text == type_name(value);
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
        return fail(schema.below("type", type), StatusCode::kCorruptData, "this is not a type",
                    "a type's name, or a list of them", kind_name(*type));
      }
    } else {  // the types that the keywords speak of
      if (mentions(*schema.json, KeywordGroup::kObject)) types.emplace_back("object");
      if (mentions(*schema.json, KeywordGroup::kArray)) types.emplace_back("array");
      if (mentions(*schema.json, KeywordGroup::kString)) types.emplace_back("string");
      if (mentions(*schema.json, KeywordGroup::kNumber)) types.emplace_back("number");
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
      fail(schema.below(keyword, value), StatusCode::kCorruptData, "this is not a count",
           "a whole number, 0 or more", to_json_text(*value).substr(0, 50));
      return fallback;
    }
    if (number->integer.size() > 6) {
      if (std::string_view(keyword).starts_with("max")) return fallback;  // as good as no bound
      fail(schema.below(keyword, value), StatusCode::kOutOfRange, "this count is too large",
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
    const Schema at = schema.below(keyword, value);
    if (!value->is_string())
      return fail(at, StatusCode::kCorruptData, "this is not a string", "a string", kind_name(*value));
    if ((pattern != nullptr && format != nullptr) || min > 0 || max != kUnbounded) {
      return fail(at, StatusCode::kUnsupported, "pattern, format and a length cannot be combined",
                  "one of them; a pattern may bound the length: ^.{1,8}$");
    }
    std::string_view regex = value->text;
    if (pattern == nullptr) {
      const std::string* known = format_pattern(value->text);
      if (known == nullptr) {
        return fail(at, StatusCode::kUnsupported, "this format is not supported", format_names(),
                    value->text);
      }
      regex = *known;
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
        fail(schema.below(keyword, value), StatusCode::kCorruptData, "this is not a number", "a number",
             kind_name(*value));
        return std::nullopt;
      }
      const auto number = Decimal::parse(value->text);
      if (!number)
        fail(schema.below(keyword, value), StatusCode::kUnsupported, "a bound has too many digits",
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
        return fail(schema.below("multipleOf", multiple), StatusCode::kUnsupported,
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
    Schema items_at = schema.below("items", items), prefix_at = schema.below("prefixItems", prefix);
    if (prefix == nullptr && items != nullptr && items->is_array()) {  // before 2020-12
      std::swap(prefix, items);
      prefix_at = items_at;
      items = schema.json->find("additionalItems");
      items_at = schema.below("additionalItems", items);
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
      return fail(schema.below("uniqueItems", unique), StatusCode::kUnsupported,
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
      const ExpressionId here = reference(prefix_at.below(std::to_string(i), &prefix->items[i]));
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
      return fail(schema.below("properties", named), StatusCode::kCorruptData, "properties is not an object",
                  "an object of schemas", kind_name(*named));
    }
    std::unordered_set<std::string> wanted;
    for (size_t i = 0; required != nullptr && i < required->items.size(); ++i)
      wanted.insert(required->items[i].text);
    if (required != nullptr &&
        (!required->is_array() || std::any_of(required->items.begin(), required->items.end(),
                                              [](const Json& r) { return !r.is_string(); }))) {
      return fail(schema.below("required", required), StatusCode::kCorruptData,
                  "required is not a list of names", "an array of strings",
                  to_json_text(*required).substr(0, 50));
    }
    static const Json kTrue(Json::Kind::kTrue);
    // Only what is named, unless nothing is or the schema says otherwise.
    const bool open = additional != nullptr ? additional->kind != Json::Kind::kFalse : named == nullptr;
    const Schema others = additional != nullptr ? schema.below("additionalProperties", additional)
                                                : Schema{&kTrue, schema.pointer};
    std::vector<Property> properties;
    for (size_t i = 0; named != nullptr && i < named->members.size(); ++i) {
      const auto& [name, property] = named->members[i];
      const bool is_wanted = wanted.erase(name) > 0;
      if (!is_wanted && property.kind == Json::Kind::kFalse) continue;
      properties.push_back({name, schema.below("properties", named).below(name, &property),
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
  SchemaMerger merger_;
  std::unordered_map<const Json*, RuleId> rules_;
  std::unordered_map<std::string, RuleId> rules_by_text_;
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
