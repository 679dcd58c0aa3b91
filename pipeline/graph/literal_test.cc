#include "pipeline/graph/literal.h"

#include <gtest/gtest.h>

#include <cmath>

#include "pipeline/graph/parameter_value.h"
#include "pipeline/graph/reference.h"

namespace weft {
namespace {

TEST(SplitText, SeparatesReferencesFromText) {
  uint32_t unclosed = 0;
  const auto pieces = split_text("a $${b} ${c.d}${inputs.e}$", unclosed);
  ASSERT_TRUE(pieces);
  ASSERT_EQ(pieces->size(), 4u);
  EXPECT_EQ((*pieces)[0].text, "a ${b} ");
  EXPECT_EQ((*pieces)[1].text, "c.d");
  EXPECT_EQ((*pieces)[1].offset, 8u);
  EXPECT_EQ((*pieces)[2].text, "inputs.e");
  EXPECT_EQ((*pieces)[3].text, "$");
  EXPECT_TRUE(split_text("", unclosed)->empty());
  EXPECT_FALSE(split_text("x ${y", unclosed));
  EXPECT_EQ(unclosed, 2u);
}

TEST(PipelineName, HasNoDotsBlanksOrLeadingDigits) {
  for (const char* name : {"a", "A-1", "_x", "read_me"}) EXPECT_TRUE(is_pipeline_name(name)) << name;
  for (const char* name : {"", "1a", "-a", "a.b", "a b", "\xC3\xA9", "a/b"})
    EXPECT_FALSE(is_pipeline_name(name)) << name;
  EXPECT_FALSE(is_pipeline_name(std::string(129, 'a')));
}

Result<std::string> inserted(const Source& source) {
  return std::string(source.port == 0 ? "say \"hi\"\n" : "42");
}

TEST(Render, FillsInReferencesByForm) {
  using Form = TemplateText::Form;
  const Source quote{0, 0}, number{0, 1};
  const auto rendered = [](const Literal& literal, const char* type) {
    const Result<std::string> result = render(literal, type, inserted);
    return result.ok() ? *result : to_string(result.error());
  };
  EXPECT_EQ(rendered(std::string("[1]"), "json"), "[1]");
  EXPECT_EQ(rendered(TemplateText{Form::kText, {"<", quote, ">"}}, "text"), R"("<say \"hi\"\n>")");
  EXPECT_EQ(rendered(TemplateText{Form::kJson, {"{\"a\":\"", quote, "\"}"}}, "json"),
            R"({"a":"say \"hi\"\n"})");
  EXPECT_EQ(rendered(TemplateText{Form::kValue, {number}}, "int"), "42");
  EXPECT_EQ(rendered(TemplateText{Form::kValue, {quote}}, "int"),
            "a value that does not fit (expected an integer, got 'say \"hi\"\n', which is not JSON: not a "
            "JSON value)");
  EXPECT_EQ(rendered(TemplateText{Form::kValue, {number}}, "list<int>"),
            "a value that does not fit (expected a list of integers, got 42)");
}

TEST(Render, HandsOnWhatTheReferenceSays) {
  const auto fail = [](const Source&) -> Result<std::string> {
    return Status(StatusCode::kNotFound, "gone");
  };
  EXPECT_EQ(render(TemplateText{TemplateText::Form::kText, {Source{}}}, "text", fail).code(),
            StatusCode::kNotFound);
}

TEST(JsonString, EscapesAndReplacesInvalidBytes) {
  EXPECT_EQ(json_string("a\"b\\c\n\t\r\x01"), R"("a\"b\\c\n\t\r\u0001")");
  EXPECT_EQ(json_string("\xF0\x9F\x8D\x8E \xC3\xA9"), "\"\xF0\x9F\x8D\x8E \xC3\xA9\"");
  EXPECT_EQ(json_string("\xC0\x80|\xED\xA0\x80|\xF4\x90\x80\x80|\xE2\x82"),
            "\"\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
            "\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

ParameterDescriptor ranged(const char* type, double minimum, double maximum) {
  ParameterDescriptor parameter;
  parameter.type = type;
  parameter.minimum = minimum;
  parameter.maximum = maximum;
  return parameter;
}

TEST(ParseParameter, ChecksTypeAndRange) {
  const struct {
    const char *type, *json;
    bool ok;
  } kCases[] = {
      {"int", "1", true},           {"int", "10", true},
      {"int", "0", false},          {"int", "11", false},
      {"int", "2.0", true},         {"int", "1e1", true},
      {"int", "2.5", false},        {"int", "\"2\"", false},
      {"int", "1e400", false},      {"float", "2.5", true},
      {"float", "10.01", false},    {"float", "3", true},
      {"list<int>", "[1,2]", true}, {"list<int>", "[1,20]", false},
      {"list<int>", "1", false},    {"list<float>", "[]", true},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(parse_parameter(test.json, ranged(test.type, 1, 10)).ok(), test.ok)
        << test.type << " " << test.json;
  }
}

TEST(ParseValue, KeepsEveryKind) {
  EXPECT_EQ(std::get<bool>(*parse_value("true", "bool")), true);
  EXPECT_EQ(std::get<int64_t>(*parse_value("-9223372036854775808", "int")), INT64_MIN);
  EXPECT_EQ(std::get<int64_t>(*parse_value("9223372036854775807", "seed")), INT64_MAX);
  EXPECT_EQ(std::get<double>(*parse_value("3", "float")), 3.0);
  EXPECT_EQ(std::get<std::string>(*parse_value("\"a\\n\"", "text")), "a\n");
  EXPECT_EQ(std::get<std::string>(*parse_value("{ \"a\" : [ 1 ] }", "json")), "{\"a\":[1]}");
  EXPECT_EQ(std::get<std::string>(*parse_value("[ \"a\" ]", "list<text>")), "[\"a\"]");
  EXPECT_FALSE(parse_value("9223372036854775808", "int").ok());
  EXPECT_FALSE(parse_value("-1", "seed").ok());
  EXPECT_FALSE(parse_value("{\"a\":1,\"a\":2}", "json").ok());
  EXPECT_FALSE(parse_value("tru", "bool").ok());
}

TEST(ExpectedValue, NamesRangeAndUnit) {
  ParameterDescriptor parameter = ranged("int", 1, 100);
  parameter.unit = "tokens";
  EXPECT_EQ(expected_value(parameter), "an integer from 1 to 100 (tokens)");
  EXPECT_EQ(expected_value(ranged("float", 0, INFINITY)), "a number of at least 0");
  ParameterDescriptor choice = ranged("choice", 0, 0);
  choice.choices = {"error", "left"};
  EXPECT_EQ(expected_value(choice), "one of 'error', 'left'");
  const Result<ParameterValue> wrong = parse_parameter("\"lfet\"", choice);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().hint, "did you mean 'left'?");
}

}  // namespace
}  // namespace weft
