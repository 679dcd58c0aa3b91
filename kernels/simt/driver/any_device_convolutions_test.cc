// Convolutions on any device by its kernel and by its vendor's library, against the definition: simt:0, which has no library, or the
// device that WEFT_TEST_DEVICE names.
#include <gtest/gtest.h>

#include "kernels/device/device.h"
#include "kernels/device/ops.h"
#include "kernels/ops/convolution/convolution_operands.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_name.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::ConvolutionCase;
using testing::demand;
using testing::take;

const ConvolutionCase kCases[] = {
    {DType::kBF16, DType::kBF16, 2, 16, 16, 64, 0, 64, 3, 1, 1, 1, false, true, true, {}},
    {DType::kBF16, DType::kBF16, 1, 9, 12, 32, 0, 40, 3, 2, 0, 1, false, false, false, Activation::kSilu},
    {DType::kF16, DType::kF16, 3, 8, 7, 24, 0, 8, 5, 1, 2, 2, false, false, true, {}},
    {DType::kF16, DType::kF16, 1, 13, 10, 8, 0, 16, 3, 2, 1, 1, false, false, false, Activation::kRelu},
    {DType::kBF16, DType::kBF16, 2, 8, 8, 1280, 0, 128, 3, 1, 1, 1, false, false, true, {}}};

struct AnyDeviceConvolutions : ::testing::TestWithParam<ConvolutionCase> {
  std::shared_ptr<ComputeDevice> device = take(ComputeDevice::open(testing::device_name()));
  DeviceStream stream = take(DeviceStream::create(device));
  const testing::ConvolutionOperands operands{GetParam()};
  std::vector<DeviceBuffer> memory;

  void* put(const void* values, size_t bytes) {
    memory.push_back(take(DeviceBuffer::allocate(stream, std::max<size_t>(bytes, 1), "operand")));
    demand(stream.copy_to_device(memory.back().data(), values, bytes));
    demand(stream.synchronize());
    return memory.back().data();
  }

  ConvolutionCuda on_device(ProductEngine engine) {
    const ConvolutionCase& c = operands.c;
    ConvolutionCuda call = operands.call({.engine = engine});
    const auto floats = [&](const std::vector<float>& values) {
      return static_cast<float*>(put(values.data(), values.size() * 4));
    };
    call.x = put(operands.x.data(), operands.x.size());
    call.weights = put(operands.weights.data(), operands.weights.size());
    call.bias = floats(operands.bias);
    if (c.image_bias) call.image_bias = floats(operands.image_bias);
    if (c.residual) call.residual = put(operands.residual.data(), operands.residual.size());
    call.y = put(operands.residual.data(), operands.residual.size());
    call.workspace = floats(std::vector<float>(static_cast<size_t>(convolution_cuda_workspace(call))));
    return call;
  }

  std::vector<float> result(const ConvolutionCuda& call) const {
    std::vector<uint8_t> bytes(operands.residual.size());
    demand(stream.copy_to_host(bytes.data(), static_cast<std::byte*>(call.y), bytes.size()));
    demand(stream.synchronize());
    return testing::decoded(operands.c.y_dtype, bytes);
  }

  void expect_near(const std::vector<float>& got, double times) const {
    const std::vector<float> want = operands.reference();
    EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(want.size())),
              times * testing::tolerance(GetParam().dtype, GetParam().y_dtype));
  }
};

TEST_P(AnyDeviceConvolutions, ByItsKernel) {
  const ConvolutionCuda call = on_device(ProductEngine::kKernel);
  demand(device->ops().convolution(call, stream));
  expect_near(result(call), 2);
}

TEST_P(AnyDeviceConvolutions, ByItsLibraryWhereItHasOne) {
  const ConvolutionCuda call = on_device(ProductEngine::kLibrary);
  const Status done = device->ops().convolution(call, stream);
  if (device->facts().compute_major == 0) {
    EXPECT_EQ(done.code(), StatusCode::kUnsupported);
    return;
  }
  if (done.code() == StatusCode::kNotFound) GTEST_SKIP() << "skipped: " << to_string(done.error());
  ASSERT_TRUE(done.ok()) << to_string(done.error());
  const std::vector<float> first = result(call);
  expect_near(first, 3);  // rounded twice

  // In a graph, again and again: the same bits.
  const DeviceGraph graph =
      take(DeviceGraph::capture(stream, [&] { return device->ops().convolution(call, stream); }));
  for (int i = 0; i < 3; ++i) {
    demand(device->driver().fill(call.y, 0, operands.residual.size(), stream.native()));
    demand(graph.launch(stream));
    EXPECT_EQ(result(call), first);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AnyDeviceConvolutions, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name(); });

}  // namespace
}  // namespace weft
