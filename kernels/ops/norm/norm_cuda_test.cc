// The CUDA kernel on the CPU, in every order of threads and as nvcc's PTX, against the definition.

#include "kernels/ops/norm/norm_cuda.h"

#include <gtest/gtest.h>

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
  NormKind kind;
  DType dtype;
  int64_t rows, cols, stride;
  bool residual, bias;
  size_t shift;  // elements by which x and y are off their alignment
};
// All paths: vectors and single elements, each block size, lengths beside them, strides, additions.
const Case kCases[] = {
    {NormKind::kRms, DType::kF32, 2, 576, 576, false, false, 0},
    {NormKind::kRms, DType::kBF16, 3, 512, 512, true, false, 0},
    {NormKind::kRms, DType::kF16, 1, 4096, 4096, false, false, 0},
    {NormKind::kLayer, DType::kBF16, 5, 1280, 1288, true, true, 0},
    {NormKind::kRms, DType::kBF16, 2, 1028, 1028, false, false, 4},
    {NormKind::kRms, DType::kF32, 1, 2048, 2048, false, false, 0},
    {NormKind::kRms, DType::kBF16, 1, 4100, 4100, true, false, 0},
    {NormKind::kLayer, DType::kF32, 2, 768, 800, true, true, 0},
    {NormKind::kLayer, DType::kBF16, 1, 8192, 8192, false, false, 0},
    {NormKind::kRms, DType::kF32, 2, 1, 1, false, false, 0},
    {NormKind::kRms, DType::kF32, 2, 127, 131, true, false, 1},
    {NormKind::kLayer, DType::kF16, 2, 515, 515, true, true, 3},
    {NormKind::kLayer, DType::kF32, 1, 4099, 4099, false, true, 1},
};

class NormCudaCases : public ::testing::TestWithParam<Case> {};

TEST_P(NormCudaCases, GivesWhatTheReferenceGives) {
  const Case& c = GetParam();
  const int64_t count = c.rows * c.stride;
  // A large mean shows a variance that is computed in one pass.
  std::vector<float> values = testing::random_normal(count, 1);
  for (float& v : values) v += 50;
  const std::vector<uint8_t> x = encoded(c.dtype, values);
  const std::vector<uint8_t> added = encoded(c.dtype, testing::random_normal(count, 2));
  const std::vector<float> weight = testing::random_normal(c.cols, 3),
                           bias = testing::random_normal(c.cols, 4);

  std::vector<float> sum = decoded(c.dtype, x);
  if (c.residual) {
    const std::vector<float> r = decoded(c.dtype, added);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += r[i];
  }
  const Norm host{c.kind, weight.data(), c.bias ? bias.data() : nullptr, 1e-5f};
  std::vector<float> want(sum.size());
  norm_reference(host, sum.data(), c.stride, want.data(), c.stride, c.rows, c.cols);

  for (const simt::Target& target : simt::targets("norm")) {
    SCOPED_TRACE(target.name);
    simt::Device device(target.options);
    const size_t shift = c.shift * static_cast<size_t>(size_bytes(c.dtype));
    simt::Buffer<uint8_t> in(device, "x", x, shift), residual(device, "residual", added, shift),
        kept(device, "sum", std::vector<uint8_t>(x.size()), shift),
        out(device, "y", std::vector<uint8_t>(x.size()), shift);
    simt::Buffer<float> w(device, "weight", weight), b(device, "bias", bias);
    NormCuda n{.norm = host,
               .dtype = c.dtype,
               .x = in.data(),
               .y = out.data(),
               .rows = c.rows,
               .cols = c.cols,
               .x_stride = c.stride,
               .y_stride = c.stride};
    n.norm.weight = w.data();
    if (c.bias) n.norm.bias = b.data();
    if (c.residual) n.residual = residual.data(), n.sum = kept.data();
    ASSERT_TRUE(norm_cuda(n, &device).ok()) << device.report().text();
    const std::vector<float> got = decoded(c.dtype, out.values()), got_sum = decoded(c.dtype, kept.values());
    for (int64_t row = 0; row < c.rows; ++row) {
      const int64_t at = row * c.stride;
      EXPECT_LT(
          testing::relative_error(&got[static_cast<size_t>(at)], &want[static_cast<size_t>(at)], c.cols),
          testing::tolerance(c.dtype) * (c.kind == NormKind::kLayer ? 4 : 1));
      if (c.residual) {
        EXPECT_LT(
            testing::relative_error(&got_sum[static_cast<size_t>(at)], &sum[static_cast<size_t>(at)], c.cols),
            testing::tolerance(c.dtype));
      }
    }
    const bool vectors = c.shift == 0 && c.cols % 4 == 0;
    // Eight elements of x are two accesses of the weights, each of every second 16 bytes.
    const bool eight = vectors && c.dtype != DType::kF32 && c.cols % 8 == 0 && c.cols > 512;
    EXPECT_EQ(device.report().beyond({.extra_sectors_per_request = eight ? 16.0 : vectors ? 0.0 : 1.0}), "");
  }
}

INSTANTIATE_TEST_SUITE_P(NormCuda, NormCudaCases, ::testing::ValuesIn(kCases), [](const auto& test) {
  const Case& c = test.param;
  return std::string(c.kind == NormKind::kRms ? "Rms" : "Layer") + std::to_string(c.cols) + "Shift" +
         std::to_string(c.shift) + "Bytes" + std::to_string(size_bytes(c.dtype));
});

TEST(NormCuda, WorksInPlace) {
  const std::vector<float> x = testing::random_normal(600, 5), weight = testing::random_normal(600, 6);
  std::vector<float> want(600);
  norm_reference({NormKind::kRms, weight.data(), nullptr, 1e-5f}, x.data(), 600, want.data(), 600, 1, 600);
  for (const simt::Target& target : simt::targets("norm")) {
    simt::Device device(target.options);
    simt::Buffer<float> in(device, "x", x), w(device, "weight", weight);
    ASSERT_TRUE(norm_cuda({.norm = {NormKind::kRms, w.data(), nullptr, 1e-5f},
                           .x = in.data(),
                           .y = in.data(),
                           .rows = 1,
                           .cols = 600,
                           .x_stride = 600,
                           .y_stride = 600},
                          &device)
                    .ok())
        << device.report().text();
    EXPECT_LT(testing::relative_error(in.values().data(), want.data(), 600), testing::tolerance(DType::kF32));
  }
}

TEST(NormCuda, RefusesWhatItCannotDo) {
  float x = 0;
  const auto code = [&](NormCuda n) { return norm_cuda(n, nullptr).code(); };
  const NormCuda good{.norm = {NormKind::kRms, &x, nullptr, 1e-5f},
                      .x = &x,
                      .y = &x,
                      .rows = 0,
                      .cols = 1,
                      .x_stride = 1,
                      .y_stride = 1};
  EXPECT_EQ(code(good), StatusCode::kOk);
  NormCuda n = good;
  n.cols = kMaxNormCudaCols + 1;
  EXPECT_EQ(code(n), StatusCode::kInvalidShape);
  n = good, n.rows = 2, n.x_stride = 0;
  EXPECT_EQ(code(n), StatusCode::kInvalidShape);
  n = good, n.rows = 1, n.x = nullptr;
  EXPECT_EQ(code(n), StatusCode::kInvalidArgument);
  n = good, n.norm.epsilon = 0;
  EXPECT_EQ(code(n), StatusCode::kInvalidArgument);
  n = good, n.norm.bias = &x;
  EXPECT_EQ(code(n), StatusCode::kInvalidArgument);
  n = good, n.rows = 1, n.dtype = DType::kI32;
  EXPECT_EQ(code(n), StatusCode::kUnsupported);
}

TEST(NormCuda, KeepsItsStaticBounds) {
  if (!simt::has_nvcc_output("norm")) GTEST_SKIP() << simt::kNoNvcc;
  // Long rows keep 32 elements a thread.
  const simt::StaticBounds bounds[] = {{.kernel = "Li1024E", .registers = 64, .occupancy = 0.5},
                                       {.kernel = "norm_rows_kernel", .registers = 56, .occupancy = 0.5}};
  EXPECT_EQ(simt::beyond_static_bounds("norm", bounds), "");
}

}  // namespace
}  // namespace weft
