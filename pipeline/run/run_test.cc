/// What a run does with a graph: order, skipping, lists, retries, errors, cancellation, memory.
#include "pipeline/run/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/tensor_layout.h"
#include "pipeline/residency/models.h"
#include "pipeline/run/testing/run_fixture.h"
#include "pipeline/run/testing/test_plugin.h"

namespace weft::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Run : public RunFixture {};

TEST_F(Run, HandsValuesFromNodeToNode) {
  EXPECT_EQ(output(R"("nodes": {"a": {"uses": "test.int", "with": {"value": 7}},
                                "b": {"uses": "test.noop", "in": {"x": "a.y"}}},
                      "outputs": {"y": "b.y"})"),
            "7");
  EXPECT_THAT(events(), ElementsAre("started a", "finished a", "started b", "finished b"));
}

TEST_F(Run, ANodeMakesTheFurtherOutputsThatAreReferredTo) {
  const std::string nodes = R"("nodes": {"a": {"uses": "test.ones"},
      "b": {"uses": "test.total", "in": {"t": "a.ones_3"}}, "c": {"uses": "test.total", "in": {"t": "a.ones_5"}}},
      "outputs": )";
  const auto result = run(nodes + R"({"b": "b.y", "c": "c.y", "t": "a.ones_3"})");
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->outputs_json.at("b"), "3.0");
  EXPECT_EQ(result->outputs_json.at("c"), "5.0");
  const auto refused = run(nodes + R"({"z": "a.zeros_3"})");
  ASSERT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(refused.error()), HasSubstr("there is no output 'zeros_3'"));
}

TEST_F(Run, InputsComeFromOptionsDefaultsOrNowhere) {
  const std::string members = R"("inputs": {"t": {"type": "text", "default": "none"}, "n": {"type": "int"}},
      "nodes": {"a": {"uses": "test.text", "in": {"text": "inputs.t"}, "with": {"suffix": "-${inputs.n}"}}},
      "outputs": {"y": "a.text", "n": "inputs.n"})";
  options().inputs["n"].text = "5";
  EXPECT_EQ(output(members), "\"none-5\"");
  options().inputs["t"].text = "a \"quoted\" text";
  EXPECT_EQ(output(members), R"("a \"quoted\" text-5")");
  options().inputs["n"] = {"", "6"};
  EXPECT_EQ(output(members, "n"), "6");
  options().inputs["n"].json = "\"six\"";
  EXPECT_EQ(run(members).code(), StatusCode::kInvalidArgument);
  options().inputs.erase("n");
  const auto missing = run(members);
  ASSERT_EQ(missing.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(missing.error()), HasSubstr("--set n="));
  options().inputs["nonsense"].text = "1";
  EXPECT_EQ(run(members).code(), StatusCode::kInvalidArgument);
}

TEST_F(Run, InputsAndOutputsAreSharedValues) {
  const std::string members =
      R"("inputs": {"x": {"type": "tensor"}, "n": {"type": "int"}},
         "nodes": {"a": {"uses": "test.noop", "in": {"x": "inputs.n"}}}, "outputs": {"x": "inputs.x", "y": "a.y"})";
  const auto buffer = allocate_buffer(host().cpu_pool(), 12, 0, nullptr, "test");
  ASSERT_TRUE(buffer.ok());
  const int64_t shape[] = {3};
  const weft_tensor view = row_major(buffer->data(), WEFT_DTYPE_F32, shape);
  weft_value* tensor = nullptr;
  ASSERT_EQ(value_api()->make_tensor(buffer->get(), &view, "tensor", nullptr, &tensor), WEFT_OK);
  options().inputs["x"].value = Value::adopt(tensor);
  options().inputs["n"].value = Value::integer(7);
  const weft_value* number = options().inputs["n"].value.get();
  const auto result = run(members);
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->outputs.at("x").get(), tensor);
  EXPECT_EQ(result->outputs.at("y").get(), number);
  EXPECT_EQ(result->copied_bytes, 0u);

  options().inputs["x"].value = Value::integer(3);
  const auto refused = run(members);
  ASSERT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(refused.error()),
              HasSubstr("input 'x': a value has the wrong type (expected tensor, got int)"));
}

TEST_F(Run, FillsTemplatesFromNodes) {
  EXPECT_EQ(output(R"("nodes": {"a": {"uses": "test.int", "with": {"value": 3}},
                                "b": {"uses": "test.text", "with": {"text": "n=${a.y}", "suffix": " (${a.y}) $${x}"}}},
                      "outputs": {"y": "b.text"})"),
            "\"n=3 (3) ${x}\"");
}

TEST_F(Run, WhenSkipsANodeAndItsDependants) {
  const auto members = [](int value) {
    return R"("nodes": {
        "n": {"uses": "test.int", "with": {"value": )" +
           std::to_string(value) + R"(}},
        "c": {"uses": "test.compare", "in": {"x": "n.y"}},
        "a": {"uses": "test.noop", "in": {"x": "n.y"}, "when": "c.yes"},
        "b": {"uses": "test.compare", "in": {"x": "a.y"}},
        "z": {"uses": "test.int", "when": {"port": "n.y", "equals": 0}},
        "m": {"uses": "test.merge", "in": {"a": "a.y", "b": "z.y"}}},
      "outputs": {"y": "m.text", "b": "b.yes"})";
  };
  EXPECT_EQ(output(members(1)), "\"a\"");
  EXPECT_EQ(output(members(1), "b"), "true");
  EXPECT_EQ(output(members(0)), "\"b\"");
  EXPECT_THAT(events(), Contains("skipped a: 'when' is false"));
  EXPECT_THAT(events(), Contains("skipped b: its input 'x' has no value"));
  EXPECT_EQ(output(members(0), "b"), "absent");
  EXPECT_EQ(output(members(-1)), "\"none\"");
}

TEST_F(Run, AnOptionalOutputThatIsNotSetCountsAsSkipped) {
  const auto members = [](const char* set) {
    return std::string(R"("nodes": {"a": {"uses": "test.maybe", "with": {"set": )") + set + R"(}},
        "b": {"uses": "test.compare", "in": {"x": "a.y"}}, "m": {"uses": "test.merge", "in": {"a": "a.y"}}},
      "outputs": {"y": "m.text", "b": "b.yes"})";
  };
  EXPECT_EQ(output(members("true"), "b"), "true");
  EXPECT_EQ(output(members("false"), "b"), "absent");
  EXPECT_EQ(output(members("false")), "\"none\"");
}

TEST_F(Run, ForEachKeepsTheOrderAndTheBatchLimit) {
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "a b c d e f"}},
                                "b": {"uses": "test.batch", "in": {"text": "s.items"}, "for_each": "s.items"},
                                "j": {"uses": "test.join", "in": {"items": "b.text"}}},
                      "outputs": {"y": "j.text", "list": "b.text"})"),
            "\"<a> <b> <c> <d> <e> <f>\"");
  EXPECT_THAT(observations().batch_sizes, ElementsAre(4u, 2u));
}

TEST_F(Run, ForEachOverAnEmptyListGivesAnEmptyList) {
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split"},
                                "b": {"uses": "test.batch", "in": {"text": "s.items"}, "for_each": "s.items"}},
                      "outputs": {"y": "b.text"})"),
            "[]");
  EXPECT_THAT(observations().batch_sizes, IsEmpty());
}

TEST_F(Run, ForEachMeansTheElementInTemplatesToo) {
  EXPECT_EQ(output(R"("inputs": {"l": {"type": "list<text>", "default": ["x", "y"]}},
                      "nodes": {"a": {"uses": "test.text", "with": {"text": "[${inputs.l}]", "suffix": "${inputs.l}!"},
                                      "for_each": "inputs.l"}},
                      "outputs": {"y": "a.text"})"),
            R"(["[x]x!","[y]y!"])");
}

TEST_F(Run, CompletionsInAnyOrderFromAnyThreadKeepTheOrder) {
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "1 2 3 4 5 6 7 8 9 10 11"}},
                                "l": {"uses": "test.later", "in": {"x": "s.items"}, "for_each": "s.items"},
                                "j": {"uses": "test.join", "in": {"items": "l.text"}}},
                      "outputs": {"y": "j.text"})"),
            "\"1 2 3 4 5 6 7 8 9 10 11\"");
}

TEST_F(Run, TheFirstFailingElementFailsTheNode) {
  const auto result = run(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "a b c"}},
      "f": {"uses": "test.fails", "in": {"x": "s.items"}, "for_each": "s.items", "with": {"only": "b", "times": 9}}},
      "outputs": {"y": "f.text"})");
  ASSERT_EQ(result.code(), StatusCode::kIoError);
  EXPECT_EQ(to_string(result.error()), "node 'f', element 1: made to fail; ask for fewer failures");
}

TEST_F(Run, RetryDiscardsWhatWasStreamed) {
  EXPECT_EQ(
      output(
          R"("nodes": {"f": {"uses": "test.fails", "with": {"times": 2}, "retry": 2}}, "outputs": {"y": "f.text"})"),
      "\"try\"");
  EXPECT_THAT(events(), ElementsAre("started f", "part f.text 0 'try'", "discarded f 0 attempt 1",
                                    "part f.text 0 'try'", "discarded f 0 attempt 2", "part f.text 0 'try'",
                                    "finished f"));
  const auto result =
      run(R"("nodes": {"f": {"uses": "test.fails", "with": {"times": 9, "key": "k"}, "retry": 1}},
                             "outputs": {"y": "f.text"})");
  EXPECT_EQ(result.code(), StatusCode::kIoError);
  EXPECT_EQ(observations().failures["k"], 2);
}

TEST_F(Run, RetryRepeatsOnlyTheElementsThatFailed) {
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "a b"}},
      "f": {"uses": "test.fails", "in": {"x": "s.items"}, "for_each": "s.items", "with": {"only": "b"}, "retry": 1}},
      "outputs": {"y": "f.text"})"),
            R"(["fine","try"])");
  EXPECT_THAT(events(), Contains("discarded f 1 attempt 1"));
}

TEST_F(Run, StreamsTextAndJoinsItsParts) {
  EXPECT_EQ(
      output(
          R"("nodes": {"a": {"uses": "test.stream", "with": {"text": "abcdefg"}}}, "outputs": {"y": "a.text"})"),
      "\"abcdefg\"");
  EXPECT_THAT(events(),
              ElementsAre("started a", "part a.text 0 'abc'", "progress a 0/7 bytes", "part a.text 0 'def'",
                          "progress a 3/7 bytes", "part a.text 0 'g'", "progress a 6/7 bytes", "finished a"));
}

TEST_F(Run, TheLastPreviewOfANodeStaysWithANameOfItsOwn) {
  host_options().preview_folder = folder() / "a/shown";
  write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}},
      "nodes": {"m": {"uses": "test.meet", "in": {"text": "inputs.t"}, "with": {"n": 1}}}, "outputs": {"text": "m.text"}})");
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "sea fox"}},
                "m": {"uses": "test.meet", "in": {"text": "s.items"}, "for_each": "s.items", "with": {"n": 2}},
                "in": {"uses": "pipeline:inner.json", "in": {"t": "s.items"}, "for_each": "s.items"},
                "y": {"uses": "test.join", "in": {"items": "m.text"}},
                "z": {"uses": "test.join", "in": {"items": "in.text"}}},
                "outputs": {"y": "y.text", "z": "z.text"})"),
            "\"sea fox\"");
  EXPECT_THAT(files_below(folder() / "a/shown"),
              ElementsAre("in.m.0.png", "in.m.1.png", "m.0.png", "m.1.png"));
  EXPECT_EQ(read(folder() / "a/shown/in.m.1.png"), "fox");
}

TEST_F(Run, SubgraphsRunAsOneNode) {
  write("inner.json", R"({"weft": 1, "name": "inner", "inputs": {"t": {"type": "text"}},
      "nodes": {"a": {"uses": "test.text", "in": {"text": "inputs.t"}, "with": {"suffix": "+${inputs.t}"}},
                "b": {"uses": "test.text", "in": {"text": "a.text"}, "with": {"suffix": "."}}},
      "outputs": {"r": "b.text"}})");
  EXPECT_EQ(
      output(
          R"("nodes": {"o": {"uses": "pipeline:inner.json", "with": {"t": "hi"}}}, "outputs": {"y": "o.r"})"),
      "\"hi+hi.\"");
  EXPECT_THAT(events(), ElementsAre("started o", "started o/a", "finished o/a", "started o/b", "finished o/b",
                                    "finished o"));
  EXPECT_EQ(output(R"("nodes": {"s": {"uses": "test.split", "with": {"text": "x y z"}},
                                "o": {"uses": "pipeline:inner.json", "in": {"t": "s.items"}, "for_each": "s.items"}},
                      "outputs": {"y": "o.r"})"),
            R"(["x+x.","y+y.","z+z."])");
}

TEST_F(Run, ASubgraphThatFailsIsRetriedAndNamesTheInnerNode) {
  write("inner.json",
        R"({"weft": 1, "name": "inner", "nodes": {"f": {"uses": "test.fails", "with": {"times": 1}}},
                          "outputs": {"r": "f.text"}})");
  EXPECT_EQ(output(R"("nodes": {"o": {"uses": "pipeline:inner.json", "retry": 1}}, "outputs": {"y": "o.r"})"),
            "\"try\"");
  observations().clear();
  const auto result = run(R"("nodes": {"o": {"uses": "pipeline:inner.json"}}, "outputs": {"y": "o.r"})");
  EXPECT_THAT(to_string(result.error()), HasSubstr("node 'o/f': made to fail"));
}

struct Breach {
  const char* node;
  StatusCode code;
  const char* message;
};
class RunBreach : public RunFixture, public ::testing::WithParamInterface<Breach> {};
TEST_P(RunBreach, FailsTheNodeThatBreaksTheContract) {
  const auto result =
      run(std::string(R"("nodes": {"bad": {"uses": ")") + GetParam().node + R"("}}, "outputs": {"y": "bad.)" +
          (std::string(GetParam().node) == "test.beyond" ? "text" : "y") + R"("})");
  ASSERT_EQ(result.code(), GetParam().code);
  EXPECT_THAT(to_string(result.error()), HasSubstr("node 'bad'"));
  EXPECT_THAT(to_string(result.error()), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Nodes, RunBreach,
    ::testing::Values(Breach{"test.throws", StatusCode::kInternal, "a node that throws"},
                      Breach{"test.silent", StatusCode::kInternal, "without its output 'y'"},
                      Breach{"test.twice", StatusCode::kInvalidArgument, "set twice"},
                      Breach{"test.beyond", StatusCode::kOutOfRange, "at most 4 bytes"}));

TEST_F(Run, IndependentBranchesRunInParallel) {
  options().threads = 4;
  EXPECT_EQ(
      output(
          R"("nodes": {"a": {"uses": "test.sleep", "with": {"ms": 200}}, "b": {"uses": "test.sleep", "with": {"ms": 200}},
      "c": {"uses": "test.sleep", "with": {"ms": 200}}, "d": {"uses": "test.merge", "in": {"a": "a.y", "b": "b.y"}}},
      "outputs": {"y": "d.text"})"),
      "\"ab\"");
  EXPECT_EQ(observations().most_running, 3);
}

TEST_F(Run, OneThreadRunsOneNodeAtATime) {
  options().threads = 1;
  EXPECT_EQ(output(R"("nodes": {"a": {"uses": "test.sleep"}, "b": {"uses": "test.sleep"},
                                "m": {"uses": "test.merge", "in": {"a": "a.y", "b": "b.y"}}}, "outputs": {"y": "m.text"})"),
            "\"ab\"");
  EXPECT_EQ(observations().most_running, 1);
}

TEST_F(Run, CancelStopsNodesThatPollAndStartsNoMore) {
  std::thread canceller([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    cancel().cancel();
  });
  const auto result = run(R"("nodes": {"a": {"uses": "test.sleep", "with": {"ms": 20000}},
                                       "b": {"uses": "test.noop", "in": {"x": "a.y"}}}, "outputs": {"y": "b.y"})");
  canceller.join();
  EXPECT_EQ(result.code(), StatusCode::kCancelled);
  EXPECT_THAT(events(), ElementsAre("started a"));
}

TEST_F(Run, AnErrorStopsTheOtherBranches) {
  const auto result =
      run(R"("nodes": {"a": {"uses": "test.sleep", "with": {"ms": 20000}}, "f": {"uses": "test.fails"}},
                             "outputs": {"y": "a.y", "f": "f.text"})");
  ASSERT_EQ(result.code(), StatusCode::kIoError);
  EXPECT_THAT(to_string(result.error()), HasSubstr("node 'f'"));
}

TEST_F(Run, TimeoutFailsTheNode) {
  for (const char* uses : {"test.sleep", "test.stubborn"}) {
    const auto result = run(std::string(R"("nodes": {"a": {"uses": ")") + uses +
                            R"(", "with": {"ms": 120}, "timeout_s": 0.03}}, "outputs": {"y": "a.y"})");
    ASSERT_EQ(result.code(), StatusCode::kTimedOut) << uses;
    EXPECT_THAT(to_string(result.error()), HasSubstr("node 'a'"));
  }
  EXPECT_EQ(output(R"("nodes": {"a": {"uses": "test.sleep", "timeout_s": 60}}, "outputs": {"y": "a.y"})"),
            "1");
}

TEST_F(Run, TimeoutOfASubgraphStopsItsNodes) {
  write("inner.json",
        R"({"weft": 1, "name": "inner", "nodes": {"s": {"uses": "test.sleep", "with": {"ms": 20000}}},
                          "outputs": {"r": "s.y"}})");
  const auto result =
      run(R"("nodes": {"o": {"uses": "pipeline:inner.json", "timeout_s": 0.03}}, "outputs": {"y": "o.r"})");
  EXPECT_EQ(result.code(), StatusCode::kTimedOut);
}

TEST_F(Run, LinkedTensorsAreNeverCopied) {
  auto result = run(
      R"("nodes": {"t": {"uses": "test.tensor", "with": {"n": 1000}}, "a": {"uses": "test.total", "in": {"t": "t.t"}},
      "b": {"uses": "test.total", "in": {"t": "t.t"}}}, "outputs": {"a": "a.y", "b": "b.y"})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->outputs_json["a"], "1000.0");
  ASSERT_EQ(observations().addresses.size(), 3u);
  EXPECT_EQ(observations().addresses[0], observations().addresses[1]);
  EXPECT_EQ(observations().addresses[0], observations().addresses[2]);
  EXPECT_EQ(result->copied_bytes, 0u);
  EXPECT_GE(result->peak_live_bytes, 4000u);
}

TEST_F(Run, TheCopyCounterSeesTemplatesAndJoinedParts) {
  auto result = run(R"("nodes": {"a": {"uses": "test.stream", "with": {"text": "12345"}},
                                 "b": {"uses": "test.text", "with": {"text": "${a.text}!"}}}, "outputs": {"y": "b.text"})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->copied_bytes, 10u);
}

TEST_F(Run, OutputsAreReleasedWithTheirLastReader) {
  std::string nodes =
      R"("n0": {"uses": "test.tensor", "with": {"n": 1000}}, "s0": {"uses": "test.total", "in": {"t": "n0.t"}})";
  for (int i = 1; i < 10; ++i) {
    const std::string n = std::to_string(i), before = std::to_string(i - 1);
    nodes += R"(, "n)" + n + R"(": {"uses": "test.tensor", "with": {"n": 1000}, "when": {"port": "s)" +
             before + R"(.y", "equals": 1000.0}}, "s)" + n + R"(": {"uses": "test.total", "in": {"t": "n)" +
             n + R"(.t"}})";
  }
  auto result = run(R"("nodes": {)" + nodes + R"(}, "outputs": {"y": "s9.y"})");
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->outputs_json["y"], "1000.0");
  EXPECT_GE(result->peak_live_bytes, 4000u);
  EXPECT_LT(result->peak_live_bytes, 8000u) << "one tensor at a time";
  EXPECT_EQ(host().memory().statistics({WEFT_DEVICE_CPU, 0}).live_bytes, 0u);
}

TEST_F(Run, ConcurrentNodesNeverShareWorkspaces) {
  std::string nodes;
  for (int i = 0; i < 12; ++i) {
    const std::string after = i >= 4 ? R"(, "in": {"x": "w)" + std::to_string(i - 4) + R"(.y"})" : "";
    nodes += std::string(i ? ", " : "") + R"("w)" + std::to_string(i) +
             R"(": {"uses": "test.scratch", "with": {"bytes": )" + std::to_string(10'000 * (i % 3 + 1)) +
             "}" + after + "}";
  }
  options().threads = 4;
  const auto result = run(R"("nodes": {)" + nodes + R"(}, "outputs": {"y": "w11.y"})");
  EXPECT_TRUE(result.ok()) << to_string(result.error());
}

TEST_F(Run, ModelsAreLoadedOnceAndShared) {
  write("five", "5");
  const std::string members = R"("models": {"m": {"path": "five"}, "n": {"path": "five"}},
      "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}, "b": {"uses": "test.model", "with": {"model": "n"}}},
      "outputs": {"y": "a.y", "b": "b.y"})";
  EXPECT_EQ(output(members), "5");
  EXPECT_EQ(output(members, "b"), "5");
  EXPECT_EQ(observations().models_loaded, 1);
}

TEST_F(Run, ModelsTakeTurnsWhereTheyDoNotFitTogether) {
  write("five", "5");
  write("six", "6");
  options().max_memory_bytes = host_options().max_memory_bytes = 1500;
  auto result = run(R"("models": {"m": {"path": "five"}, "n": {"path": "six"}},
      "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}, "b": {"uses": "test.model", "with": {"model": "n"}}},
      "outputs": {"a": "a.y", "b": "b.y"})");
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->outputs_json["a"] + result->outputs_json["b"], "56");
  EXPECT_EQ(host().models().statistics().evictions, 1u);
}

TEST_F(Run, RefusesAPlanThatCannotFitWithTheNumbers) {
  options().max_memory_bytes = 5000;
  const auto result =
      run(R"("nodes": {"a": {"uses": "test.scratch", "with": {"bytes": 10000}}}, "outputs": {"y": "a.y"})");
  ASSERT_EQ(result.code(), StatusCode::kOutOfMemory);
  EXPECT_THAT(to_string(result.error()), HasSubstr("workspace of 'a'"));
}

TEST_F(Run, SeedsAreDrawnOnceReplayedAndNotReusedFromTheCache) {
  const std::string members =
      R"("nodes": {"a": {"uses": "test.seeded"}, "b": {"uses": "test.seeded", "with": {"seed": 9}}},
                                 "outputs": {"y": "a.y", "b": "b.y"})";
  options().draw_seed = [] { return int64_t{42}; };
  EXPECT_EQ(output(members), "42");
  EXPECT_EQ(output(members, "b"), "9");
  options().seeds = {{"a", "seed", 17}};
  EXPECT_EQ(output(members), "17");
  options().seeds.clear();
  options().draw_seed = nullptr;
  const std::string first = output(members), second = output(members);
  EXPECT_NE(first, second) << "one chance in 2^31";
}

TEST_F(Run, EqualOutputsWhateverTheThreads) {
  std::string nodes;
  for (int i = 0; i < 200; ++i) {
    const auto link = [&](int back) { return "\"n" + std::to_string(i - back) + ".text\""; };
    nodes += std::string(i ? ", " : "") + "\"n" + std::to_string(i) +
             R"(": {"uses": "test.text", "with": {"suffix": ")" +
             (i >= 7 ? "${n" + std::to_string(i - 7) + ".text}" : std::string("x")) + "\"}" +
             (i >= 40  ? ""
              : i >= 3 ? R"(, "in": {"text": )" + link(3) + "}"
                       : "") +
             "}";
  }
  const std::string members = "\"nodes\": {" + nodes + R"(}, "outputs": {"y": "n199.text"})";
  options().threads = 1;
  const std::string one = output(members);
  EXPECT_GT(one.size(), 10u);
  for (const uint32_t threads : {2u, 3u, 8u}) {
    options().threads = threads;
    EXPECT_EQ(output(members), one);
  }
}

TEST_F(Run, APreparedRunCanBeExecutedAgain) {
  const auto graph =
      parse(R"("nodes": {"a": {"uses": "test.int", "with": {"value": 4}}}, "outputs": {"y": "a.y"})");
  auto prepared = prepare_run(*graph, test_provider(), host(), options());
  ASSERT_TRUE(prepared.ok());
  for (int i = 0; i < 3; ++i) {
    auto result = execute(*prepared, options(), nullptr, nullptr);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->outputs_json["y"], "4");
  }
}

TEST_F(Run, TimingsNameEveryNode) {
  auto result = run(
      R"("nodes": {"a": {"uses": "test.sleep", "with": {"ms": 20}}, "c": {"uses": "test.compare", "with": {"x": 0}},
                                 "b": {"uses": "test.int", "when": "c.yes"}}, "outputs": {"y": "a.y"})");
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  ASSERT_EQ(result->timings.size(), 3u);
  for (const NodeTiming& timing : result->timings) {
    if (timing.node == "a") {
      EXPECT_GE(timing.seconds, 0.02);
    }
    if (timing.node == "b") {
      EXPECT_EQ(timing.outcome, NodeTiming::Outcome::kSkipped);
    }
  }
  EXPECT_GE(result->seconds, 0.02);
}

}  // namespace
}  // namespace weft::testing
