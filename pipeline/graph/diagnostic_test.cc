#include "pipeline/graph/diagnostic.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

Diagnostic example() {
  Diagnostic diagnostic;
  diagnostic.file = "hello.json";
  diagnostic.position = {6, 31};
  diagnostic.pointer = "/nodes/a/with/max_token";
  diagnostic.message = "text.generate has no parameter 'max_token'";
  diagnostic.nearest = "max_tokens";
  diagnostic.excerpt = "\t\"\xC3\xA9\": 1, \"max_token\": 40";
  diagnostic.excerpt_column = 9;
  return diagnostic;
}

TEST(Diagnostic, IsOneLineWithPlaceAndASecondWithACaret) {
  EXPECT_EQ(
      to_text(example(), Excerpt::kHide),
      "hello.json:6:31: error: text.generate has no parameter 'max_token'; did you mean 'max_tokens'?\n");
  EXPECT_EQ(to_text(example(), Excerpt::kShow),
            "hello.json:6:31: error: text.generate has no parameter 'max_token'; did you mean 'max_tokens'?\n"
            "   \"\xC3\xA9\": 1, \"max_token\": 40\n"
            "          ^\n");
}

TEST(Diagnostic, DoesNotDriveTheTerminal) {
  Diagnostic diagnostic = example();
  diagnostic.message = "unknown node '\x1B[31m\n'";
  EXPECT_EQ(to_text(diagnostic, Excerpt::kHide),
            "hello.json:6:31: error: unknown node '\\x1b[31m\\x0a'; did you mean 'max_tokens'?\n");
}

TEST(Diagnostic, IsAJsonObject) {
  Diagnostic diagnostic = example();
  diagnostic.expected = "a \"name\"";
  EXPECT_EQ(
      to_json(diagnostic),
      R"({"file":"hello.json","line":6,"column":31,"severity":"error","pointer":"/nodes/a/with/max_token",)"
      R"("message":"text.generate has no parameter 'max_token'","expected":"a \"name\"","nearest":"max_tokens"})");
}

TEST(Diagnostic, BecomesAStatusThatSaysHowManyThereAre) {
  Diagnostic warning = example();
  warning.severity = Diagnostic::Severity::kWarning;
  const Status status = to_status({warning, example(), example()});
  EXPECT_EQ(status.error().where, "hello.json:6:31");
  EXPECT_NE(status.error().message.find("and 1 more"), std::string::npos);
  EXPECT_FALSE(has_errors({warning}));
}

TEST(NearestName, FindsTypingMistakesOnly) {
  const std::vector<std::string> known = {"text", "path", "prompt", "max_tokens", "x"};
  EXPECT_EQ(nearest_name("txet", known), "text");
  EXPECT_EQ(nearest_name("promt", known), "prompt");
  EXPECT_EQ(nearest_name("max_token", known), "max_tokens");
  EXPECT_EQ(nearest_name("maxtokens", known), "max_tokens");
  EXPECT_EQ(nearest_name("y", known), "");
  EXPECT_EQ(nearest_name("colour", known), "");
  EXPECT_EQ(nearest_name("", known), "");
  EXPECT_EQ(nearest_name("abc", {"abd", "abe"}), "abd");
}

}  // namespace
}  // namespace weft
