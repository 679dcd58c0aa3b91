/// One suite over every pool and every stack of adaptors, then what is special to each.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/memory/buffer.h"
#include "pipeline/memory/pool.h"

namespace weft {
namespace {

/// A pool and what it stands on.
struct Stack {
  std::vector<std::unique_ptr<Pool>> pools;
  Pool& top() { return *pools.back(); }
};
struct StackCase {
  const char* name;
  std::function<Stack()> make;
};

Stack cpu() {
  Stack stack;
  stack.pools.push_back(std::make_unique<CpuPool>());
  return stack;
}
template <typename Adaptor, typename... Args>
Stack on(Stack stack, Args... args) {
  Pool& upstream = stack.top();
  stack.pools.push_back(std::make_unique<Adaptor>(upstream, args...));
  return stack;
}

class PoolContract : public testing::TestWithParam<StackCase> {
 protected:
  Stack stack_ = GetParam().make();
  Pool& pool_ = stack_.top();
};

TEST_P(PoolContract, GivesAlignedWritableDistinctMemory) {
  for (const uint32_t alignment : {0u, 1u, 64u, 4096u, 2u << 20}) {
    std::vector<std::pair<void*, uint64_t>> blocks;
    for (const uint64_t size :
         {uint64_t{0}, uint64_t{1}, uint64_t{63}, uint64_t{64}, uint64_t{65}, uint64_t{4097},
          uint64_t{(4 << 20) - 1}, uint64_t{4 << 20}, uint64_t{(6 << 20) + 1}}) {
      auto data = pool_.allocate(size, alignment, nullptr, "test");
      ASSERT_TRUE(data.ok()) << to_string(data.error());
      ASSERT_NE(*data, nullptr);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(*data) % std::max(alignment, kDefaultAlignment), 0u) << size;
      std::memset(*data, static_cast<int>(blocks.size() + 1), size);
      blocks.emplace_back(*data, size);
    }
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto* bytes = static_cast<unsigned char*>(blocks[i].first);
      const uint64_t size = blocks[i].second;
      if (size > 0) {
        EXPECT_EQ(bytes[0], i + 1);
        EXPECT_EQ(bytes[size - 1], i + 1);
      }
      pool_.deallocate(blocks[i].first, size, alignment, nullptr);
    }
  }
}

TEST_P(PoolContract, RefusesWhatNobodyHasAndStaysUsable) {
  for (const uint64_t size : {uint64_t{1} << 62, UINT64_MAX, UINT64_MAX - 63}) {
    EXPECT_EQ(pool_.allocate(size, 0, nullptr, "huge").code(), StatusCode::kOutOfMemory);
  }
  auto data = pool_.allocate(100, 0, nullptr, "small");
  ASSERT_TRUE(data.ok());
  pool_.deallocate(*data, 100, 0, nullptr);
}

TEST_P(PoolContract, RefusesAlignmentsThatAreNone) {
  EXPECT_EQ(pool_.allocate(100, 96, nullptr, "odd").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(pool_.allocate(100, 4u << 20, nullptr, "large").code(), StatusCode::kInvalidArgument);
}

TEST_P(PoolContract, FreeingNothingIsAllowed) { pool_.deallocate(nullptr, 0, 0, nullptr); }

TEST_P(PoolContract, ServesSeveralThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 200; ++i) {
        const uint64_t size = i % 20 == 0 ? 5u << 20 : 1000 + static_cast<uint64_t>(i);
        auto data = pool_.allocate(size, 0, nullptr, "thread");
        ASSERT_TRUE(data.ok());
        *static_cast<int*>(*data) = t * 1000 + i;
        std::this_thread::yield();
        EXPECT_EQ(*static_cast<int*>(*data), t * 1000 + i);
        pool_.deallocate(*data, size, 0, nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(
    Pools, PoolContract,
    testing::Values(
        StackCase{"Cpu", cpu}, StackCase{"Limit", [] { return on<LimitPool>(cpu(), uint64_t{1} << 30); }},
        StackCase{"Statistics", [] { return on<StatisticsPool>(cpu()); }},
        StackCase{"Guard", [] { return on<GuardPool>(cpu()); }},
        StackCase{"All",
                  [] { return on<StatisticsPool>(on<LimitPool>(on<GuardPool>(cpu()), uint64_t{1} << 30)); }}),
    [](const auto& test) { return test.param.name; });

TEST(CpuPool, ReusesALargeBlockOfTheSameSize) {
  CpuPool pool;
  auto first = pool.allocate(8 << 20, 0, nullptr, "a");
  static_cast<char*>(*first)[0] = 1;
  pool.deallocate(*first, 8 << 20, 0, nullptr);
  auto second = pool.allocate(8 << 20, 0, nullptr, "b");
  EXPECT_EQ(*first, *second);
  pool.deallocate(*second, 8 << 20, 0, nullptr);
}

TEST(LimitPool, RefusesBeyondItsLimitWithTheNumbersAndRecovers) {
  CpuPool system;
  LimitPool pool(system, 1000);
  auto first = pool.allocate(600, 0, nullptr, "first");
  ASSERT_TRUE(first.ok());
  const auto second = pool.allocate(401, 0, nullptr, "cache");
  ASSERT_EQ(second.code(), StatusCode::kOutOfMemory);
  const std::string text = to_string(second.error());
  for (const char* part : {"cache", "1000", "600", "401", "--max-memory"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  auto fits = pool.allocate(400, 0, nullptr, "fits");
  ASSERT_TRUE(fits.ok());
  pool.deallocate(*first, 600, 0, nullptr);
  pool.deallocate(*fits, 400, 0, nullptr);
  EXPECT_TRUE(pool.allocate(1001, 0, nullptr, "x").code() == StatusCode::kOutOfMemory);
  auto all = pool.allocate(1000, 0, nullptr, "all");
  EXPECT_TRUE(all.ok());
  pool.deallocate(*all, 1000, 0, nullptr);
}

TEST(StatisticsPool, CountsLiveAndPeakBytes) {
  CpuPool system;
  StatisticsPool pool(system);
  auto a = pool.allocate(100, 0, nullptr, "a");
  auto b = pool.allocate(50, 0, nullptr, "b");
  pool.deallocate(*a, 100, 0, nullptr);
  EXPECT_FALSE(pool.allocate(uint64_t{1} << 62, 0, nullptr, "x").ok());
  EXPECT_EQ(pool.statistics().live_bytes, 50u);
  EXPECT_EQ(pool.statistics().peak_bytes, 150u);
  EXPECT_EQ(pool.statistics().allocation_count, 2u);
  pool.deallocate(*b, 50, 0, nullptr);
  EXPECT_EQ(pool.statistics().live_bytes, 0u);
}

TEST(GuardPool, FindsWritesOutsideABuffer) {
  CpuPool system;
  GuardPool pool(system);
  auto good = pool.allocate(100, 0, nullptr, "good");
  auto over = pool.allocate(100, 0, nullptr, "over");
  auto under = pool.allocate(100, 0, nullptr, "under");
  static_cast<char*>(*over)[100] = 1;
  static_cast<char*>(*under)[-1] = 1;
  EXPECT_EQ(pool.violations().size(), 2u) << "live buffers count";
  for (void* data : {*good, *over, *under}) pool.deallocate(data, 100, 0, nullptr);
  const auto violations = pool.violations();
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_NE((violations[0] + violations[1]).find("'over' of 100 bytes: a write behind"), std::string::npos);
  EXPECT_NE((violations[0] + violations[1]).find("'under' of 100 bytes: a write before"), std::string::npos);
}

TEST(GuardPool, NamesWhatIsStillAllocated) {
  CpuPool system;
  GuardPool pool(system);
  auto a = pool.allocate(1, 0, nullptr, "first");
  auto b = pool.allocate(2, 0, nullptr, "second");
  ASSERT_EQ(pool.live().size(), 2u);
  EXPECT_EQ(pool.live()[0].tag, "first");
  EXPECT_EQ(pool.live()[1].size_bytes, 2u);
  pool.deallocate(*a, 1, 0, nullptr);
  pool.deallocate(*b, 2, 0, nullptr);
  EXPECT_TRUE(pool.live().empty());
  pool.deallocate(*b, 2, 0, nullptr);
  ASSERT_EQ(pool.violations().size(), 1u) << "freed twice";
}

TEST(MemoryService, ServesBuffersThroughTheTable) {
  CpuPool system;
  MemoryService memory({&system});
  const weft_memory_api& api = *memory.api();
  weft_allocation request{};
  request.struct_size = sizeof(request);
  request.device = {WEFT_DEVICE_CPU, 0};
  request.size_bytes = 1000;
  request.tag = "t";
  weft_stream stream;
  weft_buffer* buffer = nullptr;
  ASSERT_EQ(api.allocate(api.self, &request, &stream, &buffer, nullptr), WEFT_OK);
  EXPECT_EQ(api.size_bytes(buffer), 1000u);
  EXPECT_EQ(api.device(buffer).kind, WEFT_DEVICE_CPU);
  EXPECT_EQ(api.acquire(buffer, &stream, 1), WEFT_OK);
  std::memset(api.data(buffer), 1, 1000);
  EXPECT_EQ(api.ready(buffer, &stream), WEFT_OK);
  weft_memory_statistics statistics{};
  statistics.struct_size = sizeof(statistics);
  ASSERT_EQ(api.statistics(api.self, request.device, &statistics), WEFT_OK);
  EXPECT_EQ(statistics.live_bytes, 1000u);
  api.retain(buffer);
  api.release(buffer, &stream);
  EXPECT_EQ(memory.statistics(request.device).live_bytes, 1000u);
  api.release(buffer, &stream);
  api.release(nullptr, nullptr);
  EXPECT_EQ(memory.statistics(request.device).live_bytes, 0u);
}

TEST(MemoryService, FillsTheErrorOfTheCaller) {
  CpuPool system;
  LimitPool limited(system, 10);
  MemoryService memory({&limited});
  const weft_memory_api& api = *memory.api();
  weft_allocation request{};
  request.struct_size = sizeof(request);
  request.device = {WEFT_DEVICE_CPU, 0};
  request.size_bytes = 11;
  weft_error error{};
  error.struct_size = sizeof(error);
  weft_buffer* buffer = nullptr;
  EXPECT_EQ(api.allocate(api.self, &request, nullptr, &buffer, &error), WEFT_OUT_OF_MEMORY);
  EXPECT_EQ(buffer, nullptr);
  EXPECT_EQ(error.code, WEFT_OUT_OF_MEMORY);
  EXPECT_STREQ(error.message, "the memory limit is reached");
  request.device = {WEFT_DEVICE_CUDA, 0};
  EXPECT_EQ(api.allocate(api.self, &request, nullptr, &buffer, &error), WEFT_UNSUPPORTED);
}

}  // namespace
}  // namespace weft
