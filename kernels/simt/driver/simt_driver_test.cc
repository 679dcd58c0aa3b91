#include "kernels/simt/driver/simt_driver.h"

#include <gtest/gtest.h>

#include <optional>

#include "kernels/device/device.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

/// A device of its own, and a stream.
struct Simt {
  explicit Simt(const char* options) {
    auto parsed = parse_simt_options(options);
    EXPECT_TRUE(parsed.ok());
    driver = *SimtDriver::create(*std::move(parsed));
    device = ComputeDevice::over(driver);
    stream.emplace(*DeviceStream::create(device));
  }
  DeviceBuffer upload(const std::vector<float>& values, const char* tag) {
    auto memory = DeviceBuffer::allocate(*stream, values.size() * 4, tag);
    EXPECT_TRUE(memory.ok());
    EXPECT_TRUE(stream->copy_to_device(memory->data(), values.data(), values.size() * 4).ok());
    return *std::move(memory);
  }
  std::vector<float> download(const DeviceBuffer& memory) {
    std::vector<float> values(memory.size_bytes() / 4);
    EXPECT_TRUE(stream->copy_to_host(values.data(), memory.data(), memory.size_bytes()).ok());
    const Status passed = stream->synchronize();
    EXPECT_TRUE(passed.ok()) << (passed.ok() ? "" : to_string(passed.error()));
    return values;
  }
  std::shared_ptr<SimtDriver> driver;
  std::shared_ptr<ComputeDevice> device;
  std::optional<DeviceStream> stream;
};

NormCuda rms(const DeviceBuffer& weight, const DeviceBuffer& x, const DeviceBuffer& y, int64_t rows,
             int64_t cols) {
  NormCuda n;
  n.norm.weight = reinterpret_cast<const float*>(weight.data());
  n.x = x.data();
  n.y = y.data();
  n.rows = rows;
  n.cols = n.x_stride = n.y_stride = cols;
  return n;
}

TEST(SimtDriver, RunsKernelsInTheOrderOfTheirStream) {
  constexpr int64_t kRows = 3, kCols = 64;
  for (const char* options : {"", "delay=1", "delay=2 order=3"}) {
    SCOPED_TRACE(options);
    Simt simt(options);
    const std::vector<float> w = testing::random_normal(kCols, 1),
                             x = testing::random_normal(kRows * kCols, 2);
    std::vector<float> want(x.size());
    norm_reference({NormKind::kRms, w.data(), nullptr, 1e-5f}, x.data(), kCols, want.data(), kCols, kRows,
                   kCols);
    activation_reference(Activation::kSilu, want.data(), nullptr, kRows * kCols);
    const DeviceBuffer weight = simt.upload(w, "weight"), in = simt.upload(x, "x");
    auto y = DeviceBuffer::allocate(*simt.stream, x.size() * 4, "y");
    ASSERT_TRUE(simt.device->ops().norm(rms(weight, in, *y, kRows, kCols), *simt.stream).ok());
    {
      ActivationCuda a;  // gone before the kernel runs
      a.gate = y->data(), a.y = y->data();
      a.rows = 1, a.cols = a.gate_stride = a.y_stride = kRows * kCols;
      ASSERT_TRUE(simt.device->ops().activation(a, *simt.stream).ok());
    }
    const std::vector<float> got = simt.download(*y);
    EXPECT_LT(testing::relative_error(got.data(), want.data(), kRows * kCols),
              testing::tolerance(DType::kF32));
    EXPECT_EQ(simt.driver->launches(), 2u);
  }
}

TEST(SimtDriver, RefusesArgumentsAtTheCall) {
  Simt simt("");
  EXPECT_EQ(simt.device->ops().norm({}, *simt.stream).code(), StatusCode::kInvalidShape);
  EXPECT_TRUE(simt.stream->synchronize().ok());
}

TEST(SimtDriver, AKernelThatLeavesItsMemoryLosesTheDevice) {
  Simt simt("");
  const DeviceBuffer weight = simt.upload(std::vector<float>(64, 1), "weight"),
                     x = simt.upload(std::vector<float>(2 * 64, 1), "hidden states");
  auto y = DeviceBuffer::allocate(*simt.stream, 3 * 64 * 4, "y");
  ASSERT_TRUE(simt.device->ops().norm(rms(weight, x, *y, 3, 64), *simt.stream).ok()) << "not run yet";
  const Status lost = simt.stream->synchronize();
  ASSERT_EQ(lost.code(), StatusCode::kDeviceLost);
  const std::string text = to_string(lost.error());
  for (const char* part : {"simt:0", "norm_rows", "hidden states", "norm.cu:"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(to_string(simt.stream->synchronize().error()), text) << "as every call from then on";
  EXPECT_EQ(simt.device->ops().norm(rms(weight, x, *y, 1, 64), *simt.stream).code(), StatusCode::kDeviceLost);
}

TEST(SimtDriver, AKernelThatReadsWhatWasGivenBackLosesTheDevice) {
  Simt simt("");
  const DeviceBuffer weight = simt.upload(std::vector<float>(64, 1), "weight"),
                     keep = simt.upload({1}, "keep");
  auto y = DeviceBuffer::allocate(*simt.stream, 64 * 4, "y");
  NormCuda n;
  {
    const DeviceBuffer x = simt.upload(std::vector<float>(64, 1), "x");
    n = rms(weight, x, *y, 1, 64);
  }
  ASSERT_TRUE(simt.device->ops().norm(n, *simt.stream).ok());
  const Status lost = simt.stream->synchronize();
  ASSERT_EQ(lost.code(), StatusCode::kDeviceLost);
  EXPECT_NE(to_string(lost.error()).find("norm.cu:"), std::string::npos) << to_string(lost.error());
}

TEST(SimtDriver, FailsTheLaunchThatItIsToldTo) {
  Simt simt("fail_launch=2");
  const DeviceBuffer x = simt.upload({1, 2, 3, 4}, "x");
  const auto add = [&] {
    auto* data = reinterpret_cast<float*>(x.data());
    return simt.device->ops().add({data, data, 4}, *simt.stream);
  };
  ASSERT_TRUE(add().ok());
  ASSERT_TRUE(simt.stream->synchronize().ok());
  ASSERT_TRUE(add().ok());
  const Status lost = simt.stream->synchronize();
  ASSERT_EQ(lost.code(), StatusCode::kDeviceLost);
  EXPECT_NE(to_string(lost.error()).find("launch 2 was to fail"), std::string::npos);
}

TEST(SimtDriver, ReadsItsOptions) {
  const auto options = parse_simt_options("memory=3MiB  delay=4 order=5 fail_allocation=6 fail_launch=7");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->host.memory_bytes, 3u << 20);
  EXPECT_EQ(options->host.delay_seed, 4u);
  EXPECT_EQ(options->order, 5);
  EXPECT_EQ(options->host.fail_allocation, 6u);
  EXPECT_EQ(options->fail_launch, 7u);
  for (const char* bad : {"memory", "memory=", "memory=x", "memory=1TB", "speed=1", "delay=-1"})
    EXPECT_EQ(parse_simt_options(bad).code(), StatusCode::kInvalidArgument) << bad;
}

TEST(SimtLibrary, OpensByNameAndIsSharedByAllWhoOpenIt) {
  auto first = ComputeDevice::open("simt:0"), second = ComputeDevice::open("simt");
  ASSERT_TRUE(first.ok()) << to_string(first.error());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(&(*first)->driver(), &(*second)->driver());
  EXPECT_EQ((*first)->facts().name, "simt:0");
  EXPECT_EQ(ComputeDevice::open("simt:1").code(), StatusCode::kNotFound);
  (*first)->ops().for_each([&](const auto& op) { EXPECT_TRUE(op.served()) << op.name(); });
  auto stream = DeviceStream::create(*first);
  EXPECT_EQ(to_string(DeviceOps().rope({}, *stream).error()), "op rope is not on simt:0; it runs on the CPU");
}

}  // namespace
}  // namespace weft
