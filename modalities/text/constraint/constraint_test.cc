#include "modalities/text/constraint/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/schema.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

namespace weft {
namespace {

using testing::HasSubstr;

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// "complete", "prefix", "rejected", or the error.
std::string verdict(const Result<Grammar>& grammar, std::string_view text) {
  if (!grammar.ok()) return to_string(grammar.error());
  const Result<GrammarMatch> match = grammar->match(text);
  if (!match.ok()) return to_string(match.error());
  return *match == GrammarMatch::kComplete ? "complete"
         : *match == GrammarMatch::kPrefix ? "prefix"
                                           : "rejected";
}

// Texts after '+' are sentences, after '~' beginnings of one, after '-' neither.
struct Table {
  const char* source;
  std::vector<std::string> texts;
};

void check(const Table& table, const Result<Grammar>& grammar) {
  ASSERT_TRUE(grammar.ok()) << table.source << ": " << to_string(grammar.error());
  for (const std::string& entry : table.texts) {
    const char* expected = entry[0] == '+' ? "complete" : entry[0] == '~' ? "prefix" : "rejected";
    EXPECT_EQ(verdict(grammar, entry.substr(1)), expected) << table.source << "\n  text: " << entry.substr(1);
  }
}

struct ErrorCase {
  std::string source;
  StatusCode code;
  const char* text;
};

template <typename Compile>
void check_errors(const std::vector<ErrorCase>& cases, Compile compile) {
  for (const ErrorCase& c : cases) {
    const Result<Grammar> grammar = compile(c.source);
    ASSERT_FALSE(grammar.ok()) << c.source.substr(0, 200);
    EXPECT_EQ(grammar.code(), c.code) << c.source.substr(0, 200) << ": " << to_string(grammar.error());
    EXPECT_THAT(to_string(grammar.error()), HasSubstr(c.text)) << c.source.substr(0, 200);
  }
}

// ---- regular expressions

TEST(RegexConstraint, MatchesTheWholeText) {
  const Table tables[] = {
      {"", {"+", "-a"}},
      {"abc", {"+abc", "~ab", "~", "-abcd", "-b"}},
      {"a|bc|", {"+a", "+bc", "+", "~b", "-ab"}},
      {"(ab)*c", {"+c", "+abc", "+ababc", "~aba", "-ac"}},
      {"a+b?", {"+a", "+aaab", "-b", "-abb"}},
      {"a{2}b{1,2}c{2,}", {"+aabcc", "+aabbcccc", "~aabc", "-abcc", "-aabbbcc"}},
      {"a{0}b{0,1}", {"+", "+b", "-a"}},
      {"a*?b+?c??", {"+b", "+aabbc"}},
      {"[a-c_]+", {"+abc_", "-d", "~"}},
      {"[^a-c]", {"+d", "+\n", "+é", "+🎈", "-a", "-dd"}},
      {"[]a]", {"+]", "+a"}},
      {"[a-]", {"+a", "+-", "-b"}},
      {R"([\d\-x]+)", {"+1-x", "-a"}},
      {".", {"+a", "+é", "+\u2028", "+🎈", "-\n", "~\xF0\x9F", "-\xFF", "-\xC0\xAF", "-\xED\xA0\x80"}},
      {R"(\d\D\w\W\s\S)", {"+1a_. x", "+9é0é\tß", "-aa_. x"}},
      {R"(\n\r\t\f\v\x41\u00e9\u{1F388}\0\.\\)", {std::string("+\n\r\t\f\vAé🎈") + '\0' + ".\\"}},
      {R"(\ud83c\udf88)", {"+🎈"}},
      {R"(\p{Lu}\p{L}+\P{L})", {"+Ünï1", "+Ωω.", "-ünï1", "~ÜÜÜ"}},
      {"[а-я]{2,3}", {"+да", "+нет", "-ёж", "~д"}},
      {"^(?:a|b)$|^c", {"+a", "+b", "+c", "-d"}},
      {"(?<year>[0-9]{4})-(?P<m>[0-9]{2})", {"+2024-05"}},
      {"(a*)*b", {"+b", "+aaab", "~aaaa"}},
      {"((a?)+)*c", {"+c", "+aac"}},
      {"(|a)+", {"+", "+aaa"}},
      {"é|ê|€", {"+é", "+ê", "~\xC3", "~\xE2\x82", "-e"}},
  };
  for (const Table& table : tables) check(table, compile_regex(table.source));
}

TEST(RegexConstraint, NamesTheColumnOfAnError) {
  check_errors({{"a(b", StatusCode::kCorruptData, "column 4: a group is not closed"},
                {"a)b", StatusCode::kCorruptData, "column 2"},
                {"é[a", StatusCode::kCorruptData, "column 4: a class is not closed"},
                {"*a", StatusCode::kCorruptData, "column 1: a quantifier follows nothing"},
                {"a**", StatusCode::kCorruptData, "column 3"},
                {"a{2,1}", StatusCode::kCorruptData, "wrong order"},
                {"a{x}", StatusCode::kCorruptData, "expected a number, got 'x'"},
                {"[z-a]", StatusCode::kCorruptData, "ascending"},
                {"(?=a)b", StatusCode::kUnsupported, "look-around"},
                {"(?i)a", StatusCode::kUnsupported, "flags"},
                {R"((a)\1)", StatusCode::kUnsupported, "column 5"},
                {R"(\bword)", StatusCode::kUnsupported, "column 2"},
                {"a^b", StatusCode::kUnsupported, "anchor"},
                {R"(\p{Klingon})", StatusCode::kUnsupported, "category"},
                {R"(\ud800)", StatusCode::kCorruptData, "no character"},
                {R"(\x4)", StatusCode::kCorruptData, "cut short"},
                {"a\xFF", StatusCode::kCorruptData, "not UTF-8"},
                {"[^\\s\\S]", StatusCode::kInvalidArgument, "no sentence"},
                {"a{100001}", StatusCode::kOutOfRange, "at most 100000"},
                {"((((a{99}){99}){99}){99}){99}", StatusCode::kOutOfRange, "too large"},
                {repeat("(", 1000) + repeat(")", 1000), StatusCode::kOutOfRange, "nest too deeply"}},
               [](const std::string& source) { return compile_regex(source); });
}

// std::regex reads the same ASCII subset.
TEST(RegexConstraint, AgreesWithTheStandardLibraryOnRandomTexts) {
  std::mt19937 random(7);
  for (const char* pattern :
       {"(a|ab)(c|bcd)*d?", "[a-c]{2,4}(d|[^a-c])+", "(?:a+b?)*c", "a{1,3}?(bc|d){0,2}", "\\w+-\\d*"}) {
    const Result<Grammar> grammar = compile_regex(pattern);
    ASSERT_TRUE(grammar.ok());
    const std::regex reference(pattern);
    for (int i = 0; i < 2000; ++i) {
      std::string text(random() % 8, ' ');
      for (char& c : text) c = "abcd-1"[random() % 6];
      EXPECT_EQ(verdict(grammar, text) == "complete", std::regex_match(text, reference))
          << pattern << " on " << text;
    }
  }
}

// ---- GBNF

TEST(Gbnf, FollowsItsRules) {
  const Table tables[] = {
      {"root ::= \"a\" b?\nb ::= [0-9]+ # digits\n", {"+a", "+a12", "-b", "-ab"}},
      {"root ::= \"x\" |\n  \"y\"\n  | \"z\"", {"+x", "+y", "+z", "-xy"}},
      {"root ::= (\"a\" | \"b\"\n | \"c\")* \".\"", {"+.", "+abc.", "~ab"}},
      {"root ::= expr\nexpr ::= term (\"+\" term)*\nterm ::= \"(\" expr \")\" | [0-9]",
       {"+1", "+1+2", "+((1)+2)", "~((1)", "-1+)", "-(1))", "+" + repeat("(", 500) + "1" + repeat(")", 500)}},
      {"root ::= \"a\" root | \"b\"", {"+b", "+aab", "+" + repeat("a", 5000) + "b", "~" + repeat("a", 5000)}},
      {"root ::= \"a\" root \"b\" | \"\"", {"+", "+ab", "+aabb", "~aab", "-abb", "-b"}},
      {"root ::= [^\"\\\\\\n]{2,3}", {"+ab", "+éé", "+🎈a🎈", "~a", "-abcd", "-a\n"}},
      {"root ::= . .", {"+ab", "+\n\n", "+é🎈"}},
      {"root ::= \"\\x41\\u00e9\\U0001F388\\n\\t\\\"\\\\\"", {"+Aé🎈\n\t\"\\"}},
      {"root ::= [\\]\\[a\\-z]+", {"+]", "+[a-z", "-b"}},
      {"root ::= item{2} item{1,} item{0,1}\nitem ::= \"i\"", {"+iii", "+iiii", "~ii", "-"}},
      {"root ::= nothing* \"x\"\nnothing ::= \"\" | \"y\"?", {"+x", "+yyx"}},
      {"# a comment first\n\nroot   ::=   \"a\"   # and last", {"+a"}},
      {"root ::= a-b_1\r\na-b_1 ::= \"c\"\r\n", {"+c"}},
      {"root ::= \"a\" dead | \"b\"\ndead ::= \"x\" dead", {"+b", "-a"}},
  };
  for (const Table& table : tables) {
    std::vector<std::string> texts = table.texts;
    if (texts.back() == "-") texts.pop_back();
    check({table.source, texts}, compile_gbnf(table.source));
  }
}

TEST(Gbnf, NamesTheLineAndColumnOfAnError) {
  check_errors(
      {{"", StatusCode::kCorruptData, "no rule 'root'"},
       {"root = \"a\"", StatusCode::kCorruptData,
        "grammar:1:6: a grammar's syntax is wrong (expected '::=', got '=')"},
       {"root ::= \"a\"\nb ::= c", StatusCode::kCorruptData, "grammar:2:7: rule 'c' is not defined"},
       {"root ::= \"a", StatusCode::kCorruptData, "grammar:1:12"},
       {"root ::= \"a\nb\"", StatusCode::kCorruptData, "the end of the line"},
       {"root ::= [a", StatusCode::kCorruptData, "expected ']'"},
       {"root ::= (\"a\"", StatusCode::kCorruptData, "expected ')'"},
       {"root ::= \"a\")", StatusCode::kCorruptData, "grammar:1:13"},
       {"root ::= \"é\" $", StatusCode::kCorruptData, "grammar:1:14"},
       {"root ::= \"\\q\"", StatusCode::kCorruptData, "unknown escape"},
       {"root ::= [z-a]", StatusCode::kCorruptData, "wrong order"},
       {"root ::= \"a\"{3,2}", StatusCode::kCorruptData, "wrong order"},
       {"root ::= \"a\"\nroot ::= \"b\"", StatusCode::kCorruptData,
        "grammar:2:1: rule 'root' is defined twice"},
       {"root ::= <think>", StatusCode::kUnsupported, "tokens"},
       {"root ::= list\nlist ::= list \",\" \"a\" | \"a\"", StatusCode::kUnsupported,
        "'list' begins with itself"},
       {"root ::= a\na ::= b\nb ::= \"\" a \"x\" | \"y\"", StatusCode::kUnsupported, "begins with itself"},
       {"root ::= a? root \"x\" | \"y\"\na ::= \"a\"", StatusCode::kUnsupported, "'root' begins with itself"},
       {"root ::= \"a\" root", StatusCode::kInvalidArgument, "no sentence"},
       {"root ::= ((((\"a\"{99}){99}){99}){99}){99}", StatusCode::kOutOfRange, "too large"},
       {"root ::= \"a\"" + repeat("{2}", 300), StatusCode::kOutOfRange, "too deeply"},
       {"root ::= " + repeat("(", 5000) + "\"a\"" + repeat(")", 5000), StatusCode::kOutOfRange,
        "too deeply"}},
      [](const std::string& source) { return compile_gbnf(source); });
}

TEST(Gbnf, GivesUpOnAmbiguityThatWouldGrowWithoutEnd) {
  // Each "a" may open any number of frames that all remain possible.
  const Result<Grammar> grammar =
      compile_gbnf("root ::= s\ns ::= \"a\" s \"b\" s \"c\" | \"a\" s \"c\" | \"a\" s s | \"a\"");
  ASSERT_TRUE(grammar.ok()) << to_string(grammar.error());
  const Result<GrammarMatch> match = grammar->match(repeat("a", 60));
  ASSERT_FALSE(match.ok());
  EXPECT_EQ(match.code(), StatusCode::kOutOfRange);
  EXPECT_THAT(to_string(match.error()), HasSubstr("too ambiguous"));
}

// ---- JSON schema

TEST(JsonSchema, AcceptsWhatTheSchemaAccepts) {
  const Table tables[] = {
      {"true",
       {"+1", "+-0.5e+3", "+\"x\"", "+[]", "+{}", "+[1, {\"a\": [null, true, false]}]", "~[1,", "-01", "-.5",
        "-nul1"}},
      {R"({"type": "null"})", {"+null", "~nul", "-0"}},
      {R"({"type": "boolean"})", {"+true", "+false", "-True"}},
      {R"({"type": ["integer", "null"]})", {"+5", "+-3", "+0", "+null", "-00", "-1.5", "~-"}},
      {R"({"type": "string"})",
       {R"(+"")", R"(+"a\n\u00e9\ud83c\udf88é🎈")", R"(~"a)", "-\"a\n\"", R"(-"\x")", R"(-"\udc00")",
        R"(~"\ud83c)", R"(-"\ud83cx)", "-\"\xFF"}},
      {R"({"type": "string", "minLength": 2, "maxLength": 3})",
       {R"(+"ab")", R"(+"é🎈c")", R"(+"\n\ud83c\udf88")", R"(-"a")", R"(-"abcd")"}},
      {R"({"type": "string", "pattern": "^[a-z]+\\d$"})", {R"(+"abc1")", R"(-"1")", R"(-"abc1x")"}},
      {R"({"type": "string", "pattern": "b"})", {R"(+"b")", R"(+"abc")", R"(-"ac")"}},
      {R"({"pattern": "^a[\"\\\\\n]b$"})", {R"(+"a\"b")", R"(+"a\\b")", R"(+"a\nb")", "-\"a\nb\""}},
      {R"({"format": "date"})",
       {R"(+"2024-02-29")", R"(+"2023-12-31")", R"(-"2023-02-29")", R"(-"1900-02-29")", R"(+"2000-02-29")",
        R"(-"2024-04-31")"}},
      {R"({"format": "date-time"})",
       {R"(+"2024-05-06T07:08:09Z")", R"(+"2024-05-06T07:08:09.5+01:00")", R"(-"2024-05-06 07:08:09Z")",
        R"(-"2024-05-06T24:00:00Z")"}},
      {R"({"format": "uuid"})", {R"(+"123e4567-e89b-12d3-a456-426614174000")", R"(-"123e4567")"}},
      {R"({"format": "ipv4"})", {R"(+"192.168.0.255")", R"(-"256.1.1.1")", R"(-"01.1.1.1")"}},
      {R"({"format": "email"})", {R"(+"a.b+c@mail.example.org")", R"(-"a@")", R"(-"@b")"}},
      {R"({"const": {"a": [1, "é\n"]}})", {R"(+{"a":[1,"é\n"]})", R"(-{"a":[2)"}},
      {R"({"enum": ["red", "green", 5, null]})", {R"(+"red")", "+5", "+null", R"(-"blue")"}},
      {R"({"type": "string", "enum": ["a", 1]})", {R"(+"a")", "-1"}},
      {R"({"type": "array", "items": {"type": "integer"}})",
       {"+[]", "+[1]", "+[1, 2,3]", "+[\n  1,\n  2\n]", "-[1,]", "-[\"a\"]", "~[1,"}},
      {R"({"type": "array", "items": {"const": 1}, "minItems": 2, "maxItems": 3})",
       {"+[1,1]", "+[1,1,1]", "-[1]", "-[1,1,1,1]", "-[]"}},
      {R"({"prefixItems": [{"const": 1}, {"const": "b"}]})",
       {"+[]", "+[1]", "+[1, \"b\"]", "-[1,\"b\",2]", "-[\"b\"]"}},
      {R"({"prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 2})",
       {"+[1,2]", "+[1,2,2]", "-[1]", "-[1,1]", "-[]"}},
      {R"({"type": "array", "maxItems": 0})", {"+[]", "-[1]"}},
      {R"({"type": "object"})", {"+{}", R"(+{"a": 1, "b": {}})", R"(-{a: 1})"}},
      {R"({"properties": {"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, "required": ["b"]})",
       {R"(+{"b": 2})", R"(+{"a": 1, "b": 2})", R"(+{"a":1,"b":2,"c":3})", R"(+{"b":2,"c":3})", R"(-{"a":1})",
        "-{}", R"(-{"b":2,"a":1})", R"(-{"b":2,})", R"(-{"b":2,"d":4})"}},
      {R"({"properties": {"a": {"const": 1}}})", {"+{}", "+{ }", R"(+{"a":1})"}},
      {R"({"properties": {"ab": {"const": 1}, "a\"": {"const": 2}}, "additionalProperties": {"type": "null"}})",
       {R"(+{"ab":1})", R"(+{"a":null})", R"(+{"abc":null,"x":null})", R"(+{"ab":1,"a\"":2,"":null})",
        R"(-{"ab":null})", R"(-{"x":1})", R"(-{"\u0061b":null})", R"(+{"b":null,"aé":null})"}},
      {R"({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2})",
       {R"(+{"a":1})", R"(+{"a":1,"b":2})", "-{}", R"(-{"a":1,"b":2,"c":3})", R"(-{"a":"x"})"}},
      {R"({"properties": {"a": {"const": 1}}, "required": ["a", "z"]})",
       {R"(+{"a":1,"z":"anything"})", R"(-{"a":1})"}},
      {R"({"properties": {"a/b~c": {"$ref": "#/$defs/x~1y"}}, "$defs": {"x/y": {"const": 7}}})",
       {R"(+{"a/b~c":7})", R"(-{"a/b~c":8})"}},
      {R"({"$ref": "#/definitions/tree", "definitions": {"tree": {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/definitions/tree"}}}, "required": ["v"]}}})",
       {R"(+{"v":1})", R"(+{"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]})", R"(-{"kids":[]})"}},
      {R"({"anyOf": [{"type": "integer"}, {"type": "string"}]})", {"+1", "+\"a\"", "-null"}},
      {R"({"type": "object", "properties": {"k": {"type": "string"}}, "anyOf": [{"required": ["k"]}, {"properties": {"n": {"type": "integer"}}, "required": ["n"]}]})",
       {R"(+{"k":"x"})", R"(+{"k":"x","n":1})", R"(+{"n":1})", "-{}"}},
      {R"({"oneOf": [{"properties": {"t": {"const": "a"}, "x": {"type": "integer"}}, "required": ["t"], "type": "object"}, {"properties": {"t": {"const": "b"}}, "required": ["t"], "type": "object"}]})",
       {R"(+{"t":"a","x":1})", R"(+{"t":"b"})", R"(-{"t":"b","x")", R"(-{"t":"c")"}},
      {R"({"oneOf": [{"type": "string"}, {"type": "null"}, {"type": "number"}]})",
       {"+\"a\"", "+null", "+1.5"}},
      {R"({"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"a": {"maximum": 3}, "b": {"const": 1}}}], "type": "object"})",
       {R"(+{"a":3})", R"(+{"a":-7,"b":1})", R"(-{"a":4)", R"(-{"b":1})"}},
      {R"({"allOf": [{"type": ["string", "integer"]}, {"type": ["number", "null"]}]})",
       {"+1", "-1.5", "-null", "-\"a\""}},
      {R"({"allOf": [{"properties": {"a": {"const": 1}}, "additionalProperties": false, "type": "object"}, {"properties": {"b": {"const": 2}}}]})",
       {"+{}", R"(+{"a":1})", R"(-{"b":2})"}},
      {R"({"$ref": "#/$defs/i", "maximum": 5, "$defs": {"i": {"type": "integer", "minimum": 3}}})",
       {"+3", "+5", "-6", "-2"}},
      {R"({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"properties": {"x": {"$ref": "#/$defs/a"}}}, {"properties": {"x": {"$ref": "#/$defs/a"}}}], "type": "object"}}})",
       {"+{}", R"(+{"x":{"x":{"x":{}}}})", R"(-{"x":1)"}},
      {R"({"type": "integer", "multipleOf": 1, "title": "t", "description": "d", "default": 5})",
       {"+1", "-1.5"}},
      {R"({"type": "object", "properties": {"gone": false, "a": {"const": 1}}})",
       {"+{}", R"(+{"a":1})", R"(-{"gone")"}},
  };
  for (const Table& table : tables) check(table, compile_json_schema(table.source));
}

// Each definition applies the next one twice.
std::string laughing_schema(int levels) {
  std::string out = R"({"$ref": "#/$defs/d0", "$defs": {)";
  for (int i = 0; i < levels; ++i) {
    const std::string next = R"({"$ref": "#/$defs/d)" + std::to_string(i + 1) + "\"}";
    out += "\"d" + std::to_string(i) + R"(": {"allOf": [)" + next + ", " + next + "]}, ";
  }
  return out + "\"d" + std::to_string(levels) + R"(": {"type": "integer"}}})";
}

TEST(JsonSchema, NamesThePointerOfWhatItCannotDo) {
  check_errors(
      {{"{", StatusCode::kCorruptData, "JSON schema, offset 1: not JSON"},
       {R"({"type": "string", "type": "null"})", StatusCode::kCorruptData, "'type' twice"},
       {"5", StatusCode::kCorruptData, "schema, root: this is not a schema"},
       {R"({"type": "strnig"})", StatusCode::kCorruptData, "got strnig"},
       {R"({"properties": {"a": {"not": {}}}})", StatusCode::kUnsupported,
        "schema, /properties/a/not: this keyword is not supported"},
       {R"({"items": {"if": true}})", StatusCode::kUnsupported, "/items/if"},
       {R"({"uniqueItems": true})", StatusCode::kUnsupported, "/uniqueItems"},
       {R"({"multipleOf": 5})", StatusCode::kUnsupported, "/multipleOf"},
       {R"x({"pattern": "(?=a)"})x", StatusCode::kUnsupported,
        "schema, /pattern, regular expression, column 2"},
       {R"({"pattern": "a", "minLength": 3})", StatusCode::kUnsupported, "/pattern"},
       {R"({"format": "color"})", StatusCode::kUnsupported, "expected date, date-time"},
       {R"({"$ref": "other.json#/a"})", StatusCode::kUnsupported, "leaves this schema"},
       {R"({"$ref": "#/$defs/a"})", StatusCode::kCorruptData, "schema, /$ref: a reference leads nowhere"},
       {R"({"$ref": "#"})", StatusCode::kInvalidArgument, "no text can satisfy"},
       {R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})", StatusCode::kUnsupported, "begins with itself"},
       {R"({"allOf": [{"$ref": "#"}]})", StatusCode::kUnsupported, "without end"},
       {R"({"oneOf": [{"type": "number"}, {"type": "integer"}]})", StatusCode::kUnsupported, "/oneOf/1"},
       {R"({"anyOf": []})", StatusCode::kCorruptData, "/anyOf"},
       {R"({"allOf": [{"pattern": "a"}, {"pattern": "b"}]})", StatusCode::kUnsupported, "cannot be merged"},
       {R"({"minItems": -1})", StatusCode::kCorruptData, "/minItems"},
       {R"({"minimum": "1"})", StatusCode::kCorruptData, "/minimum"},
       {R"({"required": "a"})", StatusCode::kCorruptData, "/required"},
       {"false", StatusCode::kInvalidArgument, "no text can satisfy"},
       {R"({"type": "integer", "minimum": 5, "maximum": 4})", StatusCode::kInvalidArgument,
        "no text can satisfy"},
       {R"({"properties": {"a": false}, "required": ["a"]})", StatusCode::kInvalidArgument,
        "no text can satisfy"},
       {R"({"allOf": [{"type": "string"}, {"type": "null"}]})", StatusCode::kInvalidArgument,
        "no text can satisfy"},
       {R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})", StatusCode::kInvalidArgument,
        "no text can satisfy"},
       {R"({"minLength": 999999})", StatusCode::kOutOfRange, "too large"},
       {R"({"minLength": 99999999})", StatusCode::kOutOfRange, "too large"},
       {laughing_schema(20), StatusCode::kOutOfRange, "too many schemas apply together"},
       {repeat("[", 5000), StatusCode::kOutOfRange, "too deeply"}},
      [](const std::string& source) { return compile_json_schema(source); });
}

struct RangeCase {
  const char* schema;
  double low, high;
  bool low_in, high_in;
};

TEST(JsonSchema, BoundsNumbersExactly) {
  const double none = std::numeric_limits<double>::infinity();
  const RangeCase cases[] = {
      {R"({"type":"integer","minimum":0,"maximum":9})", 0, 9, true, true},
      {R"({"type":"integer","minimum":-12,"maximum":345})", -12, 345, true, true},
      {R"({"type":"integer","exclusiveMinimum":-1,"exclusiveMaximum":100})", -1, 100, false, false},
      {R"({"type":"integer","minimum":98,"maximum":1203})", 98, 1203, true, true},
      {R"({"type":"integer","minimum":-345,"maximum":-17})", -345, -17, true, true},
      {R"({"type":"integer","minimum":-0.5,"maximum":2.5e1})", -0.5, 25, true, true},
      {R"({"type":"integer","minimum":1000})", 1000, none, true, true},
      {R"({"type":"integer","maximum":-3})", -none, -3, true, true},
      {R"({"minimum":0.25,"maximum":1.5})", 0.25, 1.5, true, true},
      {R"({"exclusiveMinimum":0,"exclusiveMaximum":1})", 0, 1, false, false},
      {R"({"minimum":-2.5,"exclusiveMaximum":-0.75})", -2.5, -0.75, true, false},
      {R"({"exclusiveMinimum":-1.25,"maximum":12})", -1.25, 12, false, true},
      {R"({"minimum":1.25,"maximum":1.25})", 1.25, 1.25, true, true},
      {R"({"exclusiveMinimum":3.1,"maximum":3.2})", 3.1, 3.2, false, true},
      {R"({"minimum":1e-3})", 0.001, none, true, true},
      {R"({"maximum":0,"exclusiveMinimum":-10})", -10, 0, false, true},
  };
  std::mt19937 random(3);
  for (const RangeCase& c : cases) {
    const Result<Grammar> grammar = compile_json_schema(c.schema);
    ASSERT_TRUE(grammar.ok()) << c.schema << ": " << to_string(grammar.error());
    const bool integer = std::string_view(c.schema).find("integer") != std::string_view::npos;
    std::vector<std::string> texts;
    for (int i = -1300; i <= 1300; ++i) texts.push_back(std::to_string(i));
    for (int i = 0; i < 3000; ++i) {
      char buffer[40];
      std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(random() % 4),
                    (static_cast<double>(random() % 40000) - 20000) / 1000.0);
      if (std::string_view(buffer).substr(0, 2) != "-0" || std::strtod(buffer, nullptr) != 0)
        texts.emplace_back(buffer);
    }
    for (const std::string& text : texts) {
      const double value = std::strtod(text.c_str(), nullptr);
      const bool within =
          (c.low_in ? value >= c.low : value > c.low) && (c.high_in ? value <= c.high : value < c.high);
      const bool whole = text.find('.') == text.npos;
      EXPECT_EQ(verdict(grammar, text) == "complete", within && (whole || !integer))
          << c.schema << " on " << text;
    }
  }
}

// ---- masks

// Bytes, and tokens that cross the grammar's and UTF-8's borders.
struct SmallVocabulary {
  std::vector<std::string> bytes;
  std::shared_ptr<const TokenTrie> trie;
  int32_t end = 0;

  SmallVocabulary() {
    for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
    for (const char* token :
         {"{\"",  "\":", "\", \"",   "},", "]}", "true",  "fal", "null", " \"", "\n  ", "abc",
          "name", "é",   "\xF0\x9F", "12", "0.", "\\u00", "\\n", "}}",   "[[",  ": ",   ", "}) {
      bytes.emplace_back(token);
    }
    bytes.emplace_back("abc");   // twice the same bytes
    bytes.emplace_back("");      // a control token
    bytes.emplace_back("</s>");  // the end
    end = static_cast<int32_t>(bytes.size()) - 1;
    const std::vector<std::string_view> views(bytes.begin(), bytes.end());
    trie = *TokenTrie::build(views, std::vector<int32_t>{end});
  }
};

TEST(TokenTrie, RefusesEndsOutsideOfTheVocabulary) {
  const std::vector<std::string_view> tokens = {"a", "b"};
  EXPECT_EQ(TokenTrie::build(tokens, std::vector<int32_t>{2}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(TokenTrie::build(tokens, std::vector<int32_t>{-1}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(TokenTrie::build({}, {}).ok());
}

TEST(Matcher, AllowsExactlyTheTokensThatTheGrammarCanTake) {
  const SmallVocabulary vocabulary;
  const Result<Grammar> grammar = compile_json_schema(
      R"({"properties": {"name": {"type": "string"}, "on": {"type": "boolean"}}, "required": ["name"]})");
  ASSERT_TRUE(grammar.ok());
  std::mt19937 random(11);
  for (int walk = 0; walk < 12; ++walk) {
    Matcher matcher(*grammar, vocabulary.trie);
    std::string text;
    for (int step = 0; step < 40 && !matcher.is_finished(); ++step) {
      const auto mask = matcher.allowed();
      ASSERT_TRUE(mask.ok()) << to_string(mask.error());
      std::vector<int32_t> choices;
      for (int32_t id = 0; id < static_cast<int32_t>(vocabulary.bytes.size()); ++id) {
        const std::string& bytes = vocabulary.bytes[static_cast<size_t>(id)];
        const bool expected = id == vocabulary.end
                                  ? verdict(grammar, text) == "complete"
                                  : !bytes.empty() && verdict(grammar, text + bytes) != "rejected";
        ASSERT_EQ((*mask)->allows(id), expected)
            << "after " << text << ": token " << id << " '" << bytes << "'";
        if (expected) choices.push_back(id);
      }
      EXPECT_EQ((*mask)->count(), choices.size());
      const int32_t id = choices[random() % choices.size()];
      ASSERT_TRUE(matcher.accept(id).ok());
      if (id != vocabulary.end) text += vocabulary.bytes[static_cast<size_t>(id)];
    }
  }
}

TEST(Matcher, RefusesWhatTheMaskDoesNotAllowAndKeepsItsState) {
  const SmallVocabulary vocabulary;
  const Result<Grammar> grammar = compile_regex("abc|x");
  ASSERT_TRUE(grammar.ok());
  Matcher matcher(*grammar, vocabulary.trie);
  EXPECT_EQ(matcher.accept('b').code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.accept(vocabulary.end).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.accept(-1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.accept(99999).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.accept(vocabulary.end - 1).code(), StatusCode::kInvalidArgument);  // no bytes
  EXPECT_TRUE(matcher.accept('a').ok());
  EXPECT_FALSE(matcher.is_complete());
  Matcher copy = matcher;
  EXPECT_TRUE(matcher.accept('b').ok());
  EXPECT_TRUE(matcher.accept('c').ok());
  EXPECT_TRUE(matcher.is_complete());
  EXPECT_TRUE(matcher.is_finished());
  const auto only_end = matcher.allowed();
  ASSERT_TRUE(only_end.ok());
  EXPECT_EQ((*only_end)->count(), 1u);
  EXPECT_TRUE((*only_end)->allows(vocabulary.end));
  EXPECT_TRUE(matcher.accept(vocabulary.end).ok());
  EXPECT_EQ((*matcher.allowed())->count(), 0u);
  EXPECT_FALSE(matcher.accept('a').ok());
  EXPECT_FALSE(copy.is_complete()) << "a copy follows its own sequence";
  EXPECT_TRUE(copy.accept('b').ok());
}

TEST(Matcher, SaysSoWhenTheVocabularyCannotGoOn) {
  const std::vector<std::string_view> tokens = {"a", ""};
  const auto trie = TokenTrie::build(tokens, std::vector<int32_t>{1});
  const Result<Grammar> grammar = compile_regex("ab");
  Matcher matcher(*grammar, *trie);
  ASSERT_TRUE(matcher.allowed().ok());
  ASSERT_TRUE(matcher.accept(0).ok());
  EXPECT_EQ(matcher.allowed().code(), StatusCode::kUnsupported);
}

// What a model with no idea of JSON writes: any allowed token, but ends are taken when they come, and after a while
// closing tokens are preferred so that walks end.
std::string random_sentence(const Grammar& grammar, const SmallVocabulary& vocabulary, std::mt19937* random) {
  Matcher matcher(grammar, vocabulary.trie);
  std::string text;
  for (int step = 0; step < 3000; ++step) {
    const auto mask = matcher.allowed();
    if (!mask.ok()) return "error: " + to_string(mask.error());
    std::vector<int32_t> choices, closing;
    for (int32_t id = 0; id < static_cast<int32_t>(vocabulary.bytes.size()); ++id) {
      if (!(*mask)->allows(id)) continue;
      choices.push_back(id);
      const std::string& bytes = vocabulary.bytes[static_cast<size_t>(id)];
      if (id == vocabulary.end || bytes == "}" || bytes == "]" || bytes == "\"") closing.push_back(id);
    }
    const std::vector<int32_t>& from =
        !closing.empty() && (step > 100 || (*random)() % 4 == 0) ? closing : choices;
    const int32_t id = from[(*random)() % from.size()];
    if (const Status status = matcher.accept(id); !status.ok()) return "error: " + to_string(status.error());
    if (id == vocabulary.end) return text;
    text += vocabulary.bytes[static_cast<size_t>(id)];
  }
  return "error: no end after " + text;
}

// RapidJSON's validator knows draft 4, so these schemas keep to what both understand alike.
TEST(Matcher, RandomWalksWriteJsonThatAnIndependentValidatorAccepts) {
  const SmallVocabulary vocabulary;
  std::mt19937 random(5);
  for (
      const char* schema : {
          "{}",
          R"({"type": "object"})",
          R"({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 4}, "minItems": 1, "maxItems": 5})",
          R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 130}, "tags": {"type": "array", "items": {"enum": ["a", "b", 3]}}}, "required": ["name", "tags"]})",
          R"({"type": "object", "properties": {"a": {"type": "number", "minimum": -1.5, "maximum": 2.25}}, "additionalProperties": {"type": ["null", "boolean"]}})",
          R"({"definitions": {"node": {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/definitions/node"}, {"type": "null"}]}}, "required": ["value", "next"]}}, "type": "array", "items": {"$ref": "#/definitions/node"}, "maxItems": 3})",
          R"({"oneOf": [{"type": "object", "properties": {"k": {"enum": ["x"]}}, "required": ["k"]}, {"type": "object", "properties": {"k": {"enum": ["y"]}, "n": {"type": "number"}}, "required": ["k", "n"]}, {"type": "string", "pattern": "^[a-c]{2,5}$"}]})",
          R"({"allOf": [{"type": "object", "properties": {"p": {"type": "integer"}}, "required": ["p"]}, {"properties": {"p": {"minimum": 10, "maximum": 12}, "q": {"type": "boolean"}}}]})",
      }) {
    const Result<Grammar> grammar = compile_json_schema(schema);
    ASSERT_TRUE(grammar.ok()) << schema << ": " << to_string(grammar.error());
    rapidjson::Document schema_document;
    schema_document.Parse(schema);
    const rapidjson::SchemaDocument compiled(schema_document);
    for (int i = 0; i < 25; ++i) {
      const std::string text = random_sentence(*grammar, vocabulary, &random);
      rapidjson::Document document;
      document.Parse<rapidjson::kParseValidateEncodingFlag>(text.data(), text.size());
      ASSERT_FALSE(document.HasParseError()) << schema << "\n" << text << " at " << document.GetErrorOffset();
      rapidjson::SchemaValidator validator(compiled);
      EXPECT_TRUE(document.Accept(validator)) << schema << "\n" << text;
    }
  }
}

TEST(Matcher, RenewsItsCacheWhenASequenceVisitsManyStates) {
  // Nesting never repeats a state, and each state's mask takes 12 KiB: some 8000 fill a cache.
  std::vector<std::string_view> tokens(100'000);
  const std::string bytes = "[](x)";
  for (size_t i = 0; i < bytes.size(); ++i) tokens[i] = std::string_view(bytes).substr(i, 1);
  const auto trie = TokenTrie::build(tokens, std::vector<int32_t>{99'999});
  const auto token_of = [&](char c) { return static_cast<int32_t>(bytes.find(c)); };
  const Result<Grammar> grammar = compile_gbnf("root ::= \"[\" root \"]\" | \"(\" root \")\" | \"x\"");
  Matcher matcher(*grammar, *trie);
  std::string opening;
  std::mt19937 random(2);
  for (int i = 0; i < 10'000; ++i) {
    opening += "[("[random() % 2];
    ASSERT_TRUE(matcher.allowed().ok());
    ASSERT_TRUE(matcher.accept(token_of(opening.back())).ok());
  }
  Matcher copy = matcher;
  for (Matcher* each : {&matcher, &copy}) {
    ASSERT_TRUE(each->accept(token_of('x')).ok());
    for (auto open = opening.rbegin(); open != opening.rend(); ++open) {
      const auto mask = each->allowed();
      ASSERT_TRUE(mask.ok());
      EXPECT_EQ((*mask)->count(), 1u);
      ASSERT_TRUE((*mask)->allows(token_of(*open == '[' ? ']' : ')')));
      ASSERT_TRUE(each->accept(token_of(*open == '[' ? ']' : ')')).ok());
    }
    EXPECT_TRUE(each->is_finished());
  }
}

}  // namespace
}  // namespace weft
