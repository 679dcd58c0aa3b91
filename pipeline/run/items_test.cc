/// Items that share a prepared run: they meet in batches, and each ends as if it ran alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/run/shared_runs.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Le;
using ::testing::SizeIs;

/// An item and what became of it.
struct Tried {
  RunOptions options;
  CancelToken cancel;
  Result<RunResult> result = Status(StatusCode::kInternal, "never executed");
};

class Items : public RunFixture {
 protected:
  /// The input `t` of each item. Prepares once; executes all at the same time, on a thread each.
  std::vector<std::unique_ptr<Tried>> run_together(const std::string& members,
                                                   const std::vector<std::string>& texts,
                                                   const std::function<void(size_t, Tried&)>& adjust = {}) {
    graph_ = parse(members);
    std::vector<std::unique_ptr<Tried>> items;
    for (size_t i = 0; i < texts.size(); ++i) {
      auto& item = *items.emplace_back(std::make_unique<Tried>());
      item.options = options();
      item.options.inputs["t"].text = texts[i];
      item.options.out_folder = folder() / ("out" + std::to_string(i));
      if (adjust) adjust(i, item);
    }
    SharedRuns runs(*graph_, test_provider(), host(), {.at_once = static_cast<uint32_t>(texts.size())});
    std::vector<std::thread> threads;
    for (auto& item : items) {
      auto prepared = runs.find(item->options);
      if (!prepared.ok()) {
        item->result = prepared.status();
        continue;
      }
      threads.emplace_back(
          [&item, run = *prepared] { item->result = execute(*run, item->options, nullptr, &item->cancel); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(host().temporaries().count(), 0u) << "a temporary is left";
    return items;
  }

  static std::string outcome(const Tried& item, const std::string& name = "y") {
    if (!item.result.ok()) return to_string(item.result.code());
    const auto found = item.result->outputs_json.find(name);
    return found == item.result->outputs_json.end() ? "absent" : found->second;
  }
  static std::vector<std::string> outcomes(const std::vector<std::unique_ptr<Tried>>& items) {
    std::vector<std::string> all;
    for (const auto& item : items) all.push_back(outcome(*item));
    return all;
  }

  static constexpr const char* kInput = R"("inputs": {"t": {"type": "text"}}, )";

 private:
  std::shared_ptr<const Graph> graph_;
};

TEST_F(Items, JoinAnExecuteThatIsAtWork) {
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"m": {"uses": "test.meet", "in": {"text": "inputs.t"}, "with": {"n": 6}}}, "outputs": {"y": "m.text"})",
                                  {"a", "b", "c", "d", "e", "f"});
  EXPECT_THAT(outcomes(items), ElementsAre("\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\"", "\"f\""));
  EXPECT_THAT(observations().batch_sizes, ElementsAre(6u));
}

TEST_F(Items, NeverExceedTheLargestBatchOfANode) {
  std::vector<std::string> texts, expected;
  for (int i = 0; i < 40; ++i) {
    texts.push_back(std::to_string(i));
    expected.push_back("\"<" + texts.back() + ">/" + texts.back() + "\"");
  }
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"b": {"uses": "test.batch", "in": {"text": "inputs.t"}},
                "l": {"uses": "test.later", "in": {"x": "b.text"}},
                "a": {"uses": "test.text", "in": {"text": "l.text"}, "with": {"suffix": "/${inputs.t}"}}},
      "outputs": {"y": "a.text"})",
                                  texts);
  EXPECT_EQ(outcomes(items), expected);
  EXPECT_THAT(observations().batch_sizes, Each(Le(4u)));
}

TEST_F(Items, FailAlone) {
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"f": {"uses": "test.fails", "in": {"x": "inputs.t"}, "with": {"key": "k", "only": "bad", "times": 9}},
                "b": {"uses": "test.batch", "in": {"text": "f.text"}}}, "outputs": {"y": "b.text"})",
                                  {"good", "bad", "good", "good"});
  EXPECT_THAT(outcomes(items), ElementsAre("\"<fine>\"", "input/output error", "\"<fine>\"", "\"<fine>\""));
  EXPECT_THAT(to_string(items[1]->result.error()), HasSubstr("node 'f'"));
}

TEST_F(Items, AreCancelledAlone) {
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"m": {"uses": "test.meet", "in": {"text": "inputs.t"}, "with": {"n": 3}}}, "outputs": {"y": "m.text"})",
                                  {"a", "b", "c", "d"}, [](size_t i, Tried& item) {
                                    if (i == 1) item.cancel.cancel();
                                  });
  EXPECT_THAT(outcomes(items), ElementsAre("\"a\"", "cancelled", "\"c\"", "\"d\""));
}

TEST_F(Items, AreLateOnlyFromWhenTheNodeHasThem) {
  // Two instances: the last items wait for two seconds until it is their turn.
  host_options().threads = 2;
  const std::vector<std::string> texts(100, "x");
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"s": {"uses": "test.sleep", "in": {"x": "inputs.t"}, "with": {"ms": 40}, "timeout_s": 1}},
      "outputs": {"y": "s.y"})",
                                  texts);
  EXPECT_THAT(outcomes(items), Each("1"));
}

TEST_F(Items, WorkInSeveralInstancesOfANodeThatTakesOneRequest) {
  host_options().threads = 3;
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"s": {"uses": "test.scratch", "in": {"x": "inputs.t"}, "with": {"bytes": 5000}}}, "outputs": {"y": "s.y"})",
                                  std::vector<std::string>(12, "x"));
  const std::string alone = outcome(*items[0]);
  EXPECT_THAT(outcomes(items), Each(alone));
  EXPECT_TRUE(items[0]->result.ok());
}

TEST_F(Items, DrawSeedsOfTheirOwn) {
  const auto items = run_together(
      std::string(kInput) +
          R"("nodes": {"s": {"uses": "test.seeded"}}, "outputs": {"y": "s.y", "t": "inputs.t"})",
      {"a", "b"}, [](size_t i, Tried& item) { item.options.draw_seed = [i] { return int64_t(100 + i); }; });
  for (size_t i = 0; i < items.size(); ++i) {
    ASSERT_TRUE(items[i]->result.ok());
    ASSERT_THAT(items[i]->result->seeds, SizeIs(1));
    EXPECT_EQ(items[i]->result->seeds[0].value, int64_t(100 + i));
    EXPECT_EQ(outcome(*items[i]), std::to_string(100 + i));
  }
}

TEST_F(Items, GoThroughSubgraphsAndListsTogether) {
  write("inner.json",
        R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}}, "nodes": {
             "b": {"uses": "test.batch", "in": {"text": "inputs.t"}}}, "outputs": {"r": "b.text"}})");
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"s": {"uses": "test.split", "with": {"text": "1 2 3"}},
                "o": {"uses": "pipeline:inner.json", "in": {"t": "s.items"}, "for_each": "s.items"},
                "j": {"uses": "test.join", "in": {"items": "o.r"}},
                "a": {"uses": "test.text", "in": {"text": "j.text"}, "with": {"suffix": " ${inputs.t}"}}},
      "outputs": {"y": "a.text"})",
                                  {"a", "b", "c"});
  EXPECT_THAT(outcomes(items), ElementsAre("\"<1> <2> <3> a\"", "\"<1> <2> <3> b\"", "\"<1> <2> <3> c\""));
}

TEST_F(Items, WithDifferentParametersThatMustBeKnownGetRunsOfTheirOwn) {
  const auto items = run_together(R"("inputs": {"t": {"type": "int"}},
      "nodes": {"i": {"uses": "test.int", "with": {"value": "${inputs.t}"}}}, "outputs": {"y": "i.y"})",
                                  {"3", "4", "3"});
  EXPECT_THAT(outcomes(items), ElementsAre("3", "4", "3"));
}

TEST_F(Items, LargerThanThoseBeforeAreServedToo) {
  const std::string large(5000, 'x');
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"a": {"uses": "test.text", "in": {"text": "inputs.t"}}}, "outputs": {"y": "a.text"})",
                                  {"small", large, "small"});
  EXPECT_THAT(outcomes(items), ElementsAre("\"small\"", "\"" + large + "\"", "\"small\""));
}

TEST_F(Items, WriteIntoFoldersOfTheirOwn) {
  const auto items = run_together(std::string(kInput) + R"(
      "nodes": {"w": {"uses": "test.write", "in": {"text": "inputs.t"}, "with": {"path": "note.txt"}}},
      "outputs": {"y": "w.path"})",
                                  {"one", "two"});
  EXPECT_EQ(read(folder() / "out0" / "note.txt"), "one");
  EXPECT_EQ(read(folder() / "out1" / "note.txt"), "two");
  // The manifest holds the item's own inputs.
  EXPECT_THAT(read(folder() / "out1" / "manifest.json"), HasSubstr("\"two\""));
}

TEST_F(Items, AreChosenInNumberByTheNodeThatGainsMost) {
  const auto graph = parse(std::string(kInput) +
                           R"("nodes": {"b": {"uses": "test.batch", "in": {"text": "inputs.t"}}},
                              "outputs": {"y": "b.text"})");
  options().inputs["t"].text = "x";
  SharedRuns runs(*graph, test_provider(), host(), {});
  const auto prepared = runs.find(options());
  ASSERT_TRUE(prepared.ok());
  EXPECT_EQ((*prepared)->items_at_once(), 4 + host().threads() + 1);
}

}  // namespace
}  // namespace weft::testing
