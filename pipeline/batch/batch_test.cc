#include "pipeline/batch/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "pipeline/batch/testing/batch_fixture.h"
#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::BatchFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class BatchTest : public BatchFixture {};

std::string topics(int n) {
  std::string lines;
  for (int i = 1; i <= n; ++i) lines += "{\"topic\": \"t" + std::to_string(i) + "\"}\n";
  return lines;
}

TEST_F(BatchTest, RunsEveryItemAndKeepsItsFiles) {
  items("{\"topic\": \"sea\"}\n{\"topic\": \"fox\", \"n\": 3, \"id\": \"f\"}\n");
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 2u);
  EXPECT_EQ(read(out() / "items/000001/a.txt"), "sea 1");
  EXPECT_EQ(read(out() / "items/f/a.txt"), "fox 3");
  EXPECT_THAT(recorded(), UnorderedElementsAre("000001", "f"));
}

TEST_F(BatchTest, TablesHoldInputsOutputsAndReasons) {
  items("{\"topic\": \"a, b\"}\n{\"topic\": \"bad\"}\n");
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(read(out() / "results.jsonl"),
              HasSubstr(R"({"name":"000001","inputs":{"topic":"a, b"},"outputs":{"text":"a, b 1"},"files":[)"
                        R"({"path":"items/000001/a.txt","size_bytes":6,"sha256":")" +
                        sha256_of_text("a, b 1") + "\"}]"));
  EXPECT_THAT(read(out() / "results.csv"), HasSubstr("name,inputs.topic,outputs.text,files,seconds\n"
                                                     "000001,\"a, b\",\"a, b 1\",items/000001/a.txt,"));
  EXPECT_THAT(read(out() / "failures.csv"),
              HasSubstr("000002," + (folder() / "items.jsonl:2").string() + ",input/output error,"));
  EXPECT_THAT(read(out() / "failures.jsonl"), HasSubstr("node 'check': made to fail"));
}

TEST_F(BatchTest, OneBadItemDoesNotStopTheRest) {
  items(
      "{\"topic\": \"a\"}\n{\"topic\": \"bad\"}\n{\"topc\": \"x\"}\nnonsense\n{\"n\": 1}\n"
      "{\"topic\": 3}\n{\"topic\": \"b\"}\n");
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 2u);
  EXPECT_EQ(counts->failed, 5u);
  const std::map<std::string, std::string> states = records();
  EXPECT_EQ(states.at("000007"), "done");
  EXPECT_THAT(states.at("invalid-000003"), HasSubstr("items.jsonl:3: the pipeline has no input 'topc'"));
  EXPECT_THAT(states.at("invalid-000003"), HasSubstr("did you mean topic?"));
  EXPECT_THAT(states.at("invalid-000004"), HasSubstr("items.jsonl:4:2: the line is no JSON"));
  EXPECT_THAT(states.at("invalid-000005"), HasSubstr("the input 'topic' (text) has no value"));
  EXPECT_THAT(states.at("invalid-000006"), HasSubstr("input 'topic': a value has the wrong type"));
  EXPECT_FALSE(fs::exists(out() / "items/000002")) << "a failed item has no files";
}

TEST_F(BatchTest, WithoutAValidItemNothingBegins) {
  items("{\"topc\": \"x\"}\n{\"topc\": \"y\"}\n");
  const Result<BatchCounts> counts = batch();
  ASSERT_EQ(counts.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(to_string(counts.error()), HasSubstr("none of the items can be run; the first"));
  EXPECT_TRUE(records().empty());
}

TEST_F(BatchTest, NamesMustTellItemsApart) {
  items("{\"topic\": \"a\"}\n{\"topic\": \"a\"}\n");
  batch_options().name_template = "${inputs.topic}";
  const Result<BatchCounts> counts = batch();
  ASSERT_EQ(counts.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(to_string(counts.error()), HasSubstr("items.jsonl:2: two items are named 'a'"));
  EXPECT_TRUE(records().empty());
}

TEST_F(BatchTest, GoesOnWhereItStopped) {
  items(topics(20));
  CancelToken stop;
  drain = &stop;
  on_recorded = [&](std::span<const NamedOutcome>) { stop.cancel(); };
  Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok());
  const size_t first = recorded().size();
  ASSERT_LT(first, 20u);
  stop.reset();
  on_recorded = nullptr;
  counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(recorded().size(), 20 - first);
  EXPECT_EQ(counts->done, 20u);
  EXPECT_EQ(records().size(), 20u);
  ASSERT_TRUE(batch().ok());
  EXPECT_TRUE(recorded().empty());
}

TEST_F(BatchTest, LeftoversOfAnAttemptWithoutARecordAreRemoved) {
  items(topics(1));
  fs::create_directories(out() / "items/000001/deep");
  write("out/items/000001/deep/torn.txt", "half");
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(files_below(out() / "items"), ElementsAre("000001/a.txt"));
}

TEST_F(BatchTest, FailedItemsRunAgainOnlyWhenAskedOrCorrected) {
  items("{\"id\": \"a\", \"topic\": \"bad\"}\n{\"id\": \"b\", \"topic\": \"bad\"}\n{\"topic\": \"c\"}\n");
  ASSERT_TRUE(batch().ok());
  ASSERT_TRUE(batch().ok());
  EXPECT_TRUE(recorded().empty());
  items("{\"id\": \"a\", \"topic\": \"good\"}\n{\"id\": \"b\", \"topic\": \"bad\"}\n{\"topic\": \"c\"}\n");
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(recorded(), ElementsAre("a"));
  batch_options().failed = FailedItems::kRetry;
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(recorded(), ElementsAre("b"));
  EXPECT_EQ(records().at("a"), "done");
}

TEST_F(BatchTest, TooManyFailuresEndIt) {
  items("{\"topic\": \"bad\", \"id\": \"1\"}\n{\"topic\": \"bad\", \"id\": \"2\"}\n" + topics(10));
  batch_options().max_failures = 0;
  batch_options().concurrency = 1;
  const Result<BatchCounts> counts = batch();
  EXPECT_THAT(to_string(counts.error()), HasSubstr("too many items failed (expected at most 0, got "));
  EXPECT_LE(records().size(), 3u);  // those that were prepared when the first one failed may have run
  EXPECT_TRUE(fs::exists(out() / "failures.csv"));
}

TEST_F(BatchTest, RefusesToGoOnWithAnotherPipeline) {
  items(topics(2));
  ASSERT_TRUE(batch().ok());
  std::string changed = testing::kBatchPipeline;
  changed.replace(changed.find("${inputs.loud} "), 15, "${inputs.loud}:");
  use(changed);
  items(topics(3));
  const Result<BatchCounts> refused = batch();
  ASSERT_EQ(refused.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(refused.error()),
              HasSubstr("changed: pipeline " + (folder() / "test.json").string()));
  batch_options().changes = BatchOptions::Changes::kAccept;
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(recorded(), ElementsAre("000003"));
  EXPECT_EQ(read(out() / "items/000003/a.txt"), "t3:1");
}

TEST_F(BatchTest, RefusesToGoOnWithAnotherModel) {
  use(R"("inputs": {"n": {"type": "int"}}, "models": {"m": {"path": "number.txt"}},
         "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}}, "outputs": {"y": "a.y"})");
  write("number.txt", "17");
  batch_options().matrix = {"n=1..2"};
  ASSERT_TRUE(batch().ok());
  write("number.txt", "18 ");
  batch_options().matrix = {"n=1..3"};
  const Result<BatchCounts> refused = batch();
  EXPECT_THAT(to_string(refused.error()), HasSubstr("changed: model " + (folder() / "number.txt").string()));
}

TEST_F(BatchTest, AModelThatIsReplacedMeanwhileEndsItWithoutARecord) {
  use(R"("inputs": {"n": {"type": "int"}}, "models": {"m": {"path": "number.txt"}},
         "nodes": {"a": {"uses": "test.model", "with": {"model": "m"}}}, "outputs": {"y": "a.y"})");
  write("number.txt", "17");
  batch_options().matrix = {"n=1..5"};
  batch_options().concurrency = 1;
  Result<Batch> opened = open();
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  write("number.txt", "18 ");
  const Result<BatchCounts> ended = opened->run({}, nullptr, nullptr);
  EXPECT_EQ(ended.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(ended.error()), HasSubstr("a model was replaced while the batch ran"));
  EXPECT_EQ(opened->counts()->pending(), 5u);
}

TEST_F(BatchTest, AModelThatIsReplacedInTheMiddleSpoilsNoRecord) {
  use(R"("inputs": {"n": {"type": "int"}}, "models": {"m": {"path": "number.txt"}},
         "nodes": {"w": {"uses": "test.sleep", "with": {"ms": 10}}, "a": {"uses": "test.model", "with": {"model": "m"}}},
         "outputs": {"y": "a.y"})");
  write("number.txt", "17");
  batch_options().matrix = {"n=1..40"};
  batch_options().concurrency = 1;  // the last item ends long after the first record
  bool replaced = false;
  on_recorded = [&](std::span<const NamedOutcome>) {
    if (!std::exchange(replaced, true)) write("number.txt", "18 ");
  };
  const Result<BatchCounts> ended = batch();
  ASSERT_EQ(ended.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(ended.error()), HasSubstr("a model was replaced while the batch ran"));
  EXPECT_EQ(batch().code(), StatusCode::kVersionMismatch) << "and goes on with the first one only";
  write("number.txt", "17");
  const Result<BatchCounts> whole = batch();
  ASSERT_TRUE(whole.ok()) << to_string(whole.error());
  EXPECT_EQ(whole->done, 40u);
  EXPECT_EQ(records().size(), 40u);
  EXPECT_THAT(read(out() / "results.jsonl"), Not(HasSubstr("\"y\":18")));
}

TEST_F(BatchTest, DrawsTheSameSeedsWhenAnItemRunsAgain) {
  use(R"("inputs": {"n": {"type": "int"}}, "nodes": {"a": {"uses": "test.seeded"}}, "outputs": {"y": "a.y"})");
  batch_options().matrix = {"n=1..20"};
  ASSERT_TRUE(batch().ok());
  const std::string first = read(out() / "results.csv");
  {
    Result<Journal> journal = Journal::open(out(), "journal", host().temporaries().file_system());
    ASSERT_TRUE(journal.ok());
    const std::map<std::string, std::string> facts = *journal->facts();
    fs::rename(out(), folder() / "first");
    Result<Journal> second = Journal::open(out(), "journal", host().temporaries().file_system());
    ASSERT_TRUE(second->set_facts(facts).ok());
  }
  batch_options().concurrency = 1;
  ASSERT_TRUE(batch().ok());
  const auto without_seconds = [](std::string text) {
    std::string kept;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin);
      kept += text.substr(begin, text.rfind(',', end) - begin) + "\n";
      begin = end + 1;
    }
    return kept;
  };
  EXPECT_EQ(without_seconds(read(out() / "results.csv")), without_seconds(first));
}

TEST_F(BatchTest, ShardsRunEveryItemOnce) {
  items(topics(7));
  for (const uint64_t index : {1, 2, 3}) {
    batch_options().shard = {index, 3};
    const Result<BatchCounts> counts = batch();
    ASSERT_TRUE(counts.ok()) << to_string(counts.error());
    EXPECT_EQ(counts->items, index == 1 ? 3u : 2u);
  }
  EXPECT_EQ(records().size(), 7u);
  EXPECT_EQ(files_below(out() / "items").size(), 7u);
}

TEST_F(BatchTest, SharedInputsServeItemsThatSetNone) {
  options().inputs["loud"] = {"!", {}};
  items("{\"topic\": \"a\"}\n{\"topic\": \"b\", \"loud\": \"?\"}\n");
  ASSERT_TRUE(batch().ok());
  EXPECT_EQ(read(out() / "items/000001/a.txt"), "a! 1");
  EXPECT_EQ(read(out() / "items/000002/a.txt"), "b? 1");
}

TEST_F(BatchTest, ManyItemsAtOnceGiveWhatOneAtATimeGives) {
  items(topics(200));
  batch_options().concurrency = 16;
  ASSERT_TRUE(batch().ok());
  for (int i = 1; i <= 200; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "items/%06d/a.txt", i);
    ASSERT_EQ(read(out() / name), "t" + std::to_string(i) + " 1");
  }
}

uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

TEST_F(BatchTest, MemoryDoesNotGrowWithTheItems) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
  GTEST_SKIP() << "skipped: sanitizers keep what is freed";
#endif
  use(R"("inputs": {"n": {"type": "int"}}, "nodes": {"a": {"uses": "test.int", "with": {"value": "${inputs.n}"}}},
         "outputs": {"y": "a.y"})");
  batch_options().matrix = {"n=1..8000"};
  size_t n = 0;
  uint64_t early = 0, late = 0;
  on_recorded = [&](std::span<const NamedOutcome> outcomes) {
    const size_t before = n;
    n += outcomes.size();
    if (before < 2000 && n >= 2000) early = resident_bytes();
    if (n == 8000) late = resident_bytes();
  };
  ASSERT_TRUE(batch().ok());
  ASSERT_GT(early, 0u);
  // The noise of an allocator; an item that stayed in memory would be 6,000 times a kilobyte or more.
  EXPECT_LT(late, early + early / 50 + (uint64_t{2} << 20));
}

}  // namespace
}  // namespace weft
