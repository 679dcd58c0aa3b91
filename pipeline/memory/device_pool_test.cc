// Nodes on one device that hand buffers to each other through the table that plugins get, on streams that are held up at random.
#include "pipeline/memory/device_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "kernels/device/host_driver.h"
#include "pipeline/memory/buffer.h"

namespace weft {
namespace {

constexpr weft_device kDevice = {WEFT_DEVICE_CUDA, 0};  // as plugins know it

struct OneDevice {
  explicit OneDevice(HostDriverOptions options)
      : device(ComputeDevice::over(std::shared_ptr<DeviceDriver>(*HostDriver::create(std::move(options))))),
        pool(*DevicePool::create(device, kDevice)),
        limited(*pool, 1 << 19),
        memory({&cpu, &limited}) {
    for (int i = 0; i < 3; ++i) streams.push_back(*pool->create_stream());
  }
  weft_status allocate(uint64_t size_bytes, weft_stream* stream, weft_buffer** out, weft_error* error) {
    weft_allocation request{};
    request.struct_size = sizeof request;
    request.device = kDevice;
    request.size_bytes = size_bytes;
    request.tag = "values";
    return memory.api()->allocate(memory.api()->self, &request, stream, out, error);
  }
  DeviceDriver& driver() { return device->driver(); }

  CpuPool cpu;
  std::shared_ptr<ComputeDevice> device;
  std::unique_ptr<DevicePool> pool;
  LimitPool limited;
  MemoryService memory;
  std::vector<std::unique_ptr<weft_stream>> streams;  // before the pool goes
};

TEST(DeviceBuffers, GoFromNodeToNodeWithoutACopy) {
  constexpr uint64_t kBytes = 3000;
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    OneDevice d({"host:0", 1 << 20, seed, 0});
    const weft_memory_api& api = *d.memory.api();
    std::mt19937 random(seed);
    struct Live {
      weft_buffer* buffer;
      uint8_t value;
    };
    std::vector<Live> live;
    std::vector<std::vector<uint8_t>> read;
    std::vector<uint8_t> expected;
    for (int step = 0; step < 150; ++step) {
      weft_stream* stream = d.streams[random() % 3].get();
      const auto value = static_cast<uint8_t>(step + 1);
      if (live.size() < 4) {  // a node makes a buffer
        weft_buffer* made = nullptr;
        ASSERT_EQ(d.allocate(kBytes, stream, &made, nullptr), WEFT_OK);
        ASSERT_TRUE(d.driver().fill(api.data(made), value, kBytes, stream->native).ok());
        ASSERT_EQ(api.ready(made, stream), WEFT_OK);
        live.push_back({made, value});
        continue;
      }
      Live& one = live[random() % live.size()];
      if (random() % 2 ==
          0) {  // a node reads it, and lets go of its reference at once: the work is only queued
        api.retain(one.buffer);
        ASSERT_EQ(api.acquire(one.buffer, stream, 0), WEFT_OK);
        read.emplace_back(kBytes);
        expected.push_back(one.value);
        ASSERT_TRUE(
            d.driver().copy_to_host(read.back().data(), api.data(one.buffer), kBytes, stream->native).ok());
        api.release(one.buffer, stream);
      } else if (random() % 2 == 0) {  // a node writes into it, in place
        ASSERT_EQ(api.acquire(one.buffer, stream, 1), WEFT_OK);
        ASSERT_TRUE(d.driver().fill(api.data(one.buffer), value, kBytes, stream->native).ok());
        ASSERT_EQ(api.ready(one.buffer, stream), WEFT_OK);
        one.value = value;
      } else {  // the last user, on some stream
        ASSERT_EQ(api.acquire(one.buffer, stream, 1), WEFT_OK);
        api.release(one.buffer, stream);
        one = live.back();
        live.pop_back();
      }
    }
    for (const Live& left : live) api.release(left.buffer, nullptr);
    for (const auto& stream : d.streams) ASSERT_EQ(api.synchronize(stream.get()), WEFT_OK);
    for (size_t i = 0; i < read.size(); ++i)
      EXPECT_EQ(std::count(read[i].begin(), read[i].end(), expected[i]), static_cast<int64_t>(kBytes)) << i;
    EXPECT_EQ(d.driver().copies().within_bytes, 0u);
    EXPECT_EQ(d.memory.copied_bytes(), 0u);
    EXPECT_EQ(d.memory.statistics(kDevice).live_bytes, 0u);
    EXPECT_EQ(d.driver().pool_statistics().used_bytes, 0u);
  }
}

TEST(DeviceBuffers, OneStreamGetsItsMemoryBackAtOnce) {
  OneDevice d({});
  const weft_memory_api& api = *d.memory.api();
  weft_stream* stream = d.streams[0].get();
  weft_buffer *first = nullptr, *second = nullptr;
  ASSERT_EQ(d.allocate(1000, stream, &first, nullptr), WEFT_OK);
  const void* data = api.data(first);
  api.release(first, stream);
  ASSERT_EQ(d.allocate(1000, stream, &second, nullptr), WEFT_OK);
  EXPECT_EQ(api.data(second), data);
  api.release(second, stream);
}

TEST(DeviceBuffers, ALimitAndAFailingAllocationNameBufferAndBytes) {
  OneDevice d({"host:0", 1 << 20, 0, 2});
  weft_stream* stream = d.streams[0].get();
  weft_buffer *first = nullptr, *none = nullptr;
  ASSERT_EQ(d.allocate(1000, stream, &first, nullptr), WEFT_OK);
  weft_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(d.allocate(1 << 19, stream, &none, &error), WEFT_OUT_OF_MEMORY);
  EXPECT_STREQ(error.message, "the memory limit is reached");
  error = {};
  error.struct_size = sizeof error;
  EXPECT_EQ(d.allocate(4096, stream, &none, &error), WEFT_OUT_OF_MEMORY);
  EXPECT_STREQ(error.message, "the device has no memory for 4096 bytes");
  EXPECT_EQ(none, nullptr);
  d.memory.api()->release(first, stream);
  EXPECT_EQ(d.memory.statistics(kDevice).live_bytes, 0u);
}

TEST(DeviceBuffers, MemoryThatWasGivenBackOnAnotherStreamServesALargeRequest) {
  OneDevice d({"host:0", 1 << 20, 3, 0});
  const weft_memory_api& api = *d.memory.api();
  weft_stream *first = d.streams[0].get(), *second = d.streams[1].get();
  weft_buffer *large = nullptr, *other = nullptr;
  ASSERT_EQ(d.allocate(400 << 10, first, &large, nullptr), WEFT_OK);
  ASSERT_EQ(api.ready(large, first), WEFT_OK);
  api.release(large, second);  // the device's memory would hold two of them
  EXPECT_GE(d.pool->statistics().reserved_bytes, uint64_t{400 << 10});
  DevicePool& pool = *d.pool;
  auto whole = pool.allocate(900 << 10, 0, first, "nearly all of the device");
  ASSERT_TRUE(whole.ok()) << to_string(whole.error());
  pool.deallocate(*whole, 900 << 10, 0, first);
  ASSERT_EQ(api.synchronize(first), WEFT_OK);
  ASSERT_TRUE(pool.trim(0).ok());
  EXPECT_EQ(pool.statistics().reserved_bytes, 0u);
  ASSERT_EQ(d.allocate(64, second, &other, nullptr), WEFT_OK);
  api.release(other, second);
  EXPECT_EQ(pool.statistics().used_bytes, 0u);
}

// Values are let go of by whatever thread has the last reference, while the streams that used them have more work queued.
TEST(DeviceBuffers, GoBackFromAnyThread) {
  OneDevice d({"host:0", 1 << 20, 5, 0});
  const weft_memory_api& api = *d.memory.api();
  weft_stream* stream = d.streams[0].get();
  for (int i = 0; i < 50; ++i) {
    weft_buffer* made = nullptr;
    ASSERT_EQ(d.allocate(3000, stream, &made, nullptr), WEFT_OK);
    ASSERT_EQ(api.ready(made, stream), WEFT_OK);
    api.retain(made);
    std::thread consumer([&] {
      weft_stream* on = d.streams[1].get();
      EXPECT_EQ(api.acquire(made, on, 0), WEFT_OK);
      api.release(made, i % 2 == 0 ? on : nullptr);
    });
    EXPECT_TRUE(d.driver().fill(api.data(made), 1, 3000, stream->native).ok());
    api.release(made, i % 3 == 0 ? nullptr : stream);
    consumer.join();
  }
  for (const auto& one : d.streams) ASSERT_EQ(api.synchronize(one.get()), WEFT_OK);
  EXPECT_EQ(d.driver().pool_statistics().used_bytes, 0u);
}

TEST(DeviceBuffers, AreNotForStreamsOfTheCpu) {
  OneDevice d({});
  weft_buffer* buffer = nullptr;
  ASSERT_EQ(d.allocate(8, d.streams[0].get(), &buffer, nullptr), WEFT_OK);
  weft_stream cpu;
  EXPECT_EQ(d.memory.api()->acquire(buffer, &cpu, 0), WEFT_UNSUPPORTED);
  d.memory.api()->release(buffer, &cpu);
  EXPECT_EQ(d.driver().pool_statistics().used_bytes, 0u);
}

}  // namespace
}  // namespace weft
