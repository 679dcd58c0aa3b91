#include "kernels/ops/gemm/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/tensor_checks.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::AlignedBytes;
using testing::available_levels;
using testing::FloatTensor;
using testing::Threads;

/// A weight matrix as a file has it and packed.
struct Weights {
  Weights(GemmShape shape, WeightFormat source, uint64_t seed = 1)
      : format(source),
        file(testing::random_weights(source, shape.n * shape.k, seed)),
        packed(*gemm_packed_bytes(shape)) {
    const Threads threads(2);
    EXPECT_TRUE(pack_gemm_weights(shape, format, file.data(), packed.data(), threads.executor()).ok());
    weights = {shape, packed.data()};
  }
  WeightFormat format;
  std::vector<uint8_t> file;
  AlignedBytes packed;
  GemmWeights weights;
};

void run(Gemm g, uint32_t n_threads, IsaLevel level) {
  AlignedBytes scratch(gemm_scratch_bytes(n_threads));
  g.scratch = scratch.data();
  const Threads threads(n_threads);
  const Status status = gemm(g, threads.executor(), level);
  ASSERT_TRUE(status.ok()) << to_string(status.error());
}

struct Case {
  int64_t m, n, k;
};
constexpr Case kCases[] = {{1, 1, 1},    {2, 16, 2},    {3, 17, 33},   {7, 48, 31},  {8, 96, 64},
                           {9, 100, 65}, {13, 33, 320}, {25, 64, 700}, {70, 20, 17}, {5, 130, 1100}};

TEST(Gemm, AgreesWithTheReferenceAtEveryLevelShapeAndType) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const Case& s : kCases) {
      const WeightFormat format = s.n % 2 ? WeightFormat::kF16 : WeightFormat::kF32;
      const Weights w({.n = s.n, .k = s.k, .compute = compute}, format);
      for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
        const FloatTensor a(type, {s.m, s.k}, 2), empty(type, {s.m, s.n}, 0);
        FloatTensor want = empty;
        Gemm g = {.a = a.view(), .w = w.weights, .c = want.view()};
        gemm_reference(g, format, w.file.data());
        for (const IsaLevel level : available_levels()) {
          FloatTensor got = empty;
          g.c = got.view();
          run(g, 1, level);
          EXPECT_LE(testing::relative_error(got, want), testing::tolerance(compute, type))
              << to_string(level) << " m " << s.m << " n " << s.n << " k " << s.k;
          EXPECT_TRUE(got.gaps_untouched());
        }
      }
    }
  }
}

TEST(Gemm, AddsBiasActivationAndResidual) {
  const int64_t m = 11, n = 53, k = 40;
  const std::vector<float> bias = testing::random_normal(n, 3);
  for (const Activation f :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kQuickGelu}) {
    for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
      const Weights w({.n = n, .k = k, .compute = compute}, WeightFormat::kF32);
      const FloatTensor a(DType::kF32, {m, k}, 2), residual(DType::kBF16, {m, n}, 4),
          empty(DType::kF32, {m, n}, 0);
      FloatTensor want = empty;
      Gemm g = {.a = a.view(),
                .w = w.weights,
                .bias = bias.data(),
                .activation = f,
                .residual = residual.view(),
                .c = want.view()};
      gemm_reference(g, w.format, w.file.data());
      for (const IsaLevel level : available_levels()) {
        FloatTensor got = empty;
        g.c = got.view();
        run(g, 2, level);
        EXPECT_LE(testing::relative_error(got, want), testing::tolerance(compute, DType::kF32))
            << to_string(level);
      }
    }
  }
}

TEST(Gemm, MultipliesValuesByTheirGates) {
  for (const int64_t half : {1, 16, 40, 200}) {
    for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
      const int64_t m = 9, n = 2 * half, k = 65;
      const std::vector<float> bias = testing::random_normal(n, 3);
      const Weights w({.n = n, .k = k, .compute = compute, .pairing = GemmPairing::kValueGate},
                      WeightFormat::kF32);
      const FloatTensor a(DType::kF32, {m, k}, 2), empty(DType::kF32, {m, half}, 0);
      FloatTensor want = empty;
      Gemm g = {.a = a.view(),
                .w = w.weights,
                .bias = bias.data(),
                .activation = Activation::kGelu,
                .c = want.view()};
      gemm_reference(g, w.format, w.file.data());
      for (const IsaLevel level : available_levels()) {
        FloatTensor got = empty;
        g.c = got.view();
        run(g, 2, level);
        EXPECT_LE(testing::relative_error(got, want), testing::tolerance(compute, DType::kF32))
            << to_string(level) << " half " << half;
      }
    }
  }
}

TEST(Gemm, AddsIntoItsResidualInPlace) {
  const int64_t m = 5, n = 40, k = 24;
  const Weights w({.n = n, .k = k, .compute = DType::kF32}, WeightFormat::kF32);
  const FloatTensor a(DType::kF32, {m, k}, 2), residual(DType::kF32, {m, n}, 3);
  FloatTensor apart(DType::kF32, {m, n}, 0), together = residual;
  run({.a = a.view(), .w = w.weights, .residual = residual.view(), .c = apart.view()}, 2, active_isa());
  run({.a = a.view(), .w = w.weights, .residual = together.view(), .c = together.view()}, 2, active_isa());
  EXPECT_EQ(apart.values(), together.values());
}

TEST(Gemm, GivesARowTheSameBitsForEveryNumberOfRowsAndThreads) {
  const int64_t m = 37, n = 200, k = 1111;
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Weights w({.n = n, .k = k, .compute = compute}, WeightFormat::kF32);
    const FloatTensor a(DType::kF32, {m, k}, 2);
    for (const IsaLevel level : available_levels()) {
      FloatTensor all(DType::kF32, {m, n}, 0);
      run({.a = a.view(), .w = w.weights, .c = all.view()}, 1, level);
      for (const int64_t rows : {1, 3, 8, 20}) {
        FloatTensor parts(DType::kF32, {m, n}, 0);
        for (int64_t first = 0; first < m; first += rows) {
          const int64_t count = std::min(rows, m - first);
          run({.a = a.rows(first, count), .w = w.weights, .c = parts.rows(first, count)},
              static_cast<uint32_t>(1 + first % 4), level);
        }
        ASSERT_EQ(all.values(), parts.values()) << to_string(level) << " rows " << rows;
      }
    }
  }
}

TEST(Gemm, KeepsNonFiniteValuesInTheirRow) {
  for (const DType compute : {DType::kF32, DType::kBF16, DType::kF16}) {
    const Weights w({.n = 20, .k = 33, .compute = compute}, WeightFormat::kF32);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      FloatTensor a(DType::kF32, {3, 33}, 2);
      a.set(33 + 32, bad);
      for (const IsaLevel level : available_levels()) {
        FloatTensor c(DType::kF32, {3, 20}, 0);
        run({.a = a.view(), .w = w.weights, .c = c.view()}, 1, level);
        const std::vector<float> y = c.values();
        for (size_t i = 0; i < 20; ++i) {
          EXPECT_TRUE(std::isfinite(y[i])) << to_string(level);
          EXPECT_FALSE(std::isfinite(y[20 + i])) << to_string(level);
          EXPECT_TRUE(std::isfinite(y[40 + i])) << to_string(level);
        }
      }
    }
  }
}

TEST(Gemm, AcceptsNoRows) {
  const Weights w({.n = 4, .k = 3, .compute = DType::kF32}, WeightFormat::kF32);
  const Threads threads(1);
  const Gemm g = {.a = TensorView::contiguous(nullptr, DType::kF32, {0, 3}),
                  .w = w.weights,
                  .c = TensorView::contiguous(nullptr, DType::kF32, {0, 4})};
  EXPECT_TRUE(gemm(g, threads.executor()).ok());
}

TEST(Gemm, RefusesWhatDoesNotFit) {
  const Weights w({.n = 4, .k = 3, .compute = DType::kF32}, WeightFormat::kF32);
  std::vector<float> memory(64);
  AlignedBytes scratch(gemm_scratch_bytes(1));
  const auto view = [&](int64_t rows, int64_t cols) {
    return TensorView::contiguous(memory.data(), DType::kF32, {rows, cols});
  };
  const Gemm good = {.a = view(2, 3), .w = w.weights, .c = view(2, 4), .scratch = scratch.data()};
  EXPECT_TRUE(check_gemm(good).ok());
  const auto code = [&](auto change) {
    Gemm g = good;
    change(g);
    return check_gemm(g).code();
  };
  EXPECT_EQ(code([&](Gemm& g) { g.a = view(2, 4); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Gemm& g) { g.c = view(3, 4); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Gemm& g) { g.residual = view(2, 3); }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Gemm& g) { g.a.strides[0] = 2; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Gemm& g) { g.a.strides[1] = 2; }), StatusCode::kInvalidShape);
  EXPECT_EQ(code([&](Gemm& g) { g.a.dtype = DType::kI32; }), StatusCode::kUnsupported);
  EXPECT_EQ(code([&](Gemm& g) { g.w.shape.compute = DType::kF64; }), StatusCode::kUnsupported);
  EXPECT_EQ(code([&](Gemm& g) { g.w.data = memory.data() + 1; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](Gemm& g) { g.c.data = nullptr; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([&](Gemm& g) { g.scratch = nullptr; }), StatusCode::kInvalidArgument);
}

TEST(GemmPacking, RefusesFormatsAndShapesThatCannotBe) {
  EXPECT_EQ(gemm_packed_bytes({.n = 0, .k = 3}).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(gemm_packed_bytes({.n = 3, .k = 3, .pairing = GemmPairing::kValueGate}).code(),
            StatusCode::kInvalidShape);
  EXPECT_EQ(gemm_packed_bytes({.n = 3, .k = 3, .compute = DType::kF64}).code(), StatusCode::kUnsupported);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(gemm_packed_bytes({.n = 3, .k = kMost}).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(gemm_packed_bytes({.n = kMost, .k = 3}).code(), StatusCode::kOutOfRange);
  const Threads threads(1);
  AlignedBytes memory(4096);
  EXPECT_EQ(pack_gemm_weights({.n = 1, .k = 32}, WeightFormat::kQ4_0, memory.data(), memory.data(),
                              threads.executor())
                .code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(
      pack_gemm_weights({.n = 1, .k = 32}, WeightFormat::kF32, nullptr, memory.data(), threads.executor())
          .code(),
      StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
