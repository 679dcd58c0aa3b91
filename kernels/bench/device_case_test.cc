#include "kernels/bench/device_case.h"

#include <gtest/gtest.h>

#include <set>

#include "kernels/device/host_driver.h"
#include "kernels/testing/demand.h"

namespace weft {
namespace {

using testing::take;

DeviceStream host_stream() {
  std::shared_ptr<DeviceDriver> driver = take(HostDriver::create({.memory_bytes = 16 << 20}));
  return take(DeviceStream::create(ComputeDevice::over(std::move(driver))));
}

TEST(DeviceCases, EveryOpDescribesWhatItMeasures) {
  std::set<std::string> names;
  for (const DeviceKernelOp& op : device_kernel_ops()) {
    EXPECT_TRUE(names.insert(op.name).second) << op.name << " twice";
    const std::vector<DeviceCase> cases = op.cases();
    EXPECT_FALSE(cases.empty()) << op.name;
    for (const DeviceCase& device_case : cases) {
      EXPECT_TRUE(names.insert(std::string(op.name) + device_case.name).second)
          << device_case.name << " twice";
      EXPECT_LE(device_case.name.size(), 32u) << device_case.name;
      EXPECT_GT(device_case.bytes, 0) << device_case.name;
      EXPECT_TRUE(device_case.make) << device_case.name;
    }
  }
  EXPECT_TRUE(names.contains("matmul"));
}

TEST(DeviceCases, KnowWhatADeviceIsMadeFor) {
  DeviceFacts h100;
  h100.compute_major = 9, h100.multiprocessors = 132, h100.clock_hz = 1.83e9;
  EXPECT_NEAR(peak_operations_per_second(h100, Arithmetic::kBF16), 989e12, 1e12);  // its data sheet
  EXPECT_NEAR(peak_operations_per_second(h100, Arithmetic::kF32), 62e12, 1e12);
  EXPECT_EQ(peak_operations_per_second({}, Arithmetic::kF32), 0);
}

TEST(DeviceCases, RunsTakeTurnsAmongCopiesOfTheirOperands) {
  const DeviceStream stream = host_stream();
  const DeviceOperands memory = take(DeviceOperands::allocate(stream, {1000, 1 << 20}));
  EXPECT_EQ(memory.sets(), 7);  // half of the device's memory
  EXPECT_EQ(memory.at(1, 0) - memory.at(0, 0), 1024);
  EXPECT_EQ(memory.at(0, 1) - memory.at(0, 0), 1024 + (1 << 20));
  EXPECT_EQ(memory.at(0, 7), memory.at(0, 0));
}

TEST(DeviceCases, MeasureGraphsOfRunsAndTellTheirErrors) {
  const DeviceStream stream = host_stream();
  const DeviceOperands memory = take(DeviceOperands::allocate(stream, {4096}));
  int64_t queued = 0;
  const Result<double> seconds = measure_device_seconds(
      stream,
      [&](int64_t i) {
        ++queued;
        return stream.device()->driver().fill(memory.at(0, i), 1, 4096, stream.native());
      },
      0);
  EXPECT_GT(take(seconds), 0);
  EXPECT_EQ(queued, 1 + 32);  // a graph is captured once and launched again
  const Result<double> failed = measure_device_seconds(
      stream, [](int64_t) { return Status(StatusCode::kUnsupported, "not here"); }, 0);
  EXPECT_EQ(failed.status().code(), StatusCode::kUnsupported);
  EXPECT_GT(take(copy_bytes_per_second(stream, 1 << 20)), 0);
}

}  // namespace
}  // namespace weft
