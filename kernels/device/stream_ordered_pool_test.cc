#include "kernels/device/stream_ordered_pool.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace weft {
namespace {

/// Holds a stream up until it is opened.
class Gate {
 public:
  HostStream::Work work() {
    return [state = state_]() -> Status {
      std::unique_lock lock(state->mutex);
      state->opened.wait(lock, [&] { return state->open; });
      return {};
    };
  }
  void open() {
    const std::lock_guard lock(state_->mutex);
    state_->open = true;
    state_->opened.notify_all();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable opened;
    bool open = false;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();  // the stream's work may end after the test
};

class StreamOrderedPoolTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kCapacity = 1 << 20;
  void* allocate(uint64_t size_bytes, const HostStream& stream) {
    auto block = pool_.allocate(size_bytes, stream, "test");
    return block.ok() ? block->data : nullptr;
  }
  void release(void* data, const HostStream& stream) { ASSERT_TRUE(pool_.release(data, stream).ok()); }

  std::unique_ptr<HostArena> arena_ = *HostArena::create(kCapacity);
  StreamOrderedPool pool_{*arena_};
  DeviceHealth health_;
  HostStream a_{health_, 0}, b_{health_, 0};
};

TEST_F(StreamOrderedPoolTest, GivesAlignedDistinctBlocks) {
  std::vector<void*> blocks;
  for (const uint64_t size : {0, 1, 255, 256, 257, 5000, 100000}) {
    blocks.push_back(allocate(size, a_));
    ASSERT_NE(blocks.back(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(blocks.back()) % kDeviceAlignment, 0u);
  }
  for (size_t i = 1; i < blocks.size(); ++i) EXPECT_NE(blocks[i], blocks[i - 1]);
  for (void* block : blocks) release(block, a_);
  EXPECT_EQ(pool_.statistics().used_bytes, 0u);
}

TEST_F(StreamOrderedPoolTest, TheStreamThatGaveABlockBackGetsItAtOnce) {
  Gate gate;
  a_.enqueue(gate.work());  // uses the block
  void* block = allocate(1000, a_);
  release(block, a_);
  EXPECT_EQ(allocate(1000, a_), block);
  gate.open();
}

TEST_F(StreamOrderedPoolTest, AnotherStreamGetsABlockOnlyAfterAnEventOrOncePassed) {
  Gate gate;
  void* block = allocate(1000, a_);
  a_.enqueue(gate.work());
  release(block, a_);
  void* other = allocate(1000, b_);
  EXPECT_NE(other, block) << "stream a still uses it";
  release(other, b_);

  const Mark after = a_.mark();
  b_.wait(after);  // not passed yet, and ordered all the same
  void* again = allocate(1000, b_);
  EXPECT_EQ(again, other) << "the youngest first";
  EXPECT_EQ(allocate(1000, b_), block);
  gate.open();
}

TEST_F(StreamOrderedPoolTest, AStreamFollowsWhatThoseItWaitedForHadWaitedFor) {
  Gate gate;
  HostStream c(health_, 0);
  void* block = allocate(1000, a_);
  a_.enqueue(gate.work());
  release(block, a_);
  b_.wait(a_.mark());
  c.wait(b_.mark());
  EXPECT_EQ(allocate(1000, c), block);
  gate.open();
}

TEST_F(StreamOrderedPoolTest, AMarkBeforeTheReleaseDoesNotCount) {
  Gate gate;
  void* block = allocate(1000, a_);
  const Mark before = a_.mark();
  a_.enqueue(gate.work());
  release(block, a_);
  b_.wait(before);
  EXPECT_NE(allocate(1000, b_), block);
  gate.open();
}

TEST_F(StreamOrderedPoolTest, ABlockWhosePlaceIsPassedServesEveryStream) {
  void* block = allocate(1000, a_);
  a_.enqueue([]() -> Status { return {}; });
  release(block, a_);
  a_.synchronize();
  EXPECT_EQ(allocate(1000, b_), block);
}

TEST_F(StreamOrderedPoolTest, RefusesWithTheNumbersAndTakesBackWhatIsPassed) {
  Gate gate;
  void* block = allocate(kCapacity / 2, a_);
  a_.enqueue(gate.work());
  release(block, a_);
  auto refused = pool_.allocate(kCapacity - 1000, b_, "weights");
  ASSERT_EQ(refused.code(), StatusCode::kOutOfMemory);
  const std::string text = to_string(refused.error());
  for (const char* part : {"weights", "1047576 bytes", "1048576", "589824 given back"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  gate.open();
  a_.synchronize();
  EXPECT_NE(allocate(kCapacity - 1000, b_), nullptr) << "the kept block went back to the device";
  EXPECT_EQ(pool_.allocate(UINT64_MAX, b_, "x").code(), StatusCode::kOutOfMemory);
}

TEST_F(StreamOrderedPoolTest, TrimKeepsWhatItIsToldAndWhatIsInUse) {
  void* first = allocate(4096, a_);
  void* second = allocate(8192, a_);
  void* used = allocate(4096, a_);
  Gate gate;
  release(first, a_);
  a_.synchronize();
  a_.enqueue(gate.work());
  release(second, a_);
  EXPECT_EQ(pool_.statistics().reserved_bytes, 18432u);
  pool_.trim(0);
  EXPECT_EQ(pool_.statistics().reserved_bytes, 13824u) << "the second is not passed";
  gate.open();
  a_.synchronize();
  pool_.trim(13824);
  EXPECT_EQ(pool_.statistics().reserved_bytes, 13824u);
  pool_.trim(13823);
  EXPECT_EQ(pool_.statistics().reserved_bytes, 4608u);
  EXPECT_EQ(pool_.statistics().used_bytes, 4608u);
  EXPECT_EQ(pool_.statistics().peak_used_bytes, 18432u);
  release(used, a_);
  EXPECT_EQ(pool_.release(used, a_).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
