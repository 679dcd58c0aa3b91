#include "pipeline/batch/item_name.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

Graph graph_with(const std::string& input) {
  Graph graph;
  graph.inputs.push_back({input, "text", "\"\"", "", false, {}});
  return graph;
}

NameParts parts_of(const std::string& id, std::vector<std::string> matrix, const std::string& topic) {
  return {17, id, std::move(matrix), [topic](const std::string&) { return topic; }};
}

TEST(ItemName, FillsTemplates) {
  const Graph graph = graph_with("topic");
  const struct {
    const char *text, *id;
    std::vector<std::string> matrix;
    const char *topic, *expected;
  } cases[] = {
      {"", "", {}, "", "000017"},
      {"", "cat", {}, "", "cat"},
      {"", "cat", {"7", "4.5"}, "", "cat-7-4.5"},
      {"", "", {"7"}, "", "000017"},
      {"${index}-${inputs.topic}", "", {}, "a red apple", "000017-a red apple"},
      {"${inputs.topic}/${index}", "", {}, "../../etc/passwd", "_._.._etc_passwd/000017"},
      {"$${x}${id}", "a:b*c", {}, "", "${x}a_b_c"},
      {"${matrix}", "", {"1", "ink"}, "", "1-ink"},
      {"${inputs.topic}", "", {}, "mänty 松", "mänty 松"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const Result<NameTemplate> names = NameTemplate::parse(c.text, graph);
    ASSERT_TRUE(names.ok());
    const Result<std::string> name = names->fill(parts_of(c.id, c.matrix, c.topic));
    ASSERT_TRUE(name.ok()) << to_string(name.error());
    EXPECT_EQ(*name, c.expected);
  }
}

TEST(ItemName, CutsLongValuesBetweenCharacters) {
  const Graph graph = graph_with("topic");
  std::string text;
  for (int i = 0; i < 80; ++i) text += "ä";
  const Result<std::string> name =
      NameTemplate::parse("${inputs.topic}", graph)->fill(parts_of("", {}, "x" + text));
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->size(), 99u);
  EXPECT_TRUE(name->ends_with("ä"));
}

TEST(ItemName, RefusesTemplatesThatAreNone) {
  const Graph graph = graph_with("topic");
  for (const char* text : {"${indx}", "${inputs.topics}", "${index", "a\nb"}) {
    EXPECT_EQ(NameTemplate::parse(text, graph).code(), StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(NameTemplate::parse("${inputs.topics}", graph).error().hint, "did you mean ${inputs.topic}?");
}

TEST(ItemName, RefusesNamesThatLeaveTheFolder) {
  const Graph graph = graph_with("topic");
  for (const char* text : {"/${index}", "../${index}", "a//b", "${inputs.topic}", "a/./b", "${index}/"}) {
    EXPECT_FALSE(NameTemplate::parse(text, graph)->fill(parts_of("", {}, "")).ok()) << text;
  }
}

}  // namespace
}  // namespace weft
