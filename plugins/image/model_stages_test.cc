#include "plugins/image/model_stages.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace weft::image {
namespace {

class ModelStagesTest : public testing::Test {
 protected:
  ModelStages make(ModelStages::Keeps keeps) {
    return ModelStages(
        keeps,
        [this](ModelStage stage, const StopRequest&, weft_stream*) {
          log_ += "+" + std::to_string(static_cast<int>(stage));
          return stage == failing_ ? Status(StatusCode::kIoError, "no disk") : Status();
        },
        [this](ModelStage stage) { log_ += "-" + std::to_string(static_cast<int>(stage)); });
  }
  std::string log_;  // +0: text encoders loaded, -1: UNet unloaded
  std::optional<ModelStage> failing_;
};

TEST_F(ModelStagesTest, KeepsAllOrTheOneThatIsEntered) {
  {
    ModelStages all = make(ModelStages::Keeps::kAll);
    EXPECT_TRUE(all.load_all({}, nullptr).ok());
    for (const ModelStage stage : kModelStages) EXPECT_TRUE(all.enter(stage, {}, nullptr).ok());
    EXPECT_EQ(log_, "+0+1+2");
  }
  log_.clear();
  ModelStages one = make(ModelStages::Keeps::kOne);
  EXPECT_TRUE(one.load_all({}, nullptr).ok());
  EXPECT_EQ(log_, "");
  for (const ModelStage stage : {ModelStage::kText, ModelStage::kUNet, ModelStage::kUNet, ModelStage::kVae}) {
    EXPECT_TRUE(one.enter(stage, {}, nullptr).ok());
  }
  EXPECT_EQ(log_, "+0-0+1-1+2");
}

TEST_F(ModelStagesTest, AStageThatCannotBeLoadedLeavesNothing) {
  ModelStages stages = make(ModelStages::Keeps::kOne);
  failing_ = ModelStage::kUNet;
  EXPECT_TRUE(stages.enter(ModelStage::kText, {}, nullptr).ok());
  EXPECT_EQ(stages.enter(ModelStage::kUNet, {}, nullptr).code(), StatusCode::kIoError);
  EXPECT_EQ(log_, "+0-0+1-1");
  failing_.reset();
  EXPECT_TRUE(stages.enter(ModelStage::kUNet, {}, nullptr).ok());
  EXPECT_EQ(log_, "+0-0+1-1+1");
}

TEST_F(ModelStagesTest, OneStageWaitsForAnother) {
  ModelStages stages = make(ModelStages::Keeps::kOne);
  std::atomic<int> inside[2] = {0, 0};
  std::atomic<int> clashes{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const int mine = (t + i) % 2;
        Result<ModelStages::Use> use = stages.enter(static_cast<ModelStage>(mine), {}, nullptr);
        ++inside[mine];
        clashes += inside[1 - mine] != 0;
        --inside[mine];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clashes, 0);
}

TEST_F(ModelStagesTest, WaitingEndsWhenItIsCancelled) {
  ModelStages stages = make(ModelStages::Keeps::kOne);
  const Result<ModelStages::Use> held = stages.enter(ModelStage::kText, {}, nullptr);
  const StopRequest always{[](void*) { return true; }, nullptr};
  EXPECT_EQ(stages.enter(ModelStage::kVae, always, nullptr).code(), StatusCode::kCancelled);
  EXPECT_TRUE(stages.enter(ModelStage::kText, always, nullptr).ok());
}

}  // namespace
}  // namespace weft::image
