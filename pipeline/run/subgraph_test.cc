/// A subgraph with for_each: its elements go through it together, and every result is the one of the sequential way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

/// Runs inner.json, whose input is `t`, for each of the words in `words`.
class SubgraphElements : public RunFixture {
 protected:
  void inner(const std::string& nodes, const std::string& output) const {
    write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}}, "nodes": {)" +
                            nodes + R"(}, "outputs": {"r": ")" + output + "\"}}");
  }
  static std::string outer(const std::string& words, const std::string& more = "") {
    return R"("nodes": {"s": {"uses": "test.split", "with": {"text": ")" + words + R"("}},
      "o": {"uses": "pipeline:inner.json", "in": {"t": "s.items"}, "for_each": "s.items")" +
           more + R"(}}, "outputs": {"y": "o.r"})";
  }
  static constexpr const char* kBatch = R"("b": {"uses": "test.batch", "in": {"text": "inputs.t"}})";
};

TEST_F(SubgraphElements, AreOneBatchOfTheNodesWithin) {
  inner(kBatch, "b.text");
  EXPECT_EQ(output(outer("a b c d e f")), R"(["<a>","<b>","<c>","<d>","<e>","<f>"])");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(4u, 2u));
}

TEST_F(SubgraphElements, GoOneByOneWhereNoNodeTakesABatch) {
  inner(R"("a": {"uses": "test.text", "in": {"text": "inputs.t"}})", "a.text");
  EXPECT_EQ(output(outer("a b")), R"(["a","b"])");
  EXPECT_THAT(events(), ElementsAre("started s", "finished s", "started o", "started o/a", "finished o/a",
                                    "started o/a", "finished o/a", "finished o"));
}

TEST_F(SubgraphElements, GoOneByOneWhereAnAttemptOrItsTimeIsTheirs) {
  inner(kBatch, "b.text");
  EXPECT_EQ(output(outer("a b c", R"(, "retry": 1)")), R"(["<a>","<b>","<c>"])");
  EXPECT_EQ(output(outer("a b", R"(, "timeout_s": 60)")), R"(["<a>","<b>"])");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(1u, 1u, 1u, 1u, 1u));
}

TEST_F(SubgraphElements, KeepTheirOrderThroughCompletionsInAnyOrder) {
  inner(
      R"("l": {"uses": "test.later", "in": {"x": "inputs.t"}}, "m": {"uses": "test.later", "in": {"x": "l.text"}},
           "a": {"uses": "test.text", "in": {"text": "m.text"}, "with": {"suffix": "/${l.text}"}})",
      "a.text");
  std::string words, expected;
  for (int i = 0; i < 50; ++i) {
    const std::string word = "w" + std::to_string(i);
    words += (i ? " " : "") + word;
    expected += (i ? ",\"" : "\"") + word + "/" + word + "\"";
  }
  for (const uint32_t threads : {1u, 4u}) {
    options().threads = threads;
    EXPECT_EQ(output(outer(words)), "[" + expected + "]");
  }
}

TEST_F(SubgraphElements, OfAnEmptyListGiveAnEmptyList) {
  inner(kBatch, "b.text");
  EXPECT_EQ(output(R"("inputs": {"l": {"type": "list<text>", "default": []}},
      "nodes": {"o": {"uses": "pipeline:inner.json", "in": {"t": "inputs.l"}, "for_each": "inputs.l"}},
      "outputs": {"y": "o.r"})"),
            "[]");
  EXPECT_THAT(observations().batch_sizes, ElementsAre());
}

TEST_F(SubgraphElements, MeetConditionsEachOnItsOwn) {
  inner(std::string(kBatch) + R"(, "x": {"uses": "test.batch", "in": {"text": "inputs.t"},
           "when": {"port": "inputs.t", "equals": "b"}}, "m": {"uses": "test.merge", "in": {"a": "x.text", "b": "b.text"}})",
        "m.text");
  EXPECT_EQ(output(outer("a b c")), R"(["b","ab","b"])");
  EXPECT_THAT(observations().batch_sizes, UnorderedElementsAre(3u, 1u));
  EXPECT_THAT(events(), Contains("skipped o/x: element 0: 'when' is \"a\", not \"b\""));
  EXPECT_THAT(events(), Contains("skipped o/x: element 2: 'when' is \"c\", not \"b\""));
  EXPECT_THAT(events(), Contains("finished o/x"));
}

TEST_F(SubgraphElements, FailWithTheFirstErrorWhichNamesTheElement) {
  inner(std::string(kBatch) +
            R"(, "f": {"uses": "test.fails", "in": {"x": "b.text"}, "with": {"only": "<c>", "times": 9}})",
        "f.text");
  const auto result = run(outer("a b c d"));
  ASSERT_EQ(result.code(), StatusCode::kIoError);
  EXPECT_EQ(to_string(result.error()), "element 2, node 'o/f': made to fail; ask for fewer failures");
}

TEST_F(SubgraphElements, ThatFailWithinARetriedNodeAreRepeatedAlone) {
  inner(std::string(kBatch) +
            R"(, "f": {"uses": "test.fails", "in": {"x": "b.text"}, "with": {"only": "<c>"}, "retry": 1})",
        "f.text");
  EXPECT_EQ(output(outer("a b c d")), R"(["fine","fine","try","fine"])");
  EXPECT_THAT(events(), Contains("discarded o/f 2 attempt 1"));
}

TEST_F(SubgraphElements, AreNamedByWhatIsStreamed) {
  inner(std::string(kBatch) + R"(, "f": {"uses": "test.fails", "in": {"x": "b.text"}, "with": {"times": 0}})",
        "f.text");
  EXPECT_EQ(output(outer("a b")), R"(["try","try"])");
  EXPECT_THAT(events(), Contains("part o/f.text 0 'try'"));
  EXPECT_THAT(events(), Contains("part o/f.text 1 'try'"));
}

TEST_F(SubgraphElements, OfListsWithinListsAreOneBatchToo) {
  write("inner.json", R"({"weft": 1, "name": "inner",
      "inputs": {"t": {"type": "text"}, "l": {"type": "list<text>", "default": ["1", "2"]}}, "nodes": {
        "b": {"uses": "test.batch", "with": {"text": "${inputs.l}${inputs.t}"}, "for_each": "inputs.l"},
        "f": {"uses": "test.fails", "in": {"x": "b.text"}, "for_each": "b.text", "with": {"only": "<2y>"}, "retry": 1},
        "j": {"uses": "test.join", "in": {"items": "b.text"}},
        "k": {"uses": "test.join", "in": {"items": "f.text"}},
        "a": {"uses": "test.text", "in": {"text": "j.text"}, "with": {"suffix": " ${k.text}"}}},
      "outputs": {"r": "a.text"}})");
  EXPECT_EQ(output(outer("x y z")), R"(["<1x> <2x> fine fine","<1y> <2y> fine try","<1z> <2z> fine fine"])");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(4u, 2u));
  EXPECT_THAT(events(), Contains("discarded o/f 1.1 attempt 1"));
  EXPECT_THAT(events(), Contains("part o/f.text 1.1 'try'"));
}

TEST_F(SubgraphElements, OfSubgraphsWithinSubgraphsAreOneBatchToo) {
  inner(R"("p": {"uses": "pipeline:leaf.json", "in": {"t": "inputs.t"}})", "p.r");
  write("leaf.json", R"({"weft": 1, "name": "leaf", "inputs": {"t": {"type": "text"}}, "nodes": {)" +
                         std::string(kBatch) + R"(}, "outputs": {"r": "b.text"}})");
  EXPECT_EQ(output(outer("a b c")), R"(["<a>","<b>","<c>"])");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(3u));
}

TEST_F(SubgraphElements, GiveTheResultsThatEachHasAlone) {
  inner(std::string(kBatch) + R"(, "d": {"uses": "test.seeded"},
           "a": {"uses": "test.text", "in": {"text": "b.text"}, "with": {"suffix": "${d.y}"}})",
        "a.text");
  options().draw_seed = [] { return 77; };
  const std::string together = output(outer("a b c d e"));
  EXPECT_EQ(together, output(outer("a b c d e", R"(, "retry": 1)")));  // which takes them one by one
}

TEST_F(SubgraphElements, AreFewerAtOnceWhereMemoryIsShort) {
  const std::string members = R"("inputs": {"l": {"type": "list<text>", "default": ["a", "b", "c", "d"]}},
      "nodes": {"o": {"uses": "pipeline:inner.json", "in": {"t": "inputs.l"}, "for_each": "inputs.l"}},
      "outputs": {"y": "o.r"})";
  // 40,000 bytes a tensor: four are 160,000, two are 80,000.
  inner(std::string(kBatch) + R"(, "t": {"uses": "test.tensor", "with": {"n": 10000}},
           "u": {"uses": "test.total", "in": {"t": "t.t"}},
           "a": {"uses": "test.text", "in": {"text": "b.text"}, "with": {"suffix": "${u.y}"}})",
        "a.text");
  const std::string all = output(members);
  EXPECT_THAT(observations().batch_sizes, ElementsAre(4u));
  observations().batch_sizes.clear();
  options().max_memory_bytes = 120'000;
  EXPECT_EQ(output(members), all);
  EXPECT_THAT(observations().batch_sizes, ElementsAre(2u, 2u));
  options().max_memory_bytes = 30'000;
  EXPECT_EQ(run(members).code(), StatusCode::kOutOfMemory);
}

}  // namespace
}  // namespace weft::testing
