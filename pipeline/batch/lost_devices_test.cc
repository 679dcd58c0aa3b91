/// Devices that are lost while a batch runs: whose fault it is becomes known, and the batch comes to its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/batch/merge.h"
#include "pipeline/batch/testing/batch_fixture.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

/// Loses a device with the topic "bad", so many times.
std::string losing(int times) {
  return R"("inputs": {"topic": {"type": "text"}},
    "nodes": {"check": {"uses": "test.fails", "in": {"x": "inputs.topic"},
                        "with": {"only": "bad", "as": "device", "times": )" +
         std::to_string(times) + R"(}}}, "outputs": {"text": "check.text"})";
}

class LostDevices : public testing::BatchFixture {
 protected:
  void lose() {
    const Result<BatchCounts> counts = batch();
    EXPECT_EQ(counts.code(), StatusCode::kDeviceLost) << (counts.ok() ? "" : to_string(counts.error()));
  }
};

TEST_F(LostDevices, AnItemThatLosesItsDeviceEachTimeFailsInTheEnd) {
  use(losing(1'000'000));
  batch_options().concurrency = 1;
  items("{\"topic\": \"sea\"}\n{\"topic\": \"bad\"}\n{\"topic\": \"fox\"}\n{\"topic\": \"owl\"}\n");
  lose();
  EXPECT_THAT(recorded(), ElementsAre("000001"));
  lose();
  EXPECT_THAT(recorded(), ElementsAre("000003", "000004")) << "it comes last";
  lose();
  EXPECT_THAT(recorded(), ElementsAre("000002"));
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 3u);
  EXPECT_EQ(counts->failed, 1u);
  EXPECT_THAT(recorded(), IsEmpty());
  EXPECT_EQ(records().at("000002"),
            "node 'check': a device was lost 3 times while this item alone was at work: made to fail; "
            "--retry-failed runs it again");

  batch_options().failed = FailedItems::kRetry;
  lose();
  EXPECT_THAT(recorded(), IsEmpty()) << "it is counted anew";
  lose();
  lose();
  EXPECT_THAT(recorded(), ElementsAre("000002"));
}

TEST_F(LostDevices, ItemsThatWereAtWorkTogetherRunLastAndAlone) {
  use(losing(2));
  items("{\"topic\": \"bad\"}\n{\"topic\": \"bad\"}\n{\"topic\": \"fox\"}\n");
  {
    Result<Batch> batch = open();
    ASSERT_TRUE(batch.ok()) << to_string(batch.error());
    std::atomic<int> here{0};
    BatchCallbacks callbacks;
    callbacks.on_event = [&](const Item&, const Event& event) {
      if (!std::holds_alternative<NodeStarted>(event)) return;
      ++here;
      while (here < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    EXPECT_EQ(batch->run(callbacks, nullptr, nullptr).code(), StatusCode::kDeviceLost);
  }
  EXPECT_THAT(records(), IsEmpty());
  Result<Batch> batch = open();
  ASSERT_TRUE(batch.ok()) << to_string(batch.error());
  std::vector<std::string> begun;
  std::atomic<int> at_work{0};
  BatchCallbacks callbacks;
  callbacks.on_event = [&](const Item& item, const Event& event) {
    if (!std::holds_alternative<NodeStarted>(event)) return;
    EXPECT_EQ(++at_work, 1);
    begun.push_back(item.name);
  };
  callbacks.on_end = [&](const Item&) { --at_work; };
  const Result<BatchCounts> counts = batch->run(callbacks, nullptr, nullptr);
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->done, 3u);
  EXPECT_THAT(begun, ElementsAre("000003", "000001", "000002"));
}

TEST_F(LostDevices, AnItemWhoseLineWasChangedIsCountedAnew) {
  use(losing(1'000'000));
  batch_options().concurrency = 1;
  items("{\"topic\": \"bad\"}\n");
  lose();
  lose();
  items("{\"topic\": \"good\"}\n");
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_THAT(records(), ElementsAre(Pair("000001", "done")));
}

TEST_F(LostDevices, AreCountedOnWhereShardsBecomeOneBatch) {
  use(losing(1'000'000));
  batch_options().concurrency = 1;
  items("{\"topic\": \"sea\"}\n{\"topic\": \"bad\"}\n{\"topic\": \"fox\"}\n{\"topic\": \"owl\"}\n");
  batch_options().shard = {1, 2};
  ASSERT_TRUE(batch().ok());
  batch_options().shard = {2, 2};
  lose();
  lose();  // alone, once
  for (int i = 0; i < 2; ++i) {
    const Result<MergedBatch> merged = merge_shards(out(), {}, host().temporaries());
    ASSERT_TRUE(merged.ok()) << to_string(merged.error());
    EXPECT_EQ(merged->counts.pending(), 1u);
  }
  batch_options().shard = {};
  lose();
  const Result<BatchCounts> counts = batch();
  ASSERT_TRUE(counts.ok()) << to_string(counts.error());
  EXPECT_EQ(counts->failed, 1u);
}

}  // namespace
}  // namespace weft
