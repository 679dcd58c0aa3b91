#include "pipeline/batch/run_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pipeline/batch/testing/batch_fixture.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

/// Gives n items, and notes what becomes of them.
class CountedFeed final : public ItemFeed {
 public:
  CountedFeed(int n, std::function<void(const Item&)> on_next) : n_(n), on_next_(std::move(on_next)) {}

  Result<Next> next() override {
    if (given_ == n_) return Next{};
    const std::string name = std::to_string(++given_);
    Item item{given_, name, "{\"topic\": \"" + name + "\"}", "items:" + name};
    on_next_(item);
    return Next{Next::Kind::kItem, std::move(item)};
  }
  Status finished(const Item& item, ItemOutcome outcome) override {
    EXPECT_EQ(outcome.state, ItemOutcome::State::kDone);
    finished_.push_back(item.name);
    return {};
  }
  void given_up(const Item& item) override { given_up_.push_back(item.name); }
  Status lost_device(const Item& item, const Error&, AtWork at_work) override {
    lost_.push_back(item.name + (at_work == AtWork::kAlone ? " alone" : " with others"));
    return {};
  }

  const std::vector<std::string>& finished() const { return finished_; }
  const std::vector<std::string>& given_up() const { return given_up_; }
  const std::vector<std::string>& lost() const { return lost_; }

 private:
  const int n_;
  const std::function<void(const Item&)> on_next_;
  int given_ = 0;
  std::vector<std::string> finished_, given_up_, lost_;
};

class RunItems : public testing::BatchFixture {
 protected:
  Status run(ItemFeed& feed, uint32_t concurrency, uint32_t ahead) {
    const BatchSetup batch = setup();
    RunItemsOptions options;
    options.run = batch.run;
    options.folder = out();
    options.concurrency = concurrency;
    options.ahead = ahead;
    options.drain = &drain_;
    options.cancel = &cancel_;
    options.on_event = on_event_;
    options.on_end = on_end_;
    return run_items(batch.graph, batch.plugins, batch.host, options, feed);
  }

  CancelToken drain_, cancel_;
  std::function<void(const Item&, const Event&)> on_event_;
  std::function<void(const Item&)> on_end_;
};

TEST_F(RunItems, ADrainRunsWhatAWorkerWasTakenFor) {
  CountedFeed feed(10, [&](const Item& item) {
    if (item.name == "2") drain_.cancel();
  });
  ASSERT_TRUE(run(feed, 2, 0).ok());
  EXPECT_THAT(feed.finished(), UnorderedElementsAre("1", "2"));
  EXPECT_THAT(feed.given_up(), IsEmpty());
}

TEST_F(RunItems, ADrainGivesBackWhatIsOnlyAtHand) {
  CountedFeed feed(100, [&](const Item& item) {
    if (item.name == "40") drain_.cancel();
  });
  on_event_ = [&](const Item&, const Event&) {  // the only worker stays with the first
    while (!drain_.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  ASSERT_TRUE(run(feed, 1, 50).ok());
  EXPECT_THAT(feed.finished(), ElementsAre("1"));
  EXPECT_THAT(feed.given_up(), SizeIs(39));
}

TEST_F(RunItems, ACancelGivesBackWhatNoWorkerHasBegun) {
  CountedFeed feed(10, [&](const Item&) { cancel_.cancel(); });
  ASSERT_TRUE(run(feed, 1, 0).ok());
  EXPECT_THAT(feed.finished(), IsEmpty());
  EXPECT_THAT(feed.given_up(), ElementsAre("1"));
}

TEST_F(RunItems, ALostDeviceEndsTheWholeAndLeavesTheItemsThatMetIt) {
  use(R"("inputs": {"topic": {"type": "text"}},
      "nodes": {"f": {"uses": "test.fails", "in": {"x": "inputs.topic"}, "retry": 5,
                      "with": {"only": "3", "times": 1000000, "key": "lost ", "as": "device"}}},
      "outputs": {"text": "f.text"})");
  CountedFeed feed(10, [](const Item&) {});
  const Status ended = run(feed, 1, 0);
  ASSERT_EQ(ended.code(), StatusCode::kDeviceLost);
  EXPECT_EQ(to_string(ended.error()), "items:3, node 'f': made to fail; ask for fewer failures");
  EXPECT_THAT(feed.finished(), ElementsAre("1", "2"));
  EXPECT_THAT(feed.lost(), ElementsAre("3 alone"));
  EXPECT_THAT(feed.given_up(), IsEmpty());
  EXPECT_EQ(testing::observations().failures["lost 3"], 1) << "it is not tried again";
}

TEST_F(RunItems, NothingIsBegunBehindALostDevice) {
  use(R"("inputs": {"topic": {"type": "text"}},
      "nodes": {"f": {"uses": "test.fails", "in": {"x": "inputs.topic"},
                      "with": {"only": "2", "times": 1000000, "key": "behind ", "as": "device"}}},
      "outputs": {"text": "f.text"})");
  CountedFeed feed(10, [](const Item&) {});
  std::atomic<bool> begun{false}, lost{false};
  on_event_ = [&](const Item& item, const Event&) {
    begun = begun || item.name == "1";
    while (item.name == "2" ? !begun : !lost) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  on_end_ = [&](const Item& item) { lost = lost || item.name == "2"; };
  ASSERT_EQ(run(feed, 2, 5).code(), StatusCode::kDeviceLost);
  EXPECT_THAT(feed.lost(), ElementsAre("2 with others"));
  EXPECT_THAT(feed.finished(), ElementsAre("1"));
  EXPECT_THAT(feed.given_up(), IsSupersetOf({"3", "4", "5", "6", "7"}));
}

}  // namespace
}  // namespace weft
