// Two nodes compute on simt:0, each on a stream of its own, and hand a buffer over through the table that plugins get.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/simt/driver/simt_driver.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/device_pool.h"

namespace weft {
namespace {

constexpr weft_device kDevice = {WEFT_DEVICE_CUDA, 0};  // as plugins know it
constexpr int64_t kRows = 4, kCols = 96;
constexpr uint64_t kBytes = kRows * kCols * 4;

struct Node {
  const weft_memory_api& memory;
  const DeviceOps& ops;
  weft_stream* stream;
};

NativeStream native(const Node& node) {
  return static_cast<NativeStream>(node.memory.native_stream(node.stream));
}

weft_buffer* allocate(const Node& node, uint64_t size_bytes, const char* tag) {
  weft_allocation request{};
  request.struct_size = sizeof request;
  request.device = kDevice;
  request.size_bytes = size_bytes;
  request.tag = tag;
  weft_buffer* out = nullptr;
  EXPECT_EQ(node.memory.allocate(node.memory.self, &request, node.stream, &out, nullptr), WEFT_OK);
  return out;
}

/// A new buffer: the norm of x.
weft_buffer* normed(const Node& node, const float* weight, weft_buffer* x) {
  EXPECT_EQ(node.memory.acquire(x, node.stream, 0), WEFT_OK);
  weft_buffer* y = allocate(node, kBytes, "normed");
  NormCuda n;
  n.norm.weight = weight;
  n.x = node.memory.data(x);
  n.y = node.memory.data(y);
  n.rows = kRows;
  n.cols = n.x_stride = n.y_stride = kCols;
  EXPECT_TRUE(node.ops.norm(n, native(node)).ok());
  EXPECT_EQ(node.memory.ready(y, node.stream), WEFT_OK);
  return y;
}

/// In place, on a stream that did not make it.
void activate(const Node& node, weft_buffer* x) {
  EXPECT_EQ(node.memory.acquire(x, node.stream, 1), WEFT_OK);
  ActivationCuda a;
  a.gate = node.memory.data(x);
  a.y = node.memory.data(x);
  a.rows = kRows;
  a.cols = a.gate_stride = a.y_stride = kCols;
  EXPECT_TRUE(node.ops.activation(a, native(node)).ok());
  EXPECT_EQ(node.memory.ready(x, node.stream), WEFT_OK);
}

TEST(DeviceNodes, HandABufferOverWithoutACopy) {
  const std::vector<float> weight = testing::random_normal(kCols, 1),
                           x = testing::random_normal(kRows * kCols, 2);
  std::vector<float> want(x.size());
  norm_reference({NormKind::kRms, weight.data(), nullptr, 1e-5f}, x.data(), kCols, want.data(), kCols, kRows,
                 kCols);
  activation_reference(Activation::kSilu, want.data(), nullptr, kRows * kCols);
  for (const char* options : {"", "delay=1", "delay=2", "delay=3"}) {
    SCOPED_TRACE(options);
    const auto device = ComputeDevice::over(*SimtDriver::create(*parse_simt_options(options)));
    const auto pool = *DevicePool::create(device, kDevice);
    MemoryService memory({pool.get()});
    const auto first_stream = *pool->create_stream(), second_stream = *pool->create_stream();
    const weft_memory_api& api = *memory.api();
    const Node first{api, device->ops(), first_stream.get()}, second{api, device->ops(), second_stream.get()};
    DeviceDriver& driver = device->driver();

    weft_buffer* in = allocate(first, kBytes, "x");
    weft_buffer* w = allocate(first, kCols * 4, "weight");
    ASSERT_TRUE(driver.copy_to_device(api.data(in), x.data(), kBytes, first_stream->native).ok());
    ASSERT_TRUE(driver.copy_to_device(api.data(w), weight.data(), kCols * 4, first_stream->native).ok());
    const DeviceCopies before = driver.copies();
    weft_buffer* y = normed(first, static_cast<const float*>(api.data(w)), in);
    api.release(in, first.stream);
    activate(second, y);
    EXPECT_EQ(driver.copies().within_bytes, before.within_bytes);
    EXPECT_EQ(driver.copies().to_device_bytes, before.to_device_bytes);
    EXPECT_EQ(driver.copies().to_host_bytes, before.to_host_bytes);
    EXPECT_EQ(memory.copied_bytes(), 0u);

    std::vector<float> got(x.size());
    ASSERT_TRUE(driver.copy_to_host(got.data(), api.data(y), kBytes, second_stream->native).ok());
    ASSERT_EQ(api.synchronize(second.stream), WEFT_OK);
    EXPECT_LT(testing::relative_error(got.data(), want.data(), kRows * kCols),
              testing::tolerance(DType::kF32));
    api.release(y, second.stream);
    api.release(w, first.stream);
    EXPECT_EQ(memory.statistics(kDevice).live_bytes, 0u);
    EXPECT_EQ(memory.statistics(kDevice).peak_bytes, 2 * kBytes + kCols * 4);
  }
}

}  // namespace
}  // namespace weft
