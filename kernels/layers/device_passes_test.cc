#include "kernels/layers/device_passes.h"

#include <gtest/gtest.h>

#include "kernels/device/host_driver.h"
#include "kernels/testing/demand.h"

namespace weft {
namespace {

using testing::demand;
using testing::take;

/// Counts what becomes a graph.
class CountingDriver final : public HostDriver {
 public:
  explicit CountingDriver(std::unique_ptr<HostArena> arena) : HostDriver({}, std::move(arena)) {}
  ~CountingDriver() override { end_streams(); }
  Status begin_capture(NativeStream stream) override {
    ++captures;
    return HostDriver::begin_capture(stream);
  }
  int captures = 0;
};

struct SparePassesTest : ::testing::Test {
  std::shared_ptr<CountingDriver> driver =
      std::make_shared<CountingDriver>(take(HostArena::create(HostDriverOptions().memory_bytes)));
  std::shared_ptr<ComputeDevice> device = ComputeDevice::over(driver);
  DeviceStream stream = take(DeviceStream::create(device));
  DeviceBuffer workspace = take(DeviceBuffer::allocate(stream, 1024, "workspace")),
               other = take(DeviceBuffer::allocate(stream, 1024, "workspace"));
  SparePasses spare;

  /// A pass that doubles nothing: what matters is who captures it.
  void pass(DevicePasses& passes, const DeviceBuffer& memory, int64_t shape = 1) {
    demand(passes.run({.whose = "the test's", .numbers = {shape}},
                      {memory.data(), static_cast<size_t>(memory.size_bytes())}, {}, [](LayerPass&) {}));
  }
};

TEST_F(SparePassesTest, GraphsServeTheNextNode) {
  for (int node = 0; node < 3; ++node) {
    const DeviceStream of_node = take(DeviceStream::create(device));
    const SparePasses::Lease passes = spare.take(of_node);
    EXPECT_EQ(passes->stream().native(), of_node.native());
    for (int i = 0; i < 2; ++i) pass(*passes, workspace);
    EXPECT_EQ(driver->captures, 1) << node;
  }
  // Of another workspace or shape there is none yet.
  const SparePasses::Lease passes = spare.take(stream);
  for (int i = 0; i < 3; ++i) pass(*passes, other), pass(*passes, workspace, 2);
  EXPECT_EQ(driver->captures, 3);
}

TEST_F(SparePassesTest, NodesAtWorkAtOnceHaveTheirOwn) {
  {
    const SparePasses::Lease first = spare.take(stream), second = spare.take(stream);
    EXPECT_NE(first.get(), second.get());
    for (int i = 0; i < 2; ++i) pass(*first, workspace), pass(*second, other);
    EXPECT_EQ(driver->captures, 2);
  }
  const SparePasses::Lease first = spare.take(stream), second = spare.take(stream);
  pass(*first, workspace), pass(*second, other);
  EXPECT_EQ(driver->captures, 2);
}

TEST_F(SparePassesTest, ForgetWhenTheWeightsLeave) {
  for (int node = 0; node < 2; ++node) {
    SparePasses::Lease passes = spare.take(stream);
    for (int i = 0; i < 2; ++i) pass(*passes, workspace);
    EXPECT_EQ(driver->captures, node + 1);
    passes.reset();
    spare.clear();
  }
}

}  // namespace
}  // namespace weft
