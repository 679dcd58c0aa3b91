// Dense products on any device by its kernel and by its vendor's library, against the definition: simt:0, which has no library, or
// the device that WEFT_TEST_DEVICE names.
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/ops.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/testing/demand.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/device_name.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::demand;
using testing::encoded;
using testing::take;

struct Case {
  DType dtype, c_dtype;
  int64_t m, n, k;
  std::optional<Activation> activation;
  bool bias, residual;
  int64_t spare;  // elements between rows
};
const Case kCases[] = {{DType::kBF16, DType::kBF16, 130, 136, 320, {}, true, true, 0},
                       {DType::kBF16, DType::kBF16, 128, 64, 64, Activation::kRelu, true, false, 8},
                       {DType::kBF16, DType::kF32, 77, 72, 136, {}, true, true, 16},
                       {DType::kBF16, DType::kBF16, 64, 128, 640, Activation::kGeluTanh, true, false, 0},
                       {DType::kF16, DType::kF16, 65, 96, 72, {}, false, true, 8},
                       {DType::kF16, DType::kF32, 33, 64, 512, {}, true, true, 0},
                       {DType::kF32, DType::kF32, 65, 68, 100, {}, true, true, 4},
                       {DType::kF32, DType::kF32, 9, 8, 36, Activation::kRelu, true, false, 0}};

/// A product's operands, on the device and as the definition takes them.
class OnDevice {
 public:
  OnDevice(const DeviceStream& stream, const Case& c) : stream_(stream), case_(c) {
    const int64_t a_stride = c.k + c.spare, c_stride = c.n + c.spare;
    a_ = encoded(c.dtype, testing::random_normal(c.m * a_stride, 1));
    w_ = encoded(c.dtype, testing::random_normal(c.n * c.k, 2));
    bias_ = testing::random_normal(c.n, 3);
    residual_ = encoded(c.c_dtype, testing::random_normal(c.m * c_stride, 4));
    g_ = {.dtype = c.dtype,
          .activation = c.activation,
          .c_dtype = c.c_dtype,
          .m = c.m,
          .n = c.n,
          .k = c.k,
          .a_stride = a_stride,
          .residual_stride = c_stride,
          .c_stride = c_stride};
    g_.a = put(a_.data(), a_.size());
    g_.w = put(w_.data(), w_.size());
    if (c.bias) g_.bias = reinterpret_cast<const float*>(put(bias_.data(), bias_.size() * 4));
    if (c.residual) g_.residual = put(residual_.data(), residual_.size());
    g_.c = out_ = put(residual_.data(), residual_.size());
  }

  GemmCuda by(ProductEngine engine) {
    GemmCuda g = g_;
    g.engine = engine;
    memory_.push_back(take(
        DeviceBuffer::allocate(stream_, static_cast<uint64_t>(gemm_cuda_workspace(g)) * 4, "workspace")));
    g.workspace = reinterpret_cast<float*>(memory_.back().data());
    return g;
  }

  /// Without what lies between rows.
  std::vector<float> result() const {
    std::vector<uint8_t> bytes(residual_.size());
    demand(stream_.copy_to_host(bytes.data(), out_, bytes.size()));
    demand(stream_.synchronize());
    return rows_of(decoded(case_.c_dtype, bytes));
  }

  std::vector<float> reference() const {
    const std::vector<float> a = decoded(case_.dtype, a_), w = decoded(case_.dtype, w_),
                             residual = rows_of(decoded(case_.c_dtype, residual_));
    std::vector<float> want(static_cast<size_t>(case_.m * case_.n));
    Gemm g;
    g.a = TensorView::contiguous(a.data(), DType::kF32, {case_.m, case_.k});
    g.a.strides[0] = g_.a_stride;
    g.w.shape = {case_.n, case_.k, DType::kF32};
    g.bias = case_.bias ? bias_.data() : nullptr;
    g.activation = case_.activation;
    if (case_.residual) g.residual = TensorView::contiguous(residual.data(), DType::kF32, {case_.m, case_.n});
    g.c = TensorView::contiguous(want.data(), DType::kF32, {case_.m, case_.n});
    gemm_reference(g, WeightFormat::kF32, w.data());
    return want;
  }

 private:
  std::byte* put(const void* values, size_t size) {
    memory_.push_back(take(DeviceBuffer::allocate(stream_, size, "operand")));
    demand(stream_.copy_to_device(memory_.back().data(), values, size));
    demand(stream_.synchronize());
    return memory_.back().data();
  }
  std::vector<float> rows_of(const std::vector<float>& padded) const {
    std::vector<float> rows;
    for (int64_t row = 0; row < case_.m; ++row)
      rows.insert(rows.end(), padded.begin() + row * g_.c_stride,
                  padded.begin() + row * g_.c_stride + case_.n);
    return rows;
  }

  const DeviceStream stream_;
  const Case case_;
  std::vector<uint8_t> a_, w_, residual_;
  std::vector<float> bias_;
  std::vector<DeviceBuffer> memory_;
  GemmCuda g_;
  std::byte* out_ = nullptr;
};

struct AnyDeviceProducts : ::testing::TestWithParam<Case> {
  std::shared_ptr<ComputeDevice> device = take(ComputeDevice::open(testing::device_name()));
  DeviceStream stream = take(DeviceStream::create(device));

  void expect_near(const std::vector<float>& got, const std::vector<float>& want) const {
    EXPECT_LT(testing::relative_error(got.data(), want.data(), static_cast<int64_t>(want.size())),
              2 * testing::tolerance(GetParam().dtype, GetParam().c_dtype));
  }
};

TEST_P(AnyDeviceProducts, ByItsKernel) {
  OnDevice product(stream, GetParam());
  demand(device->ops().gemm(product.by(ProductEngine::kKernel), stream));
  expect_near(product.result(), product.reference());
}

TEST_P(AnyDeviceProducts, ByItsLibraryWhereItHasOne) {
  OnDevice product(stream, GetParam());
  const GemmCuda g = product.by(ProductEngine::kLibrary);
  const Status done = device->ops().gemm(g, stream);
  if (device->facts().compute_major == 0) {
    EXPECT_EQ(done.code(), StatusCode::kUnsupported);
    return;
  }
  if (done.code() == StatusCode::kNotFound) GTEST_SKIP() << "skipped: " << to_string(done.error());
  ASSERT_TRUE(done.ok()) << to_string(done.error());
  const std::vector<float> first = product.result();
  expect_near(first, product.reference());

  // In a graph, again and again: the same bits.
  const DeviceGraph graph = take(DeviceGraph::capture(stream, [&] { return device->ops().gemm(g, stream); }));
  for (int i = 0; i < 3; ++i) {
    demand(device->driver().fill(g.c, 0, static_cast<uint64_t>(size_bytes(g.c_dtype)), stream.native()));
    demand(graph.launch(stream));
    EXPECT_EQ(product.result(), first);
  }
}

TEST_P(AnyDeviceProducts, AsConvolutionsOfOnePixel) {
  if (GetParam().spare > 0) return;  // pixels are adjacent
  OnDevice product(stream, GetParam());
  for (const ProductEngine engine : {ProductEngine::kKernel, ProductEngine::kLibrary}) {
    const GemmCuda g = product.by(engine);
    const Status done = device->ops().convolution({.dtype = g.dtype,
                                                   .x = g.a,
                                                   .images = g.m,
                                                   .h = 1,
                                                   .w = 1,
                                                   .channels = g.k,
                                                   .weights = g.w,
                                                   .out_channels = g.n,
                                                   .out_h = 1,
                                                   .out_w = 1,
                                                   .bias = g.bias,
                                                   .activation = g.activation,
                                                   .y_dtype = g.c_dtype,
                                                   .residual = g.residual,
                                                   .y = g.c,
                                                   .workspace = g.workspace,
                                                   .engine = engine},
                                                  stream);
    if (engine == ProductEngine::kLibrary && !done.ok()) {
      EXPECT_TRUE(done.code() == StatusCode::kUnsupported || done.code() == StatusCode::kNotFound)
          << to_string(done.error());
      return;
    }
    demand(done);
    expect_near(product.result(), product.reference());
  }
}

INSTANTIATE_TEST_SUITE_P(AnyDevice, AnyDeviceProducts, ::testing::ValuesIn(kCases), [](const auto& test) {
  const Case& c = test.param;
  return std::to_string(c.m) + "By" + std::to_string(c.n) + "By" + std::to_string(c.k) + "Bytes" +
         std::to_string(size_bytes(c.dtype)) + "To" + std::to_string(size_bytes(c.c_dtype));
});

}  // namespace
}  // namespace weft
