#include "pipeline/queue/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "pipeline/batch/testing/batch_fixture.h"
#include "pipeline/files/content_hash.h"
#include "pipeline/queue/gather.h"
#include "pipeline/queue/submit.h"
#include "pipeline/queue/testing/nats_server.h"
#include "pipeline/queue/worker.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr const char* kSlowPipeline = R"("inputs": {"topic": {"type": "text"}, "ms": {"type": "int"}},
  "nodes": {
    "wait": {"uses": "test.sleep", "with": {"ms": "${inputs.ms}"}},
    "say": {"uses": "test.text", "with": {"text": "${inputs.topic} ${wait.y}"}},
    "keep": {"uses": "test.write", "in": {"text": "say.text"}, "with": {"path": "a.txt"}}},
  "outputs": {"text": "say.text"})";

class QueueTest : public testing::BatchFixture {
 protected:
  void SetUp() override {
    if (!server_.problem().empty()) GTEST_SKIP() << "skipped: " << server_.problem();
    Result<Queue> queue = Queue::connect(*parse_queue_address(server_.queue("test")));
    if (queue.code() == StatusCode::kUnsupported) GTEST_SKIP() << "skipped: " << to_string(queue.error());
    ASSERT_TRUE(queue.ok()) << to_string(queue.error());
    queue_.emplace(*std::move(queue));
    submission_.pipeline = (folder() / "test.json").string();
    submission_.silence = milliseconds(20'000);  // longer than a test, unless it says otherwise
    worker_.folder = out();
    worker_.concurrency = 2;
  }

  Result<SubmittedItems> submit() {
    submission_.items = batch_options().items;
    return submit_items(setup(), submission_, *queue_, nullptr);
  }
  void submit(const std::string& lines) {
    items(lines);
    const Result<SubmittedItems> submitted = submit();
    ASSERT_TRUE(submitted.ok()) << to_string(submitted.error());
  }

  Result<WorkerCounts> work() {
    const Result<QueueSetup> what = queue_->setup();
    if (!what.ok()) return what.status();
    return run_worker(setup(), *queue_, *what, worker_, callbacks_, drain, cancel());
  }
  void work_all() {
    const Result<WorkerCounts> counts = work();
    ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  }

  QueueCounts counts() {
    const Result<QueueCounts> counts = queue_->counts();
    EXPECT_TRUE(counts.ok()) << (counts.ok() ? "" : to_string(counts.error()));
    return counts.ok() ? *counts : QueueCounts();
  }
  /// What the queue says of each item: "done" or the reason.
  std::map<std::string, std::string> ends() {
    std::map<std::string, std::string> ends;
    const Status status = queue_->for_each_record([&](const QueueRecord& record) {
      EXPECT_EQ(ends.count(record.name), 0u) << record.name << " has two records";
      ends[record.name] = record.outcome.error ? to_string(*record.outcome.error) : "done";
      return Status();
    });
    EXPECT_TRUE(status.ok());
    return ends;
  }
  /// Another worker that takes the next item, whatever it does with it.
  std::unique_ptr<Delivery> take() {
    for (int i = 0; i < 200; ++i) {
      Result<std::unique_ptr<Delivery>> delivery = queue_->take();
      EXPECT_TRUE(delivery.ok()) << (delivery.ok() ? "" : to_string(delivery.error()));
      if (!delivery.ok() || *delivery) return delivery.ok() ? *std::move(delivery) : nullptr;
      std::this_thread::sleep_for(milliseconds(20));
    }
    ADD_FAILURE() << "no item came";
    return nullptr;
  }

  testing::NatsServer server_;
  std::optional<Queue> queue_;
  SubmitOptions submission_;
  WorkerOptions worker_;
  WorkerCallbacks callbacks_;
};

TEST_F(QueueTest, RunsEveryItemAndGathersABatch) {
  submit("{\"topic\": \"sea\"}\n{\"topic\": \"fox\", \"n\": 3, \"id\": \"f/x\"}\n{\"topc\": 1}\n");
  EXPECT_EQ(counts().waiting(), 3u);
  const Result<WorkerCounts> worked = work();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(worked->done, 2u);
  EXPECT_EQ(worked->failed, 1u);
  EXPECT_EQ(worked->end, WorkerCounts::End::kNothingLeft);
  EXPECT_EQ(counts().done, 2u);
  EXPECT_EQ(counts().failed, 1u);
  EXPECT_EQ(counts().waiting() + counts().running, 0u);
  EXPECT_EQ(read(out() / "items/000001/a.txt"), "sea 1");
  EXPECT_FALSE(fs::exists(out() / "workers"));
  const Result<BatchCounts> gathered = gather_records(*queue_, out(), {}, host().temporaries());
  ASSERT_TRUE(gathered.ok()) << to_string(gathered.error());
  EXPECT_EQ(gathered->done, 2u);
  EXPECT_EQ(gathered->failed, 1u);
  EXPECT_THAT(records(),
              UnorderedElementsAre(Pair("000001", "done"), Pair("f_x", "done"),
                                   Pair("invalid-000003", HasSubstr("items.jsonl:3: the pipeline has no"))));
  EXPECT_THAT(read(out() / "results.jsonl"), HasSubstr(R"("outputs":{"text":"fox 3"})"));
}

TEST_F(QueueTest, AQueueGoesOnAsABatch) {
  submit("{\"topic\": \"a\"}\n{\"topic\": \"b\"}\n");
  const std::unique_ptr<Delivery> first = take();
  const Result<BatchCounts> gathered = gather_records(*queue_, out(), {}, host().temporaries());
  ASSERT_TRUE(gathered.ok()) << to_string(gathered.error());
  EXPECT_EQ(gathered->pending(), 2u);
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 2u);
}

// A batch went on with what was gathered, and lost its device; then workers did the item.
TEST_F(QueueTest, WhatABatchLostItsDeviceOfIsGatheredToo) {
  submit("{\"topic\": \"a\"}\n{\"topic\": \"b\"}\n");
  ASSERT_TRUE(gather_records(*queue_, out(), {}, host().temporaries()).ok());
  {
    Result<Journal> journal = Journal::open(out(), "journal", host().temporaries().file_system());
    ASSERT_TRUE(journal.ok()) << to_string(journal.error());
    ASSERT_TRUE(journal->note_loss(1, AtWork::kAlone).ok());
  }
  ASSERT_TRUE(work().ok());
  const Result<BatchCounts> gathered = gather_records(*queue_, out(), {}, host().temporaries());
  ASSERT_TRUE(gathered.ok()) << to_string(gathered.error());
  EXPECT_EQ(gathered->done, 2u);
}

TEST_F(QueueTest, SubmittingAgainAddsWhatIsNew) {
  submit("{\"topic\": \"a\"}\n");
  items("{\"topic\": \"a\"}\n{\"topic\": \"b\"}\n");
  const Result<SubmittedItems> again = submit();
  ASSERT_TRUE(again.ok()) << to_string(again.error());
  EXPECT_EQ(again->added, 1u);
  EXPECT_EQ(again->known, 1u);
  items("{\"topic\": \"other\"}\n");
  const Result<SubmittedItems> changed = submit();
  EXPECT_EQ(changed.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(to_string(changed.error()), HasSubstr("another item of the name '000001'"));
}

TEST_F(QueueTest, AFailedItemIsTriedAgainAndThenADeadLetter) {
  submission_.tries = 2;
  std::vector<std::string> notes;
  callbacks_.on_note = [&](const std::string& note) { notes.push_back(note); };
  std::atomic<int> n_ends = 0;
  callbacks_.on_end = [&](const Item&) { ++n_ends; };
  submit("{\"topic\": \"bad\"}\n{\"topic\": \"good\"}\n");
  work_all();
  EXPECT_EQ(n_ends, 3) << "a try that goes back is at work no more, either";
  EXPECT_THAT(
      notes,
      ElementsAre(HasSubstr("item '000001' failed and goes back, try 1 of 2: node 'check': made to fail")));
  EXPECT_THAT(ends(),
              UnorderedElementsAre(Pair("000001", HasSubstr("made to fail")), Pair("000002", "done")));
  size_t n_letters = 0;
  ASSERT_TRUE(queue_
                  ->for_each_failure([&](const QueueRecord& record) {
                    ++n_letters;
                    EXPECT_EQ(record.name, "000001");
                    EXPECT_EQ(record.tries, 2u);
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(n_letters, 1u);
}

TEST_F(QueueTest, AnItemWhoseWorkersDieFails) {
  submission_.tries = 2;
  submission_.silence = milliseconds(200);
  submit("{\"topic\": \"a\"}\n");
  EXPECT_EQ(take()->tries(), 1u);
  EXPECT_EQ(counts().running, 1u);
  // At least: a delivery that crosses the end of a request for one is lost, and counts.
  EXPECT_GE(take()->tries(), 2u);
  work_all();
  EXPECT_THAT(ends(), ElementsAre(Pair("000001",
                                       ContainsRegex("the item's worker did not come back, [0-9]+ times"))));
}

TEST_F(QueueTest, ALateResultIsNotRecorded) {
  submission_.tries = 5;
  submit("{\"topic\": \"a\"}\n");
  QueueRecord other;
  other.name = "000001";
  other.worker = "other";
  callbacks_.on_event = [&](const Item&, const Event&) { (void)queue_->put_record(other); };
  std::vector<std::string> notes;
  callbacks_.on_note = [&](const std::string& note) { notes.push_back(note); };
  const Result<WorkerCounts> worked = work();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(worked->done, 0u);
  EXPECT_THAT(notes, ElementsAre("item '000001' has ended meanwhile, by another try"));
  EXPECT_TRUE(files_below(out()).empty());
  EXPECT_THAT(ends(), ElementsAre(Pair("000001", "done")));
}

TEST_F(QueueTest, ARecordWhoseConfirmationWasLostIsStillTheWorkers) {
  submit("{\"topic\": \"a\"}\n");
  QueueRecord record;
  record.name = "000001";
  record.worker = "me";
  record.outcome.state = ItemOutcome::State::kFailed;
  record.outcome.error = Status(StatusCode::kInternal, "x").error();
  EXPECT_TRUE(*queue_->put_record(record));
  EXPECT_TRUE(*queue_->put_record(record));
  record.attempt = 1;
  EXPECT_FALSE(*queue_->put_record(record)) << "but not that of another attempt";
  record.attempt = 0;
  record.worker = "other";
  EXPECT_FALSE(*queue_->put_record(record));
  EXPECT_EQ(counts().failed, 1u);
}

TEST_F(QueueTest, AnItemThatEndedBeforeItsWorkerDiedIsNotRunAgain) {
  submission_.silence = milliseconds(200);
  submit("{\"topic\": \"a\"}\n");
  (void)take();
  QueueRecord record;
  record.name = "000001";
  record.worker = "died";
  ASSERT_TRUE(*queue_->put_record(record));
  const Result<WorkerCounts> worked = work();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(worked->done + worked->failed, 0u);
  EXPECT_THAT(ends(), ElementsAre(Pair("000001", "done")));
}

TEST_F(QueueTest, AnItemThatCameBackRunsAlone) {
  use(kSlowPipeline);
  submission_.silence = milliseconds(500);
  submit(
      "{\"topic\": \"a\", \"ms\": 150}\n{\"topic\": \"b\", \"ms\": 150}\n{\"topic\": \"c\", \"ms\": 150}\n"
      "{\"topic\": \"d\", \"ms\": 150}\n");
  (void)take();
  std::this_thread::sleep_for(milliseconds(700));
  std::mutex mutex;
  std::map<std::string, std::set<std::string>> together;
  std::set<std::string> at_work;
  callbacks_.on_event = [&](const Item& item, const Event& event) {
    const std::lock_guard lock(mutex);
    const std::string text = testing::describe(event);
    if (text.starts_with("started wait")) at_work.insert(item.name);
    if (text.starts_with("finished wait")) at_work.erase(item.name);
    for (const std::string& name : at_work) together[name].insert(at_work.begin(), at_work.end());
  };
  worker_.concurrency = 3;
  work_all();
  EXPECT_THAT(together["000001"], ElementsAre("000001"));
  EXPECT_GT(together["000002"].size(), 1u) << "others share the worker";
  EXPECT_EQ(counts().done, 4u);
}

TEST_F(QueueTest, ALongItemStaysWithItsWorker) {
  use(kSlowPipeline);
  submission_.silence = milliseconds(1000);
  submit("{\"topic\": \"a\", \"ms\": 2500}\n");
  work_all();
  const Result<std::optional<QueueRecord>> record = queue_->find_record("000001");
  ASSERT_TRUE(record.ok() && *record);
  EXPECT_EQ((*record)->tries, 1u);
}

TEST_F(QueueTest, CancelEndsWaitingAndRunningItems) {
  use(kSlowPipeline);
  submit(
      "{\"topic\": \"a\", \"ms\": 30000}\n{\"topic\": \"b\", \"ms\": 30000}\n{\"topic\": \"c\", \"ms\": "
      "30000}\n");
  std::atomic<bool> begun = false;
  callbacks_.on_event = [&](const Item&, const Event&) { begun = true; };
  Result<WorkerCounts> worked = Status(StatusCode::kInternal, "not yet");
  std::thread worker([&] { worked = work(); });
  while (!begun) std::this_thread::sleep_for(milliseconds(10));
  const Result<uint64_t> cancelled = cancel_items(*queue_);
  worker.join();
  ASSERT_TRUE(cancelled.ok()) << to_string(cancelled.error());
  EXPECT_EQ(*cancelled, 3u);
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(worked->end, WorkerCounts::End::kQueueCancelled);
  EXPECT_EQ(counts().failed, 3u);
  EXPECT_EQ(counts().waiting() + counts().running, 0u);
  EXPECT_THAT(ends(), UnorderedElementsAre(Pair("000001", "the queue was cancelled"),
                                           Pair("000002", "the queue was cancelled"),
                                           Pair("000003", "the queue was cancelled")));
  EXPECT_EQ(submit().code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(queue_->remove().ok());
  EXPECT_EQ(queue_->counts().code(), StatusCode::kNotFound);
}

TEST_F(QueueTest, AWorkerWithAnotherPipelineIsRefused) {
  submit("{\"topic\": \"a\"}\n");
  use(std::string(testing::kBatchPipeline) + " ");
  const Result<WorkerCounts> worked = work();
  ASSERT_EQ(worked.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(worked.error()), HasSubstr("different here: pipeline test.json (was "));
  EXPECT_EQ(submit().code(), StatusCode::kVersionMismatch) << "nor may it add items";
  worker_.changes = BatchOptions::Changes::kAccept;
  work_all();
  EXPECT_EQ(counts().done, 1u);
}

constexpr const char* kModelPipeline =
    R"("inputs": {"ms": {"type": "int"}}, "models": {"m": {"path": "number.txt"}},
  "nodes": {"w": {"uses": "test.sleep", "with": {"ms": "${inputs.ms}"}}, "a": {"uses": "test.model", "with": {"model": "m"}}},
  "outputs": {"y": "a.y"})";

TEST_F(QueueTest, AWorkerWithAnotherModelIsRefused) {
  use(kModelPipeline);
  write("number.txt", "17");
  submit("{\"ms\": 0}\n");
  write("number.txt", "18 ");
  const Result<WorkerCounts> worked = work();
  ASSERT_EQ(worked.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(worked.error()), HasSubstr("different here: model m (number.txt) (was "));
  EXPECT_EQ(counts().waiting(), 1u);
  write("number.txt", "17");
  work_all();
  EXPECT_EQ(counts().done, 1u);
}

TEST_F(QueueTest, AModelThatIsReplacedWhileAWorkerRunsSpoilsNoRecord) {
  use(kModelPipeline);
  write("number.txt", "17");
  std::string lines;
  for (int i = 0; i < 20; ++i) lines += "{\"ms\": 10}\n";
  submit(lines);
  worker_.concurrency = 1;
  bool replaced = false;
  callbacks_.on_recorded = [&](std::span<const NamedOutcome>) {
    if (!std::exchange(replaced, true)) write("number.txt", "18 ");
  };
  const Result<WorkerCounts> worked = work();
  ASSERT_EQ(worked.code(), StatusCode::kVersionMismatch);
  EXPECT_THAT(to_string(worked.error()), HasSubstr("number.txt"));
  EXPECT_EQ(work().code(), StatusCode::kVersionMismatch) << "and goes on with the first one only";
  write("number.txt", "17");
  work_all();
  EXPECT_EQ(counts().done, 20u);
  EXPECT_EQ(ends().size(), 20u);
  const Status right = queue_->for_each_record([](const QueueRecord& record) {
    EXPECT_THAT(record.outcome.outputs_json, ElementsAre(Pair("y", "17"))) << record.name;
    return Status();
  });
  EXPECT_TRUE(right.ok());
}

TEST_F(QueueTest, LargeInputsAreRefused) {
  items("{\"topic\": \"" + std::string(kMaxContentBytes, 'x') + "\"}\n{\"topic\": \"a\"}\n");
  const Result<SubmittedItems> submitted = submit();
  ASSERT_TRUE(submitted.ok()) << to_string(submitted.error());
  ASSERT_EQ(submitted->invalid.size(), 1u);
  EXPECT_THAT(to_string(submitted->invalid[0].error),
              HasSubstr("the inputs of the item are too large for a queue"));
  work_all();
  EXPECT_EQ(counts().done, 1u);
  EXPECT_EQ(counts().failed, 1u);
}

TEST_F(QueueTest, LargeOutputsFailTheirItemAtOnce) {
  use(R"("inputs": {"topic": {"type": "text"}},
         "nodes": {"say": {"uses": "test.text", "with": {"text": "${inputs.topic}${inputs.topic}"}}},
         "outputs": {"text": "say.text"})");
  submit("{\"topic\": \"" + std::string(kMaxContentBytes / 2, 'x') + "\"}\n{\"topic\": \"a\"}\n");
  work_all();
  EXPECT_THAT(ends(), UnorderedElementsAre(Pair("000001", HasSubstr("the outputs of the item are too large")),
                                           Pair("000002", "done")));
}

TEST_F(QueueTest, AFileThatIsNotWhatWasSubmittedFailsItsItem) {
  use(R"("inputs": {"file": {"type": "path"}},
         "nodes": {"read": {"uses": "test.read", "with": {"path": "${inputs.file}"}}},
         "outputs": {"text": "read.text"})");
  submission_.tries = 1;
  write("a.txt", "before");
  write("b.txt", "same");
  submit("{\"file\": \"a.txt\"}\n{\"file\": \"b.txt\"}\n");
  write("a.txt", "after");
  work_all();
  EXPECT_THAT(ends(), UnorderedElementsAre(Pair("000001", HasSubstr("is not what was submitted")),
                                           Pair("000002", "done")));
}

TEST_F(QueueTest, AServerThatComesBackFindsItsWorkerWaiting) {
  use(kSlowPipeline);
  // An item that the server hands out with its last breath comes again after this.
  submission_.silence = milliseconds(2000);
  std::string lines;
  for (int i = 0; i < 12; ++i) lines += "{\"topic\": \"t\", \"ms\": 100}\n";
  submit(lines);
  std::atomic<int> n_recorded = 0;
  callbacks_.on_recorded = [&](std::span<const NamedOutcome>) { ++n_recorded; };
  Result<WorkerCounts> worked = Status(StatusCode::kInternal, "not yet");
  std::thread worker([&] { worked = work(); });
  while (n_recorded < 3) std::this_thread::sleep_for(milliseconds(5));
  server_.kill();
  std::this_thread::sleep_for(milliseconds(700));
  server_.start();
  worker.join();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(counts().done, 12u);
  EXPECT_EQ(ends().size(), 12u);
  EXPECT_EQ(files_below(out() / "items").size(), 12u);
}

TEST_F(QueueTest, ItemsWhoseRecordsTheServerLostRunAgain) {
  submission_.tries = 1;
  submit("{\"topic\": \"a\"}\n{\"topic\": \"b\"}\n{\"topic\": \"bad\"}\n");
  // As a loss of power may leave it: what became of the items is gone, that they were acknowledged is not.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(take()->acknowledge().ok());
  ASSERT_TRUE(queue_->flush().ok());
  std::vector<std::string> notes;
  callbacks_.on_note = [&](const std::string& note) { notes.push_back(note); };
  const Result<WorkerCounts> worked = work();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_EQ(worked->done, 2u);
  EXPECT_EQ(worked->failed, 1u);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("has lost what became of 3 items; they run again")));
  EXPECT_THAT(ends(), UnorderedElementsAre(Pair("000001", "done"), Pair("000002", "done"),
                                           Pair("000003", HasSubstr("made to fail"))));
  EXPECT_EQ(files_below(out() / "items").size(), 2u);
}

TEST_F(QueueTest, AServerThatIsAwayIsNotedOnce) {
  submit("{\"topic\": \"a\"}\n");
  const std::unique_ptr<Delivery> taken = take();
  std::mutex mutex;
  std::vector<std::string> notes;
  callbacks_.on_note = [&](const std::string& note) {
    const std::lock_guard lock(mutex);
    notes.push_back(note);
  };
  const auto wait_for_notes = [&](size_t n) {
    for (;; std::this_thread::sleep_for(milliseconds(10))) {
      const std::lock_guard lock(mutex);
      if (notes.size() >= n) return;
    }
  };
  Result<WorkerCounts> worked = Status(StatusCode::kInternal, "not yet");
  std::thread worker([&] { worked = work(); });
  std::this_thread::sleep_for(milliseconds(100));
  server_.kill();
  wait_for_notes(1);
  server_.start();
  wait_for_notes(2);
  QueueRecord other;
  other.name = "000001";
  other.worker = "other";
  EXPECT_TRUE(*queue_->put_record(other));
  EXPECT_TRUE(taken->acknowledge().ok()) << "the delivery outlives the connection";
  worker.join();
  ASSERT_TRUE(worked.ok()) << to_string(worked.error());
  EXPECT_THAT(notes, ElementsAre("the queue's server does not answer; trying again",
                                 "the queue's server answers again"));
}

TEST_F(QueueTest, FilesOfAWorkerThatDiedBeforeItMovedThemAreGathered) {
  submit("{\"topic\": \"a\"}\n");
  QueueRecord record;
  record.name = "000001";
  record.worker = "died";
  record.outcome.files = {{"a.txt", 3, sha256_of_text("abc")}};
  ASSERT_TRUE(*queue_->put_record(record));
  fs::create_directories(out() / "workers/died/items/000001");
  std::ofstream(out() / "workers/died/items/000001/a.txt") << "abc";
  const Result<BatchCounts> gathered = gather_records(*queue_, out(), {}, host().temporaries());
  ASSERT_TRUE(gathered.ok()) << to_string(gathered.error());
  EXPECT_EQ(read(out() / "items/000001/a.txt"), "abc");
  EXPECT_FALSE(fs::exists(out() / "workers"));
}

TEST_F(QueueTest, WhatIsNotThereIsNamed) {
  EXPECT_EQ(queue_->setup().code(), StatusCode::kNotFound);
  EXPECT_THAT(to_string(queue_->counts().error()),
              HasSubstr(server_.queue("test") + ": there is no such queue"));
  server_.kill();
  const Result<Queue> none = Queue::connect(*parse_queue_address(server_.queue("test")));
  ASSERT_EQ(none.code(), StatusCode::kIoError);
  EXPECT_THAT(to_string(none.error()), HasSubstr("no NATS server answers there"));
}

}  // namespace
}  // namespace weft
