// What any device has to do for the host: simt:0, or the one that WEFT_TEST_DEVICE names.
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/ops.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_name.h"

namespace weft {
namespace {

using testing::demand;
using testing::take;

struct AnyDevice : ::testing::Test {
  std::shared_ptr<ComputeDevice> device = take(ComputeDevice::open(testing::device_name()));
  DeviceStream stream = take(DeviceStream::create(device));

  DeviceBuffer upload(const DeviceStream& on, const std::vector<float>& values) const {
    DeviceBuffer memory = take(DeviceBuffer::allocate(on, values.size() * 4, "values"));
    demand(on.copy_to_device(memory.data(), values.data(), values.size() * 4));
    demand(on.synchronize());
    return memory;
  }
  std::vector<float> download(const DeviceStream& on, const DeviceBuffer& memory) const {
    std::vector<float> values(memory.size_bytes() / 4);
    demand(on.copy_to_host(values.data(), memory.data(), memory.size_bytes()));
    demand(on.synchronize());
    return values;
  }
};

std::vector<float> counted(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

AddCuda addition(const DeviceBuffer& x, const DeviceBuffer& y) {
  return {reinterpret_cast<float*>(x.data()), reinterpret_cast<const float*>(y.data()),
          static_cast<int64_t>(x.size_bytes() / 4)};
}

TEST_F(AnyDevice, StreamsHandBuffersOverBehindEvents) {
  constexpr size_t kCount = 100'000;
  const DeviceStream other = take(DeviceStream::create(device));
  const std::vector<float> values = counted(kCount);
  DeviceEvent written = take(DeviceEvent::create(device)), read = take(DeviceEvent::create(device));
  const DeviceBuffer x = upload(stream, values), y = upload(other, values);
  for (int round = 0; round < 20; ++round) {
    demand(device->ops().add(addition(x, y), stream));  // x += values
    demand(stream.record(written));
    demand(other.wait(written));
    demand(other.copy_within(y.data(), x.data(), x.size_bytes()));
    demand(device->driver().fill(y.data(), 0, 4, other.native()));
    demand(device->ops().add(addition(y, x), other));  // y = 2 x, its first element x's
    demand(other.copy_to_device(y.data(), values.data(), y.size_bytes()));
    demand(other.record(read));
    demand(stream.wait(read));
  }
  demand(other.synchronize());
  EXPECT_TRUE(take(read.reached()));
  std::vector<float> want = values;
  for (float& v : want) v *= 21;
  EXPECT_EQ(download(stream, x), want);
}

TEST_F(AnyDevice, MemoryGoesBackToThePoolAndFromThereToTheDevice) {
  constexpr uint64_t kBytes = 1 << 20;
  demand(device->driver().trim(0));
  {
    const DeviceBuffer memory = take(DeviceBuffer::allocate(stream, kBytes, "memory"));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % kDeviceAlignment, 0u);
    EXPECT_GE(device->driver().pool_statistics().used_bytes, kBytes);
  }
  demand(stream.synchronize());
  EXPECT_EQ(device->driver().pool_statistics().used_bytes, 0u);
  EXPECT_GE(device->driver().pool_statistics().reserved_bytes, kBytes);  // kept, by default
  EXPECT_GE(device->driver().pool_statistics().peak_used_bytes, kBytes);
  demand(device->driver().trim(0));
  EXPECT_EQ(device->driver().pool_statistics().reserved_bytes, 0u);
}

TEST_F(AnyDevice, MemoryThatItDoesNotHaveIsAnErrorWithTheBytesAndNoMore) {
  const uint64_t too_much = device->facts().memory_bytes + (1 << 20);
  const auto refused = DeviceBuffer::allocate(stream, too_much, "everything");
  ASSERT_EQ(refused.status().code(), StatusCode::kOutOfMemory);
  const std::string text = to_string(refused.status().error());
  for (const std::string& part : {device->facts().name, std::string("everything"), std::to_string(too_much)})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  const DeviceBuffer x = upload(stream, counted(10));
  EXPECT_EQ(download(stream, x), counted(10));
}

TEST_F(AnyDevice, AGraphRunsAgainWithWhatItsMemoryHoldsThen) {
  const DeviceBuffer x = upload(stream, counted(1000)), y = upload(stream, counted(1000));
  demand(device->ops().add(addition(x, y), stream));
  const DeviceGraph graph = take(DeviceGraph::capture(stream, [&]() -> Status {
    if (Status status = device->ops().add(addition(x, y), stream); !status.ok()) return status;
    return stream.copy_within(y.data(), x.data(), x.size_bytes());
  }));
  std::vector<float> want = counted(1000);
  for (float& v : want) v *= 2;
  EXPECT_EQ(download(stream, x), want) << "a capture runs nothing";
  for (int i = 0; i < 3; ++i) demand(graph.launch(stream));  // 3, 6, 12 times the values
  for (float& v : want) v *= 6;
  EXPECT_EQ(download(stream, x), want);
  EXPECT_EQ(download(stream, y), want);
}

TEST_F(AnyDevice, ACaptureThatFailsLeavesTheStreamAsItWas) {
  const DeviceBuffer x = upload(stream, counted(10)), y = upload(stream, counted(10));
  const auto refused = DeviceGraph::capture(stream, [&] {
    demand(device->ops().add(addition(x, y), stream));
    return Status(StatusCode::kCancelled, "no more");
  });
  EXPECT_EQ(refused.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(download(stream, x), counted(10));
}

TEST_F(AnyDevice, CountsTheBytesOfItsCopies) {
  const DeviceCopies before = device->driver().copies();
  const DeviceBuffer x = upload(stream, counted(100)), y = upload(stream, counted(50));
  demand(stream.copy_within(x.data(), y.data(), 200));
  EXPECT_EQ(download(stream, x)[49], 50);
  const DeviceCopies after = device->driver().copies();
  EXPECT_EQ(after.to_device_bytes - before.to_device_bytes, 600u);
  EXPECT_EQ(after.to_host_bytes - before.to_host_bytes, 400u);
  EXPECT_EQ(after.within_bytes - before.within_bytes, 200u);

  // Of a graph when it is launched.
  const DeviceGraph graph =
      take(DeviceGraph::capture(stream, [&] { return stream.copy_within(x.data(), y.data(), 200); }));
  EXPECT_EQ(device->driver().copies().within_bytes, after.within_bytes);
  for (int i = 0; i < 2; ++i) demand(graph.launch(stream));
  demand(stream.synchronize());
  EXPECT_EQ(device->driver().copies().within_bytes - after.within_bytes, 400u);
}

TEST_F(AnyDevice, AStagingRingKeepsUpWithItsStream) {
  StagingRing ring = take(StagingRing::create(stream, 10'000));
  const DeviceBuffer memory = take(DeviceBuffer::allocate(stream, 1000 * 4096, "staged"));
  std::vector<std::byte> piece(4096);
  for (int i = 0; i < 1000; ++i) {
    std::ranges::fill(piece, static_cast<std::byte>(i));
    demand(ring.copy_to_device(memory.data() + i * 4096, piece));
  }
  std::vector<std::byte> all(memory.size_bytes());
  demand(stream.copy_to_host(all.data(), memory.data(), all.size()));
  demand(stream.synchronize());
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::byte>(i / 4096)) << i;
}

}  // namespace
}  // namespace weft
