// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/activation/activation_cuda.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/simt/static_bounds.h"
#include "kernels/simt/targets.h"
#include "kernels/testing/device_data.h"
#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::decoded;
using testing::encoded;

struct Case {
  DType dtype;
  int64_t rows, cols, stride;
  bool gated;
  size_t shift;
};

/// gate and up lie side by side where the stride allows it.
void expect_as_reference(Activation f, const Case& c) {
  const int64_t count = c.rows * c.stride;
  std::vector<float> values = testing::random_normal(count, 1);
  for (float& v : values) v *= 4;  // into the tails
  const std::vector<uint8_t> gate = encoded(c.dtype, values),
                             up = encoded(c.dtype, testing::random_normal(count, 2));
  std::vector<float> want = decoded(c.dtype, gate);
  const std::vector<float> factors = decoded(c.dtype, up);
  activation_reference(f, want.data(), c.gated ? factors.data() : nullptr, count);
  for (const simt::Target& target : simt::targets("activation")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    const size_t shift = c.shift * static_cast<size_t>(size_bytes(c.dtype));
    simt::Buffer<uint8_t> g(device, "gate", gate, shift), u(device, "up", up, shift),
        y(device, "y", std::vector<uint8_t>(gate.size()), shift);
    const ActivationCuda a{f,        c.dtype, g.data(), c.gated ? u.data() : nullptr,
                           y.data(), c.rows,  c.cols,   c.stride,
                           c.stride, c.stride};
    ASSERT_TRUE(activate_cuda(a, &device).ok()) << device.report().text();
    const std::vector<float> got = decoded(c.dtype, y.values());
    for (int64_t row = 0; row < c.rows; ++row)
      EXPECT_LT(testing::relative_error(got.data() + row * c.stride, want.data() + row * c.stride, c.cols),
                testing::tolerance(c.dtype));
    const bool sectors = c.shift == 0 && c.stride * size_bytes(c.dtype) % 32 == 0 && c.cols % 4 == 0;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = sectors ? 0.0 : 1.0}), "");
  }
}

TEST(ActivationCuda, EveryFunctionGivesWhatTheReferenceGives) {
  for (const Activation f : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu,
                             Activation::kReluSquared, Activation::kQuickGelu}) {
    SCOPED_TRACE(static_cast<int>(f));
    expect_as_reference(f, {DType::kF32, 1, 512, 512, true, 0});
    expect_as_reference(f, {DType::kF32, 1, 100, 100, false, 0});
  }
}

TEST(ActivationCuda, ServesEveryTypeStrideAndAlignment) {
  expect_as_reference(Activation::kSilu, {DType::kBF16, 2, 1536, 3072, true, 0});
  expect_as_reference(Activation::kGeluTanh, {DType::kF16, 2, 1028, 1028, true, 0});
  expect_as_reference(Activation::kSilu, {DType::kF16, 3, 1, 1, true, 1});
  expect_as_reference(Activation::kSilu, {DType::kBF16, 2, 1031, 1031, false, 1});
  expect_as_reference(Activation::kSilu, {DType::kF32, 2, 259, 301, true, 3});
}

TEST(ActivationCuda, AddsToEveryType) {
  constexpr int64_t kCount = 333;
  const std::vector<float> y = testing::random_normal(kCount, 2);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const std::vector<uint8_t> x = encoded(dtype, testing::random_normal(kCount, 1));
    std::vector<float> want = decoded(dtype, x);
    for (size_t i = 0; i < want.size(); ++i) want[i] += y[i];
    want = decoded(dtype, encoded(dtype, want));  // rounded once
    for (const simt::Target& target : simt::targets("activation")) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<uint8_t> a(device, "x", x);
      simt::Buffer<float> b(device, "y", y);
      ASSERT_TRUE(add_cuda({a.data(), b.data(), kCount, dtype}, &device).ok()) << device.report().text();
      EXPECT_EQ(decoded(dtype, a.values()), want);
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 0}), "");
    }
  }
}

TEST(ActivationCuda, ScalesAndShiftsElements) {
  for (const int64_t count : {1, 255, 1000}) {
    const std::vector<float> x = testing::random_normal(count, 1);
    std::vector<float> want = x;
    for (float& value : want) value = 2 * value - 0.75f;
    for (const simt::Target& target : simt::targets("activation")) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<float> a(device, "x", x);
      ASSERT_TRUE(affine_cuda({2, -0.75f, a.data(), count}, &device).ok()) << device.report().text();
      EXPECT_EQ(a.values(), want);
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 0}), "");
    }
  }
}

TEST(ActivationCuda, AddsAndCapsElements) {
  for (const int64_t count : {1, 255, 1000}) {
    const std::vector<float> x = testing::random_normal(count, 1), y = testing::random_normal(count, 2);
    std::vector<float> want = x;
    for (size_t i = 0; i < want.size(); ++i) want[i] = 1.5f * std::tanh((x[i] + y[i]) / 1.5f);
    for (const simt::Target& target : simt::targets("activation")) {
      SCOPED_TRACE(target.name);
      simt::Device device(target.options);
      simt::Buffer<float> a(device, "x", x), b(device, "y", y);
      ASSERT_TRUE(add_cuda({a.data(), b.data(), count}, &device).ok()) << device.report().text();
      ASSERT_TRUE(soft_cap_cuda({1.5f, a.data(), count}, &device).ok()) << device.report().text();
      EXPECT_LT(testing::relative_error(a.values().data(), want.data(), count),
                testing::tolerance(DType::kF32));
      EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = 0}), "");
    }
  }
  float x = 0;
  EXPECT_EQ(add_cuda({nullptr, nullptr, -1}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(add_cuda({&x, &x, 1, DType::kI8}, nullptr).code(), StatusCode::kUnsupported);
  EXPECT_EQ(affine_cuda({1, 0, nullptr, -1}, nullptr).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(affine_cuda({1, 0, nullptr, 1}, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(add_cuda({nullptr, nullptr, 1}, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(soft_cap_cuda({0, nullptr, 0}, nullptr).code(), StatusCode::kInvalidArgument);
}

TEST(ActivationCuda, RefusesWhatItCannotDo) {
  float x = 0;
  const ActivationCuda good{Activation::kSilu, DType::kF32, &x, nullptr, &x, 0, 1, 1, 1, 1};
  EXPECT_TRUE(activate_cuda(good, nullptr).ok());
  ActivationCuda a = good;
  a.rows = -1;
  EXPECT_EQ(activate_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a = good, a.rows = 2, a.gate_stride = 0;
  EXPECT_EQ(activate_cuda(a, nullptr).code(), StatusCode::kInvalidShape);
  a = good, a.rows = 1, a.gate = nullptr;
  EXPECT_EQ(activate_cuda(a, nullptr).code(), StatusCode::kInvalidArgument);
  a = good, a.rows = 1, a.dtype = DType::kI8;
  EXPECT_EQ(activate_cuda(a, nullptr).code(), StatusCode::kUnsupported);
}

TEST(ActivationCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("activation")) GTEST_SKIP() << simt::kNoNvcc;
  const simt::StaticBounds bounds[] = {{.kernel = "activate_rows", .registers = 32, .occupancy = 1},
                                       {.kernel = "add_elements", .registers = 32, .occupancy = 1},
                                       {.kernel = "affine_elements", .registers = 32, .occupancy = 1},
                                       {.kernel = "soft_cap_elements", .registers = 32, .occupancy = 1}};
  EXPECT_EQ(simt::beyond_static_bounds("activation", bounds), "");
}

}  // namespace
}  // namespace weft
