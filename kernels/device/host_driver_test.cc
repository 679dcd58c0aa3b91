// The protocol of streams, events and memory, on streams that are threads and held up at random.
#include "kernels/device/host_driver.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <random>

#include "kernels/device/device.h"
#include "kernels/device/ops.h"
#include "kernels/device/pinned_buffer.h"

namespace weft {
namespace {

std::shared_ptr<ComputeDevice> open(HostDriverOptions options) {
  auto driver = HostDriver::create(std::move(options));
  EXPECT_TRUE(driver.ok());
  return ComputeDevice::over(std::shared_ptr<DeviceDriver>(*std::move(driver)));
}

struct Graph {
  struct Buffer {
    DeviceBuffer memory;
    uint8_t value;  // of all its bytes
    size_t stream;  // that it lives on
    std::optional<DeviceEvent> ready;
  };
  std::shared_ptr<ComputeDevice> device;
  std::vector<DeviceStream> streams;
  std::vector<Buffer> live;
};

/// One buffer from another: on the stream `to`, which waits for it first; the source's stream waits for the copy before the
/// source may go back.
void copy_across(Graph& g, size_t from, size_t to, uint64_t size_bytes, uint8_t value) {
  const DeviceStream& stream = g.streams[to];
  auto memory = DeviceBuffer::allocate(stream, size_bytes, "copy");
  ASSERT_TRUE(memory.ok()) << to_string(memory.error());
  Graph::Buffer& source = g.live[from];
  ASSERT_TRUE(stream.wait(*source.ready).ok());
  ASSERT_TRUE(stream.copy_within(memory->data(), source.memory.data(), size_bytes).ok());
  auto ready = DeviceEvent::create(g.device);
  ASSERT_TRUE(stream.record(*ready).ok());
  ASSERT_TRUE(g.streams[source.stream].wait(*ready).ok());
  g.live.push_back({*std::move(memory), value, to, *std::move(ready)});
}

TEST(DeviceStreams, ExchangeBuffersInEveryOrderOfTheirWork) {
  constexpr uint64_t kBytes = 5000;
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Graph g;
    g.device = open({"host:0", 1 << 20, seed, 0});
    for (int i = 0; i < 3; ++i) g.streams.push_back(*DeviceStream::create(g.device));
    std::vector<std::vector<uint8_t>> read;
    std::vector<uint8_t> expected;
    for (int step = 0; step < 120; ++step) {
      const size_t to = random() % g.streams.size();
      if (g.live.empty() || random() % 3 == 0) {
        auto memory = DeviceBuffer::allocate(g.streams[to], kBytes, "made");
        ASSERT_TRUE(memory.ok()) << to_string(memory.error());
        const auto value = static_cast<uint8_t>(step + 1);
        ASSERT_TRUE(g.device->driver().fill(memory->data(), value, kBytes, g.streams[to].native()).ok());
        auto ready = DeviceEvent::create(g.device);
        ASSERT_TRUE(g.streams[to].record(*ready).ok());
        g.live.push_back({*std::move(memory), value, to, *std::move(ready)});
      } else {
        const size_t from = random() % g.live.size();
        copy_across(g, from, to, kBytes, g.live[from].value);
      }
      if (g.live.size() < 6) continue;
      const size_t gone = random() % g.live.size();  // read by its own stream, then given back
      read.emplace_back(kBytes);
      expected.push_back(g.live[gone].value);
      ASSERT_TRUE(g.streams[g.live[gone].stream]
                      .copy_to_host(read.back().data(), g.live[gone].memory.data(), kBytes)
                      .ok());
      std::swap(g.live[gone], g.live.back());
      g.live.pop_back();
    }
    g.live.clear();
    for (const DeviceStream& stream : g.streams) ASSERT_TRUE(stream.synchronize().ok());
    for (size_t i = 0; i < read.size(); ++i)
      EXPECT_EQ(std::count(read[i].begin(), read[i].end(), expected[i]), static_cast<int64_t>(kBytes)) << i;
    EXPECT_EQ(g.device->driver().pool_statistics().used_bytes, 0u);
    EXPECT_LT(g.device->driver().pool_statistics().reserved_bytes, 40 * kBytes) << "blocks are reused";
  }
}

TEST(DeviceStreams, EventsThatWereNeverRecordedAreTrue) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  auto event = DeviceEvent::create(device);
  ASSERT_TRUE(stream.ok() && event.ok());
  EXPECT_TRUE(*event->reached());
  EXPECT_TRUE(stream->wait(*event).ok());
  EXPECT_TRUE(stream->synchronize().ok());
}

TEST(DeviceBuffer, IsNanBeforeItIsWritten) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  auto memory = DeviceBuffer::allocate(*stream, 64, "x");
  std::vector<float> read(16);
  ASSERT_TRUE(stream->copy_to_host(read.data(), memory->data(), 64).ok());
  ASSERT_TRUE(stream->synchronize().ok());
  for (const float x : read) EXPECT_NE(x, x);
}

TEST(DeviceBuffer, CannotBeTouchedByTheHost) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  auto memory = DeviceBuffer::allocate(*stream, 64, "x");
  ASSERT_TRUE(stream->synchronize().ok());
  const int null = ::open("/dev/zero", O_RDONLY);
  ASSERT_GE(null, 0);
  EXPECT_EQ(::read(null, memory->data(), 64), -1);  // a fault as a value: the system writes for us
  EXPECT_EQ(errno, EFAULT);
  ::close(null);
}

TEST(DeviceBuffer, StagesManySmallCopiesThroughARing) {
  auto device = open({"host:0", 1 << 20, 7, 0});
  auto stream = DeviceStream::create(device);
  auto memory = DeviceBuffer::allocate(*stream, 4000, "all");
  auto ring = StagingRing::create(*stream, 256);
  ASSERT_TRUE(memory.ok() && ring.ok());
  std::vector<uint8_t> sent(4000), got(4000);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<uint8_t>(i * 7);
  for (size_t at = 0, step = 1; at < sent.size(); at += step, step = step % 97 + 1) {
    step = std::min(step, sent.size() - at);
    std::vector<uint8_t> part(sent.begin() + static_cast<int64_t>(at),
                              sent.begin() + static_cast<int64_t>(at + step));
    ASSERT_TRUE(ring->copy_to_device(memory->data() + at, std::as_bytes(std::span(part))).ok());
  }
  ASSERT_TRUE(stream->copy_to_host(got.data(), memory->data(), got.size()).ok());
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_EQ(got, sent);
  EXPECT_EQ(ring->copy_to_device(memory->data(), std::as_bytes(std::span(sent))).code(),
            StatusCode::kOutOfMemory);
}

TEST(DeviceBuffer, IsWhatWasGivenIfThatIsLargeEnough) {
  const auto device = open({"host:0", 1 << 20, 1, 0});
  const auto stream = DeviceStream::create(device);
  auto own = DeviceBuffer::allocate(*stream, 4096, "own");
  ASSERT_TRUE(own.ok());
  const auto lent = [&] { return DeviceBuffer::borrow(own->data(), own->size_bytes()); };
  auto given = DeviceBuffer::given_or_allocate(lent(), *stream, 4096, "weights");
  ASSERT_TRUE(given.ok());
  EXPECT_EQ(given->data(), own->data());
  auto allocated = DeviceBuffer::given_or_allocate({}, *stream, 4097, "weights");
  ASSERT_TRUE(allocated.ok());
  EXPECT_NE(allocated->data(), own->data());
  EXPECT_EQ(allocated->size_bytes(), 4097u);
  const auto small = DeviceBuffer::given_or_allocate(lent(), *stream, 4097, "weights");
  ASSERT_EQ(small.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(small.error().got, "4096");
}

TEST(PinnedBuffer, IsWrittenByTheDeviceWhoeverOwnsIt) {
  const auto device = open({"host:0", 1 << 20, 1, 0});
  const auto stream = DeviceStream::create(device);
  auto memory = DeviceBuffer::allocate(*stream, 256, "x");
  auto pinned = PinnedBuffer::allocate(device, 256);
  ASSERT_TRUE(memory.ok() && pinned.ok());
  ASSERT_TRUE(device->driver().fill(memory->data(), 7, 256, stream->native()).ok());
  ASSERT_TRUE(stream->copy_to_host(pinned->data(), memory->data(), 256).ok());
  PinnedBuffer owner;
  owner = *std::move(pinned);
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_EQ(pinned->data(), nullptr);
  EXPECT_TRUE(std::all_of(owner.data(), owner.data() + 256, [](std::byte b) { return b == std::byte{7}; }));
}

TEST(LostDevice, TellsWhatHappenedAtEveryCallAndGivesEverythingBack) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  auto other = DeviceStream::create(device);
  auto memory = DeviceBuffer::allocate(*stream, 100, "picture");
  std::vector<char> host(200);
  ASSERT_TRUE(stream->copy_to_host(host.data(), memory->data(), 101).ok()) << "not run yet";
  const Status lost = stream->synchronize();
  ASSERT_EQ(lost.code(), StatusCode::kDeviceLost);
  for (const char* part : {"host:0", "101 bytes", "'picture' of 100 bytes", "run the same command again"})
    EXPECT_NE(to_string(lost.error()).find(part), std::string::npos) << to_string(lost.error());
  EXPECT_EQ(other->copy_to_host(host.data(), memory->data(), 1).code(), StatusCode::kDeviceLost);
  EXPECT_EQ(DeviceBuffer::allocate(*other, 1, "x").code(), StatusCode::kDeviceLost);
  EXPECT_EQ(DeviceStream::create(device).code(), StatusCode::kDeviceLost);
  *memory = DeviceBuffer();
  EXPECT_EQ(device->driver().pool_statistics().used_bytes, 0u);
}

TEST(FailingAllocation, NamesDeviceBufferAndBytesAndLeaksNothing) {
  for (uint64_t nth = 1; nth <= 4; ++nth) {
    auto device = open({"host:0", 1 << 20, 0, nth});
    auto stream = DeviceStream::create(device);
    std::vector<DeviceBuffer> held;
    Status failed;
    for (int i = 0; i < 4 && failed.ok(); ++i) {
      auto memory = DeviceBuffer::allocate(*stream, 1000 + static_cast<uint64_t>(i), "activations");
      if (memory.ok()) held.push_back(*std::move(memory));
      else failed = memory.status();
    }
    ASSERT_EQ(failed.code(), StatusCode::kOutOfMemory);
    const std::string text = to_string(failed.error()), bytes = std::to_string(999 + nth) + " bytes";
    for (const char* part : {"host:0", "'activations'", bytes.c_str()})
      EXPECT_NE(text.find(part), std::string::npos) << text;
    held.clear();
    EXPECT_EQ(device->driver().pool_statistics().used_bytes, 0u);
    EXPECT_TRUE(DeviceBuffer::allocate(*stream, 1, "after").ok()) << "the device goes on";
  }
}

TEST(ReleaseThreshold, GivesTheRestBackWhenAStreamIsWaitedFor) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  ASSERT_TRUE(device->driver().set_release_threshold(1 << 12).ok());
  for (int i = 0; i < 2; ++i) {
    auto large = DeviceBuffer::allocate(*stream, 1 << 20, "large");
    auto small = DeviceBuffer::allocate(*stream, 1 << 12, "small");
    ASSERT_TRUE(large.ok() && small.ok());
  }
  EXPECT_GE(device->driver().pool_statistics().reserved_bytes, 1u << 20);
  ASSERT_TRUE(stream->synchronize().ok());
  EXPECT_LE(device->driver().pool_statistics().reserved_bytes, 1u << 12);
}

TEST(DeviceOps, ThatADeviceLacksSayThatTheyRunOnTheCpu) {
  auto device = open({});
  auto stream = DeviceStream::create(device);
  const Status refused = device->ops().convolution({}, *stream);
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported);
  EXPECT_EQ(to_string(refused.error()), "op convolution is not on host:0; it runs on the CPU");
  EXPECT_EQ(device->ops().norm({}, *stream).code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace weft
