#include "pipeline/batch/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "pipeline/batch/sqlite.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    std::string pattern = (fs::temp_directory_path() / "weft-journal-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~JournalTest() override { fs::remove_all(folder_); }

  Journal open() {
    Result<Journal> journal = Journal::open(folder_, "journal", file_system_);
    EXPECT_TRUE(journal.ok()) << (journal.ok() ? "" : to_string(journal.error()));
    return *std::move(journal);
  }
  static Item item(const std::string& name, const std::string& inputs = "{}") {
    return {0, name, inputs, "items.jsonl:" + name};
  }
  /// Enters these and ends the enrolment.
  static Status enrol(Journal& journal, const std::vector<Item>& items,
                      MissingItems missing = MissingItems::kRefuse) {
    if (Status status = journal.begin_enrolment(); !status.ok()) return status;
    uint64_t position = 0;
    for (const Item& one : items) {
      Status status = journal.enrol(one, ++position, {}, FailedItems::kKeep);
      if (!status.ok()) return journal.cancel_enrolment(), status;
    }
    Status status = journal.end_enrolment(missing);
    if (!status.ok()) journal.cancel_enrolment();
    return status;
  }
  static std::vector<std::string> pending(Journal& journal) {
    std::vector<std::string> names;
    uint64_t last = 0;
    for (;;) {
      const auto items = journal.pending(last, 2, last);
      if (!items.ok() || items->empty()) return names;
      for (const Item& one : *items) names.push_back(one.name);
    }
  }
  static ItemOutcome done(int64_t id) {
    ItemOutcome outcome;
    outcome.item = id;
    return outcome;
  }

  fs::path folder_;
  FileSystem file_system_;
};

TEST_F(JournalTest, ItemsThatWereAtWorkWhenADeviceWasLostWaitApart) {
  {
    Journal journal = open();
    ASSERT_TRUE(enrol(journal, {item("a"), item("b"), item("c")}).ok());
    EXPECT_EQ(*journal.note_loss(2, AtWork::kWithOthers), 0);
    EXPECT_EQ(*journal.note_loss(3, AtWork::kWithOthers), 0);
    EXPECT_EQ(*journal.note_loss(3, AtWork::kAlone), 1);
  }
  Journal journal = open();
  ASSERT_TRUE(enrol(journal, {item("c"), item("b"), item("a")}).ok());
  EXPECT_THAT(pending(journal), ::testing::ElementsAre("a"));
  const auto names = [&] {
    std::vector<std::string> all;
    const Result<std::vector<Item>> items = journal.pending_after_loss();
    for (const Item& one : items.ok() ? *items : std::vector<Item>()) all.push_back(one.name);
    return all;
  };
  EXPECT_THAT(names(), ::testing::ElementsAre("c", "b"));
  EXPECT_EQ(*journal.note_loss(3, AtWork::kAlone), 2);
  const ItemOutcome outcomes[] = {done(2)};
  ASSERT_TRUE(journal.record(outcomes).ok());
  EXPECT_THAT(names(), ::testing::ElementsAre("c"));
  ASSERT_TRUE(enrol(journal, {item("a"), item("b"), item("c", R"({"x": 1})")}).ok());
  EXPECT_THAT(names(), ::testing::IsEmpty()) << "it was changed";
  EXPECT_THAT(pending(journal), ::testing::ElementsAre("a", "c"));
}

TEST_F(JournalTest, GivesItemsInOrderUntilTheyHaveARecord) {
  {
    Journal journal = open();
    ASSERT_TRUE(enrol(journal, {item("c"), item("a"), item("b")}).ok());
    EXPECT_THAT(pending(journal), ::testing::ElementsAre("c", "a", "b"));
    const ItemOutcome outcomes[] = {done(2)};
    ASSERT_TRUE(journal.record(outcomes).ok());
  }
  Journal journal = open();
  EXPECT_THAT(pending(journal), ::testing::ElementsAre("c", "b"));
  EXPECT_EQ(journal.counts()->done, 1u);
}

TEST_F(JournalTest, RefusesASecondRecordAndKeepsTheGroupOut) {
  Journal journal = open();
  ASSERT_TRUE(enrol(journal, {item("a"), item("b")}).ok());
  const ItemOutcome first[] = {done(1)}, again[] = {done(2), done(1)};
  ASSERT_TRUE(journal.record(first).ok());
  EXPECT_EQ(journal.record(again).code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(pending(journal), ::testing::ElementsAre("b"));
}

TEST_F(JournalTest, ReadsBackWhatWasRecorded) {
  Journal journal = open();
  ASSERT_TRUE(enrol(journal, {item("a", R"({"topic":"x"})"), item("b")}).ok());
  ItemOutcome good = done(1), bad = done(2);
  good.outputs_json = {{"text", "\"hello\""}};
  good.files = {{"b.txt", 3, "ab"}, {"a.txt", 5, "cd"}};
  good.seeds = {{"paint", "seed", 7}};
  good.seconds = 1.5;
  bad.state = ItemOutcome::State::kFailed;
  bad.error = Error{StatusCode::kTimedOut, "too slow", "node 'x'", "1 s", "2 s", "wait"};
  const ItemOutcome outcomes[] = {good, bad};
  ASSERT_TRUE(journal.record(outcomes).ok());
  std::vector<RecordedItem> read;
  ASSERT_TRUE(
      journal.for_each_record([&](const RecordedItem& one) { return read.push_back(one), Status(); }).ok());
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].item.inputs_json, R"({"topic":"x"})");
  EXPECT_EQ(read[0].outputs_json, R"({"text":"hello"})");
  EXPECT_EQ(read[0].seeds_json, R"({"paint":{"seed":7}})");
  EXPECT_EQ(read[0].files[0].path, "a.txt");
  EXPECT_EQ(read[0].files[1].size_bytes, 3u);
  EXPECT_EQ(read[0].seconds, 1.5);
  EXPECT_EQ(read[1].error.code, StatusCode::kTimedOut);
  EXPECT_EQ(to_string(read[1].error), to_string(*bad.error));
}

TEST_F(JournalTest, RefusesNamesThatCollide) {
  Journal journal = open();
  const Status twice = enrol(journal, {item("a"), item("b"), item("a")});
  EXPECT_EQ(twice.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(to_string(twice.error()), HasSubstr("the first at items.jsonl:a"));
  EXPECT_EQ(enrol(journal, {item("a"), item("a/b")}).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(enrol(journal, {item("a/b/c"), item("a")}).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(enrol(journal, {item("a/b"), item("a/c"), item("ab"), item("a-")}).ok());
}

TEST_F(JournalTest, FollowsTheSourceWhenItChanges) {
  Journal journal = open();
  ASSERT_TRUE(enrol(journal, {item("a", "{\"x\":1}"), item("b", "{\"x\":2}"), item("c")}).ok());
  const ItemOutcome outcomes[] = {done(1)};
  ASSERT_TRUE(journal.record(outcomes).ok());
  // Added, moved, changed and removed ones, none of them done.
  ASSERT_TRUE(enrol(journal, {item("new"), item("a", "{\"x\":1}"), item("b", "{\"x\":3}")}).ok());
  EXPECT_THAT(pending(journal), ::testing::ElementsAre("new", "b"));
  EXPECT_EQ(journal.counts()->items, 3u);
  // What is done cannot change or go without a word.
  EXPECT_THAT(to_string(enrol(journal, {item("a", "{\"x\":9}")}).error()),
              HasSubstr("is done, with other inputs (expected {\"x\":1}, got {\"x\":9})"));
  EXPECT_EQ(enrol(journal, {item("new")}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(enrol(journal, {item("new")}, MissingItems::kAccept).ok());
  EXPECT_EQ(journal.counts()->done, 1u);
}

TEST_F(JournalTest, BelongsToOneProcessAndMayBeReadMeanwhile) {
  Journal journal = open();
  EXPECT_EQ(Journal::open(folder_, "journal", file_system_).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(Journal::open_to_read(journal.file()).ok());
  EXPECT_TRUE(is_running(journal.file()));
}

TEST_F(JournalTest, OfAnotherVersionIsRefused) {
  const fs::path file = open().file();
  EXPECT_FALSE(is_running(file));
  {
    auto database = sqlite::Database::open(file, sqlite::Database::Mode::kCreate);
    ASSERT_TRUE(database->execute("PRAGMA user_version = 99").ok());
  }
  EXPECT_EQ(Journal::open(folder_, "journal", file_system_).code(), StatusCode::kVersionMismatch);
  EXPECT_EQ(Journal::open_to_read(file).code(), StatusCode::kVersionMismatch);
}

TEST_F(JournalTest, ThatIsNoneIsSaidSo) {
  EXPECT_EQ(Journal::open_to_read(folder_ / "journal.sqlite").code(), StatusCode::kNotFound);
  std::ofstream(folder_ / "journal.sqlite") << std::string(4096, 'x');
  EXPECT_EQ(Journal::open(folder_, "journal", file_system_).code(), StatusCode::kCorruptData);
}

}  // namespace
}  // namespace weft
