/// Constrained output through a pipeline: whatever the model would have liked to write, the text is valid.
#include <regex>

#include "tests/text/text_pipeline.h"

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

class TextConstrained : public TextPipelineTest {
 protected:
  /// Texts of two seeds under one constraint, drawn almost blindly, each ended by the grammar and not by max_tokens.
  std::vector<std::string> texts(const std::string& prompt, const char* kind, const Json& constraint) {
    Json with = {
        {"prompt", prompt}, {"temperature", 1.5}, {"top_k", 0}, {"min_p", 0.02}, {"max_tokens", 200}};
    with[kind] = constraint;
    std::vector<std::string> all;
    for (int seed = 0; seed < 2; ++seed) {
      with["seed"] = seed;
      const Json got = run_node("text.generate", with, {"text", "finish_reason"});
      EXPECT_EQ(got["finish_reason"], "stop") << got["text"];
      all.push_back(got["text"]);
    }
    return all;
  }
};

TEST_F(TextConstrained, JsonSchemaGivesValidJson) {
  const Json schema = Json::parse(R"({"type": "object", "required": ["name", "age", "colours"],
      "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 20},
                     "age": {"type": "integer", "minimum": 1, "maximum": 30},
                     "colours": {"type": "array", "minItems": 1, "maxItems": 3,
                                 "items": {"enum": ["red", "black", "white"]}},
                     "indoor": {"type": "boolean"}}})");
  for (const std::string& text : texts("Describe a cat as JSON.", "json_schema", schema)) {
    const Json cat = Json::parse(text, nullptr, false);
    ASSERT_TRUE(cat.is_object()) << text;
    EXPECT_TRUE(cat.at("name").is_string()) << text;
    EXPECT_FALSE(cat["name"].get<std::string>().empty()) << text;
    ASSERT_TRUE(cat.at("age").is_number_integer()) << text;
    EXPECT_GE(cat["age"], 1);
    EXPECT_LE(cat["age"], 30);
    ASSERT_TRUE(cat.at("colours").is_array()) << text;
    EXPECT_GE(cat["colours"].size(), 1u);
    EXPECT_LE(cat["colours"].size(), 3u);
    for (const Json& colour : cat["colours"])
      EXPECT_TRUE(colour == "red" || colour == "black" || colour == "white");
    EXPECT_TRUE(!cat.contains("indoor") || cat["indoor"].is_boolean());
    EXPECT_LE(cat.size(), 4u);
  }
}

TEST_F(TextConstrained, RegexMatchesTheWholeText) {
  const std::string pattern = "(Mon|Tues|Fri)day, [0-3][0-9]\\.[01][0-9]\\.20[0-9]{2}";
  for (const std::string& text : texts("When do we meet?", "regex", pattern)) {
    EXPECT_TRUE(std::regex_match(text, std::regex(pattern))) << text;
  }
}

TEST_F(TextConstrained, GrammarIsKeptTo) {
  const std::string sum = R"gbnf(root ::= term (" + " term){1,3} " = " number
term ::= number | "(" number " * " number ")"
number ::= [1-9] [0-9]?)gbnf";
  const std::string number = "[1-9][0-9]?", term = "(" + number + "|\\(" + number + " \\* " + number + "\\))";
  const std::regex expected(term + "( \\+ " + term + "){1,3} = " + number);
  for (const std::string& text : texts("Write a sum.", "grammar", sum)) {
    EXPECT_TRUE(std::regex_match(text, expected)) << text;
  }
}

TEST_F(TextConstrained, SaysWhatIsWrongWithAConstraint) {
  const auto refused = [&](const Json& constraint, StatusCode code) {
    Json with = {{"prompt", "x"}, {"seed", 1}};
    with.update(constraint);
    return refusal("text.generate", with, code);
  };
  EXPECT_THAT(refused({{"regex", "a"}, {"grammar", "root ::= \"a\""}}, StatusCode::kInvalidArgument),
              HasSubstr("one of json_schema, regex and grammar"));
  EXPECT_THAT(refused({{"regex", "(a"}}, StatusCode::kCorruptData), HasSubstr("parameter 'regex'"));
  EXPECT_THAT(refused({{"grammar", "root ::= missing"}}, StatusCode::kCorruptData),
              HasSubstr("parameter 'grammar'"));
  EXPECT_THAT(refused({{"json_schema", {{"type", "strnig"}}}}, StatusCode::kCorruptData),
              HasSubstr("parameter 'json_schema'"));
  EXPECT_THAT(refused({{"json_schema", {{"not", {{"type", "null"}}}}}}, StatusCode::kUnsupported),
              HasSubstr("/not"));
}

}  // namespace
}  // namespace weft::testing
