#include "pipeline/graph/json_tree.h"

#include <gtest/gtest.h>

#include <cstddef>

namespace weft {
namespace {

constexpr JsonLimits kLimits{1 << 20, 8, 1 << 10, 1000};

JsonTree tree_of(std::string_view text) {
  auto parsed = JsonTree::parse(text, kLimits);
  if (const auto* error = std::get_if<JsonError>(&parsed)) ADD_FAILURE() << error->message;
  return std::get<JsonTree>(std::move(parsed));
}

TEST(JsonTree, KnowsWhereEveryValueAndNameStands) {
  const std::string text = "{ \"a\" : [1, \"x\\u00e9\" ,\n {\"b/~\": true}], \"c\":null }";
  const JsonTree tree = tree_of(text);
  const JsonId array = tree.find(0, "a");
  ASSERT_NE(array, kNoJson);
  const std::vector<JsonId> items = tree.children(array);
  ASSERT_EQ(items.size(), 3u);
  const auto source = [&](JsonId id) { return text.substr(tree[id].begin, tree[id].end - tree[id].begin); };
  EXPECT_EQ(source(0), text);
  EXPECT_EQ(source(array), "[1, \"x\\u00e9\" ,\n {\"b/~\": true}]");
  EXPECT_EQ(source(items[0]), "1");
  EXPECT_EQ(source(items[1]), "\"x\\u00e9\"");
  EXPECT_EQ(tree[items[1]].text, "x\xC3\xA9");
  const JsonId inner = tree.find(items[2], "b/~");
  EXPECT_EQ(source(inner), "true");
  EXPECT_EQ(text[tree[inner].key_begin], '"');
  EXPECT_EQ(tree.pointer(inner), "/a/2/b~1~0");
  EXPECT_EQ(source(tree.find(0, "c")), "null");
  EXPECT_EQ(tree.find(0, "d"), kNoJson);
  EXPECT_EQ(tree.compact(0), "{\"a\":[1,\"x\xC3\xA9\",{\"b/~\":true}],\"c\":null}");
}

TEST(JsonTree, ListsKeysThatStandTwice) {
  const JsonTree tree = tree_of(R"({"a":1,"b":{"c":1,"c":2,"c":3},"a":2})");
  ASSERT_EQ(tree.duplicates().size(), 3u);
  EXPECT_EQ(tree.pointer(tree.duplicates()[0]), "/b/c");
  EXPECT_EQ(tree[tree.duplicates()[2]].key, "a");
}

TEST(JsonTree, RefusesWhatIsNotStrictUtf8Json) {
  const struct {
    std::string_view text, message;
    uint32_t offset;
  } kCases[] = {
      {"\xEF\xBB\xBF{}", "a byte order mark at the beginning", 0},
      {"\xFF\xFE{", "a file in UTF-16", 0},
      {" \n ", "the file is empty", 0},
      {"\"\xC3(\"", "a text that is not valid UTF-8", 0},
      {"\"\xED\xA0\x80\"", "a text that is not valid UTF-8", 0},
      {"\"a\tb\"", "a line break or control character in a text", 2},
      {std::string_view("\"a\0b\"", 5), "a NUL byte", 2},
      {std::string_view("{}\0", 3), "a NUL byte", 2},
      {"[1,]", "a comma before the closing ']'", 2},
      {"[1 /* one */]", "a comment", 3},
      {"[Infinity]", "not a JSON value", 1},
      {"[01]", "an array that goes on", 2},
      {"[-]", "not a JSON value", 2},
      {"[1e]", "a number without digits after its e", 3},
      {"[[[[[[[[[]]]]]]]]]", "arrays and objects nested deeper than 8", 8},
  };
  for (const auto& test : kCases) {
    const auto parsed = JsonTree::parse(test.text, kLimits);
    ASSERT_TRUE(std::holds_alternative<JsonError>(parsed)) << test.text;
    EXPECT_EQ(std::get<JsonError>(parsed).message, test.message) << test.text;
    if (test.message.find("UTF-8") == std::string_view::npos) {
      EXPECT_EQ(std::get<JsonError>(parsed).offset, test.offset) << test.text;
    }
  }
}

TEST(SameJson, ComparesValuesNotTheirWriting) {
  EXPECT_TRUE(same_json("3", "3.0"));
  EXPECT_TRUE(same_json("1e2", "100"));
  EXPECT_TRUE(same_json("\"\\u00e9\\/\"", "\"\xC3\xA9/\""));
  EXPECT_TRUE(same_json("{\"a\":1,\"b\":[null,true]}", " { \"b\": [ null, true ], \"a\": 1.0 }"));
  EXPECT_FALSE(same_json("3", "\"3\""));
  EXPECT_FALSE(same_json("9007199254740993", "9007199254740992"));
  EXPECT_FALSE(same_json("[1,2]", "[2,1]"));
  EXPECT_FALSE(same_json("{\"a\":1}", "{\"b\":1}"));
  EXPECT_FALSE(same_json("[1", "[1]"));
  EXPECT_FALSE(same_json("true", "false"));
}

TEST(LineIndex, CountsLinesAndCutsExcerptsAtCharacters) {
  const std::string text = "ab\r\n\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9 end\n";
  const LineIndex lines(text);
  EXPECT_EQ(lines.position(0).line, 1u);
  EXPECT_EQ(lines.position(4).line, 2u);
  EXPECT_EQ(lines.position(6).column, 3u);
  EXPECT_EQ(lines.excerpt(1, 100), (std::pair<std::string, uint32_t>("ab", 1)));
  EXPECT_EQ(lines.excerpt(13, 100).first, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9 end");
  const auto [cut, column] = lines.excerpt(10, 5);
  EXPECT_EQ(cut, "\xC3\xA9\xC3\xA9 ");
  EXPECT_EQ(column, 2u);
}

}  // namespace
}  // namespace weft
