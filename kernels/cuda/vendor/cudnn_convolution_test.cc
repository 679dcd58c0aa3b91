// What cuDNN is asked for, by a stand-in that computes what its documentation says (cudnn_stand_in.h), and, where it is installed, what
// the library itself says of it; and who computes where it is missing or does not serve. Tests on a GPU:
// kernels/simt/driver/any_device_convolutions_test.cc.
#include "kernels/cuda/vendor/cudnn_convolution.h"

#include <gtest/gtest.h>

#include "kernels/cuda/vendor/cudnn_stand_in.h"
#include "kernels/ops/convolution/convolution_operands.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::ConvolutionCase;
using testing::cudnn_stand_in;
using testing::CudnnEngine;
using testing::CudnnStandIn;
using testing::load_cudnn_stand_in;

const ConvolutionCase kCases[] = {
    {DType::kBF16, DType::kBF16, 2, 9, 8, 16, 0, 24, 3, 1, 1, 1, false, true, true, {}},
    {DType::kBF16, DType::kBF16, 1, 6, 7, 8, 0, 16, 3, 2, 0, 1, false, false, false, Activation::kSilu},
    {DType::kF16, DType::kF16, 3, 5, 4, 24, 0, 8, 5, 1, 2, 2, false, false, true, {}},
    {DType::kF16, DType::kF16, 1, 7, 6, 8, 0, 16, 3, 2, 1, 1, false, false, false, Activation::kRelu},
    {DType::kBF16, DType::kBF16, 2, 4, 5, 16, 0, 8, 1, 2, 0, 0, false, true, false, {}},
};

struct CudnnConvolutionTest : ::testing::Test {
  CudnnConvolutionTest() {
    cudnn_stand_in() = {};
    kernels.convolution.set([this](const ConvolutionCuda& c, NativeStream) {
      by_kernel.push_back(c);
      return Status();
    });
    kernels.finish_convolution.set([](const FinishConvolutionCuda&, NativeStream) { return Status(); });
    cudnn_stand_in().computes = false;
  }
  DeviceOps kernels;
  std::vector<ConvolutionCuda> by_kernel;
  alignas(16) std::byte operand[64] = {};

  /// One that goes to the library by its shape. Its memory is not there: only for what does not compute.
  ConvolutionCuda large() {
    return {.x = operand,
            .images = 2,
            .h = 64,
            .w = 64,
            .channels = 320,
            .weights = operand,
            .out_channels = 320,
            .kernel_h = 3,
            .kernel_w = 3,
            .pad_top = 1,
            .pad_left = 1,
            .out_h = 64,
            .out_w = 64,
            .y = operand,
            .workspace = reinterpret_cast<float*>(operand)};
  }
};

TEST_F(CudnnConvolutionTest, AsksForWhatTheReferenceGives) {
  kernels.finish_convolution.set(finish_convolution_cuda);
  cudnn_stand_in().computes = true;
  for (const ConvolutionCase& c : kCases) {
    SCOPED_TRACE(c.name());
    const testing::ConvolutionOperands operands(c);
    const std::vector<float> want = operands.reference();
    simt::Device device;
    const testing::SimtConvolution on(operands, device, {.engine = ProductEngine::kLibrary});
    CudnnConvolution convolution(load_cudnn_stand_in, kernels);
    const Status done = convolution.run(on.call, &device);
    ASSERT_TRUE(done.ok()) << to_string(done.error()) << device.report().text();
    // Rounded twice.
    EXPECT_LT(
        testing::relative_error(testing::decoded(c.y_dtype, on.y.values()).data(), want.data(), c.outputs()),
        3 * testing::tolerance(c.dtype, c.y_dtype));
  }
  EXPECT_EQ(cudnn_stand_in().executed, static_cast<int>(std::size(kCases)));
  EXPECT_EQ(cudnn_stand_in().open_descriptors, 0);
  EXPECT_EQ(cudnn_stand_in().open_handles, 0);
  EXPECT_TRUE(by_kernel.empty());
}

TEST_F(CudnnConvolutionTest, AShapeIsPlannedOnce) {
  CudnnConvolution convolution(load_cudnn_stand_in, kernels);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(convolution.run(large(), nullptr).ok());
  ConvolutionCuda other = large();
  other.images = 4;
  EXPECT_TRUE(convolution.run(other, nullptr).ok());
  EXPECT_EQ(cudnn_stand_in().asked, 2);
  EXPECT_EQ(cudnn_stand_in().executed, 4);
  EXPECT_TRUE(by_kernel.empty());
}

TEST_F(CudnnConvolutionTest, TakesTheFirstEngineThatKeepsItsPromises) {
  const ConvolutionCuda c = large();
  const CudnnEngine good{{CUDNN_NUMERICAL_NOTE_TENSOR_CORE}, {}, 32 << 20};
  cudnn_stand_in().engines = {{{CUDNN_NUMERICAL_NOTE_WINOGRAD}, {}},
                              {{CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, {}},
                              {{CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION}, {}},
                              {{}, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION}},
                              {{}, {}, (32 << 20) + 1},
                              {{}, {}, 0, CUDNN_STATUS_NOT_SUPPORTED},
                              good,
                              good};
  CudnnConvolution convolution(load_cudnn_stand_in, kernels);
  EXPECT_TRUE(convolution.run(c, nullptr).ok());
  EXPECT_EQ(cudnn_stand_in().last_engine, 6);
  EXPECT_TRUE(by_kernel.empty());
}

// Which may pass, and must not leave the shape to other bits for good.
TEST_F(CudnnConvolutionTest, AFaultWhileAPlanIsMadeLeavesThatCallToTheKernel) {
  const ConvolutionCuda c = large();
  cudnn_stand_in().engines = {{{}, {}, 0, CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED}};
  CudnnConvolution convolution(load_cudnn_stand_in, kernels);
  EXPECT_TRUE(convolution.run(c, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 1u);
  cudnn_stand_in().engines = CudnnStandIn().engines;
  EXPECT_TRUE(convolution.run(c, nullptr).ok());
  EXPECT_EQ(cudnn_stand_in().executed, 1);
  EXPECT_EQ(by_kernel.size(), 1u);
}

TEST_F(CudnnConvolutionTest, TheKernelHasWhatIsSmallOrHasNoCounterpart) {
  CudnnConvolution convolution(load_cudnn_stand_in, kernels);
  ConvolutionCuda small = large(), joined = large(), tiled = large(), named = large(), apart = large(),
                  cut = large();
  small.h = small.w = small.out_h = small.out_w = 4;
  joined.skip_channels = 320, joined.skip = operand;
  tiled.tiling = ProductTiling{};
  named.engine = ProductEngine::kKernel;
  apart.y = operand + 2;       // what only the pointers tell
  cut.out_h = cut.out_w = 62;  // fewer rows than cuDNN would count
  for (const ConvolutionCuda& c : {small, joined, tiled, named, apart, cut})
    EXPECT_TRUE(convolution.run(c, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 6u);
  cudnn_stand_in().engines.clear();
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(convolution.run(large(), nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 8u);
  EXPECT_EQ(by_kernel.back().engine, ProductEngine::kKernel);
  EXPECT_EQ(cudnn_stand_in().asked, 1);
  EXPECT_EQ(cudnn_stand_in().executed, 0);
  ConvolutionCuda asked = large();
  asked.engine = ProductEngine::kLibrary;
  EXPECT_EQ(convolution.run(asked, nullptr).code(), StatusCode::kUnsupported);
}

TEST_F(CudnnConvolutionTest, WithoutTheLibraryTheKernelHasAll) {
  int loaded = 0;
  const ConvolutionCuda c = large();
  CudnnConvolution convolution(
      [&]() -> Result<Cudnn> {
        ++loaded;
        return Status(StatusCode::kNotFound, "libcudnn.so.9 is not installed");
      },
      kernels);
  EXPECT_EQ(loaded, 0);  // before the first convolution
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(convolution.run(c, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 2u);
  ConvolutionCuda named = c;
  named.engine = ProductEngine::kLibrary;
  EXPECT_EQ(convolution.run(named, nullptr).code(), StatusCode::kNotFound);
  EXPECT_EQ(loaded, 1);
  cudnn_stand_in().gives_handle = false;
  CudnnConvolution without(load_cudnn_stand_in, kernels);
  EXPECT_TRUE(without.run(c, nullptr).ok());
  EXPECT_EQ(by_kernel.size(), 3u);
}

TEST_F(CudnnConvolutionTest, RefusesWhatTheKernelRefuses) {
  CudnnConvolution convolution(load_cudnn_stand_in, kernels);
  ConvolutionCuda c = large();
  c.channels = 324;
  EXPECT_EQ(convolution.run(c, nullptr).code(), StatusCode::kInvalidShape);
  c = large(), c.weights = nullptr;
  EXPECT_EQ(convolution.run(c, nullptr).code(), StatusCode::kInvalidArgument);
  c = large(), c.workspace = nullptr;
  EXPECT_EQ(convolution.run(c, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(by_kernel.empty());
}

// From its version 9.8 on cuDNN checks a graph without a device.
TEST(CudnnGraph, IsTakenByTheLibraryItself) {
  const auto dnn = load_cudnn();
  if (dnn.code() == StatusCode::kNotFound) GTEST_SKIP() << "skipped: cuDNN is not installed";
  ASSERT_TRUE(dnn.ok()) << to_string(dnn.error());
  for (const ConvolutionCase& c : kCases) {
    SCOPED_TRACE(c.name());
    CudnnDescriber describe(*dnn);
    const auto graph = convolution_graph(describe, nullptr, testing::ConvolutionOperands(c).call({}));
    ASSERT_TRUE(graph);
    EXPECT_EQ(describe.status(), CUDNN_STATUS_SUCCESS);
  }
}

}  // namespace
}  // namespace weft
