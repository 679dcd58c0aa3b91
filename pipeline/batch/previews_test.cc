/// Pictures of what the items at work are making: each item has its own, and none is left.
#include "pipeline/run/previews.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "pipeline/batch/testing/batch_fixture.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Shows the topic of two items together, then may fail, then keeps a file.
constexpr const char* kPipeline = R"("inputs": {"topic": {"type": "text"}},
  "nodes": {
    "paint": {"uses": "test.meet", "in": {"text": "inputs.topic"}, "with": {"n": 2}},
    "check": {"uses": "test.fails", "in": {"x": "paint.text"}, "with": {"only": "bad", "times": 1000000}},
    "keep": {"uses": "test.write", "in": {"text": "check.text"}, "with": {"path": "a.txt"}}},
  "outputs": {"text": "paint.text"})";

/// Comes back when `n` threads have called it, or after ten seconds.
class Meeting {
 public:
  void wait_for(int n) {
    ++here_;
    for (int i = 0; here_ < n && i < 10'000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_GE(here_, n) << "nobody else came";
  }

 private:
  std::atomic<int> here_{0};
};

class BatchPreviews : public testing::BatchFixture {
 protected:
  BatchPreviews() {
    use(kPipeline);
    host_options().preview_folder = shown();
    host_options().log = [this](weft_log_level, const std::string& message) {
      const std::lock_guard lock(mutex_);
      messages_.push_back(message);
    };
  }

  fs::path shown() const { return folder() / "shown"; }
  /// Calls `look` when the pictures of both items are there, on the thread of each.
  Result<BatchCounts> watch(const std::function<void(const Item&)>& look) {
    Result<Batch> batch = open();
    if (!batch.ok()) return batch.status();
    Meeting begin, end;
    BatchCallbacks callbacks;
    callbacks.on_event = [&](const Item& item, const Event& event) {
      if (!std::holds_alternative<Progress>(event)) return;
      begin.wait_for(2);
      look(item);
      end.wait_for(2);
    };
    callbacks.on_end = [&](const Item& item) { EXPECT_THAT(files_below(shown() / item.name), IsEmpty()); };
    return batch->run(callbacks, nullptr, nullptr);
  }

  std::mutex mutex_;
  std::vector<std::string> messages_;
};

TEST_F(BatchPreviews, EachItemHasItsOwnWhileItIsAtWork) {
  items("{\"topic\": \"sea\"}\n{\"topic\": \"fox\"}\n");
  batch_options().name_template = "all/${inputs.topic}";
  std::atomic<int> looked{0};
  const Result<BatchCounts> counts = watch([&](const Item& item) {
    EXPECT_THAT(files_below(shown()), ElementsAre("all/fox/paint.png", "all/sea/paint.png"));
    EXPECT_EQ("all/" + read(shown() / item.name / "paint.png"), item.name);
    ++looked;
  });
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(looked, 2);
  EXPECT_THAT(testing::observations().batch_sizes, ElementsAre(2u))
      << "they were to be shown by one execution";
  EXPECT_EQ(counts->done, 2u);
  EXPECT_TRUE(fs::is_empty(shown())) << "folders of items are left";
  EXPECT_EQ(host().temporaries().count(), 0u);
  EXPECT_THAT(files_below(out() / "items"), ElementsAre("all/fox/a.txt", "all/sea/a.txt"));
  EXPECT_THAT(messages_, IsEmpty());
}

TEST_F(BatchPreviews, ThoseOfAFailedItemGoToo) {
  items("{\"topic\": \"sea\"}\n{\"topic\": \"bad\"}\n");
  const Result<BatchCounts> counts =
      watch([&](const Item& item) { EXPECT_TRUE(fs::exists(shown() / item.name / "paint.png")); });
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->failed, 1u);
  EXPECT_TRUE(fs::is_empty(shown()));
}

TEST_F(BatchPreviews, WhatAKilledBatchLeftGoesWhenItsItemRunsAgain) {
  items("{\"topic\": \"sea\"}\n{\"topic\": \"fox\"}\n");
  for (const char* item : {"000001", "000002", "somebody"}) {
    fs::create_directories(shown() / item);
    for (const char* name : {"paint.png", "paint.3.png", ".paint.png.17-4.tmp"}) {
      write((fs::path("shown") / item / name).string(), "old");
    }
  }
  write("shown/000001/holiday.png", "mine");
  write("shown/paint.png", "of a run");
  ASSERT_TRUE(batch().ok());
  EXPECT_THAT(files_below(shown()),
              UnorderedElementsAre("000001/holiday.png", "paint.png", "somebody/.paint.png.17-4.tmp",
                                   "somebody/paint.3.png", "somebody/paint.png"));
  EXPECT_FALSE(fs::exists(shown() / "000002"));
}

TEST_F(BatchPreviews, AProcessThatEndsAtOnceTakesThemAlong) {
  items("{\"topic\": \"sea\"}\n{\"topic\": \"fox\"}\n");
  Meeting seen;
  (void)watch([&](const Item& item) {
    EXPECT_TRUE(fs::exists(shown() / item.name / "paint.png"));
    seen.wait_for(2);
    host().temporaries().remove_all_and_close();
    EXPECT_THAT(files_below(shown()), IsEmpty());
  });
}

/// A disk that is full below one folder.
class FullDisk final : public FileSystem {
 public:
  explicit FullDisk(fs::path folder) : folder_(std::move(folder)) {}
  int open(const char* path, int flags, mode_t mode) override {
    const int fd = FileSystem::open(path, flags, mode);
    const std::lock_guard lock(mutex_);
    if (std::string_view(path).starts_with(folder_.native())) full_.insert(fd);
    else full_.erase(fd);
    return fd;
  }
  ssize_t write(int fd, const void* data, size_t size) override {
    {
      const std::lock_guard lock(mutex_);
      if (full_.contains(fd)) return errno = ENOSPC, -1;
    }
    return FileSystem::write(fd, data, size);
  }

 private:
  const fs::path folder_;
  std::mutex mutex_;
  std::set<int> full_;
};

TEST_F(BatchPreviews, AFullDiskCostsOneWarningAndNoItem) {
  const BatchSetup fixture = setup();
  FullDisk disk(shown());
  TemporaryFiles temporaries(disk);
  host_options().temporaries = &temporaries;
  Host full(host_options());
  items("{\"topic\": \"sea\"}\n{\"topic\": \"fox\"}\n");
  Result<Batch> batch = Batch::open({fixture.graph, fixture.plugins, full, fixture.run}, batch_options());
  ASSERT_TRUE(batch.ok()) << to_string(batch.error());
  const Result<BatchCounts> counts = batch->run({}, nullptr, nullptr);
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 2u);
  EXPECT_THAT(messages_,
              ElementsAre(AllOf(HasSubstr("previews are not shown: "), HasSubstr("No space left"))));
  EXPECT_TRUE(fs::is_empty(shown()));
  EXPECT_EQ(temporaries.count(), 0u);
}

TEST_F(BatchPreviews, MayNotBeAmongTheFilesOfItems) {
  items("{\"topic\": \"sea\"}\n");
  const BatchSetup fixture = setup();
  const auto open_with = [&](const char* place) {
    host_options().preview_folder = out() / place;
    Host other(host_options());
    const Result<Batch> batch =
        Batch::open({fixture.graph, fixture.plugins, other, fixture.run}, batch_options());
    return batch.status();
  };
  for (const char* place : {"items", "items/all", "workers", "x/../items/"}) {
    const Status refused = open_with(place);
    ASSERT_EQ(refused.code(), StatusCode::kInvalidArgument) << place;
    EXPECT_THAT(to_string(refused.error()), HasSubstr("previews cannot be shown among the files of items"))
        << place;
  }
  EXPECT_FALSE(fs::exists(out()));
  EXPECT_TRUE(open_with("itemsets").ok());
}

}  // namespace
}  // namespace weft
