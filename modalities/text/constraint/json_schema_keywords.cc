#include "modalities/text/constraint/json_schema_keywords.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

namespace weft::constraint {
namespace {

constexpr std::string_view kAnnotations[] = {
    "$schema",  "$id",      "$comment",  "$defs",       "definitions", "title",  "default",
    "examples", "readOnly", "writeOnly", "description", "deprecated",  "$anchor"};
constexpr std::string_view kGeneralKeywords[] = {"type", "enum", "const", "$ref", "allOf", "anyOf", "oneOf"};
constexpr std::string_view kObjectKeywords[] = {"properties", "required", "additionalProperties",
                                                "minProperties", "maxProperties"};
constexpr std::string_view kArrayKeywords[] = {"items",    "prefixItems", "additionalItems",
                                               "minItems", "maxItems",    "uniqueItems"};
constexpr std::string_view kStringKeywords[] = {"minLength", "maxLength", "pattern", "format"};
constexpr std::string_view kNumberKeywords[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                                                "multipleOf"};

std::span<const std::string_view> keywords(KeywordGroup group) {
  switch (group) {
    case KeywordGroup::kAnnotation: return kAnnotations;
    case KeywordGroup::kGeneral: return kGeneralKeywords;
    case KeywordGroup::kObject: return kObjectKeywords;
    case KeywordGroup::kArray: return kArrayKeywords;
    case KeywordGroup::kString: return kStringKeywords;
    case KeywordGroup::kNumber: return kNumberKeywords;
  }
  return {};
}

constexpr KeywordGroup kAssertions[] = {KeywordGroup::kGeneral, KeywordGroup::kObject, KeywordGroup::kArray,
                                        KeywordGroup::kString, KeywordGroup::kNumber};

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

}  // namespace

Schema Schema::below(std::string_view key, const Json* part) const {
  std::string escaped;
  for (const char c : key) escaped += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return {part, pointer + "/" + escaped};
}

Status Schema::error(StatusCode code, std::string message, std::string expected, std::string got) const {
  return Status(code, std::move(message))
      .at("schema, " + (pointer.empty() ? std::string("root") : pointer))
      .expected(std::move(expected))
      .got(std::move(got));
}

bool is_keyword(KeywordGroup group, std::string_view name) {
  const auto names = keywords(group);
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool mentions(const Json& schema, KeywordGroup group) {
  return std::any_of(schema.members.begin(), schema.members.end(),
                     [&](const JsonMember& member) { return is_keyword(group, member.name); });
}

Status check_keywords(const Schema& schema) {
  for (const auto& [key, value] : schema.json->members) {
    const auto knows = [&wanted = key](KeywordGroup group) { return is_keyword(group, wanted); };
    if (knows(KeywordGroup::kAnnotation) ||
        std::any_of(std::begin(kAssertions), std::end(kAssertions), knows))
      continue;
    std::string known;
    for (const KeywordGroup group : kAssertions) {
      for (const std::string_view name : keywords(group))
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return schema.below(key, &value)
        .error(StatusCode::kUnsupported, "this keyword is not supported", known, key);
  }
  return {};
}

const std::string* format_pattern(std::string_view format) {
  const auto found = formats().find(format);
  return found == formats().end() ? nullptr : &found->second;
}

std::string format_names() {
  std::string names;
  for (const auto& [name, pattern] : formats()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace weft::constraint
