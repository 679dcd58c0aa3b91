#include "kernels/ops/gemm/quantized_gemm.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/quant/half.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

constexpr double kRounding = 1e-2;  // of rows of activations to int8, relative

struct Aligned {
  explicit Aligned(int64_t bytes)
      : data(static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64))),
             &std::free) {}
  std::unique_ptr<std::byte, void (*)(void*)> data;
};

// Weights of several parts, packed, and the f32 that they stand for.
struct Weights {
  Weights(WeightFormat format, std::vector<int64_t> rows, int64_t k, testing::Threads& threads) {
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<float> values = testing::random_normal(rows[i] * k, 7 + i);
      std::vector<std::byte> blocks(static_cast<size_t>(weights_bytes(format, rows[i] * k)));
      EXPECT_TRUE(quantize(format, values.data(), rows[i] * k, blocks.data()));
      dequantize(format, blocks.data(), rows[i] * k, values.data());
      dense.insert(dense.end(), values.begin(), values.end());
      memory.emplace_back(*packed_size_bytes(format, rows[i], k));
      EXPECT_TRUE(
          pack_matrix(format, rows[i], k, blocks.data(), memory.back().data.get(), threads.executor()).ok());
      parts.push_back({.format = format, .n = rows[i], .k = k, .data = memory.back().data.get()});
    }
  }
  std::vector<PackedMatrix> parts;
  std::vector<float> dense;
  std::vector<Aligned> memory;
};

struct Case {
  int64_t m;
  std::vector<int64_t> rows;
  int64_t k;
  WeightFormat format;
  DType a, c;
  GemmPairing pairing;
  std::optional<Activation> activation;
  bool residual;
};

std::vector<uint16_t> to_bf16(const std::vector<float>& values) {
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < values.size(); ++i) bits[i] = bf16_bits(values[i]);
  return bits;
}

std::vector<float> product(const Case& t, const Weights& w, uint32_t n_threads,
                           std::vector<float>* expected) {
  int64_t n = 0;
  for (int64_t rows : t.rows) n += rows;
  const int64_t width = t.pairing == GemmPairing::kValueGate ? n / 2 : n;
  std::vector<float> a = testing::random_normal(t.m * t.k, 1), bias = testing::random_normal(n, 2);
  std::vector<float> c(static_cast<size_t>(t.m * width), 0),
      residual = testing::random_normal(t.m * width, 3);
  std::vector<uint16_t> a_half = to_bf16(a), c_half(c.size());
  if (t.a == DType::kBF16)
    for (size_t i = 0; i < a.size(); ++i) a[i] = f32_from_bf16_bits(a_half[i]);
  SharedWork work;
  Aligned scratch(quantized_gemm_scratch_bytes(t.m, n, t.k));
  QuantizedGemm g;
  g.a = TensorView::contiguous(t.a == DType::kBF16 ? static_cast<void*>(a_half.data()) : a.data(), t.a,
                               {t.m, t.k});
  g.parts = w.parts;
  g.pairing = t.pairing;
  g.bias = bias.data();
  g.activation = t.activation;
  if (t.residual) g.residual = TensorView::contiguous(residual.data(), DType::kF32, {t.m, width});
  g.c = TensorView::contiguous(t.c == DType::kBF16 ? static_cast<void*>(c_half.data()) : c.data(), t.c,
                               {t.m, width});
  g.scratch = scratch.data.get();
  g.work = &work;
  testing::Threads threads(n_threads);
  threads.executor().run([&](Team team) { quantized_gemm_team(g, team); });
  if (t.c == DType::kBF16)
    for (size_t i = 0; i < c.size(); ++i) c[i] = f32_from_bf16_bits(c_half[i]);
  if (expected) {
    expected->resize(c.size());
    Gemm dense;
    dense.a = TensorView::contiguous(a.data(), DType::kF32, {t.m, t.k});
    dense.w.shape = {.n = n, .k = t.k, .compute = DType::kF32, .pairing = t.pairing};
    dense.bias = bias.data();
    dense.activation = t.activation;
    dense.residual = g.residual;
    dense.c = TensorView::contiguous(expected->data(), DType::kF32, {t.m, width});
    gemm_reference(dense, WeightFormat::kF32, w.dense.data());
  }
  return c;
}

const Case kCases[] = {
    {1, {32}, 64, WeightFormat::kQ8_0, DType::kF32, DType::kF32, GemmPairing::kNone, {}, false},
    {7, {48, 16, 32}, 96, WeightFormat::kQ4_0, DType::kBF16, DType::kBF16, GemmPairing::kNone, {}, true},
    {257,
     {40},
     32,
     WeightFormat::kQ5_1,
     DType::kBF16,
     DType::kF32,
     GemmPairing::kNone,
     Activation::kSilu,
     true},
    {300,
     {128},
     64,
     WeightFormat::kQ8_0,
     DType::kF32,
     DType::kBF16,
     GemmPairing::kValueGate,
     Activation::kGelu,
     false},
    {513, {17, 3}, 160, WeightFormat::kQ8_0, DType::kF32, DType::kF32, GemmPairing::kNone, {}, true}};

TEST(QuantizedGemm, IsTheProductWithTheDequantisedWeights) {
  for (const Case& t : kCases) {
    testing::Threads threads(2);
    const Weights w(t.format, t.rows, t.k, threads);
    std::vector<float> expected;
    const std::vector<float> got = product(t, w, 2, &expected);
    const double off =
        testing::relative_error(got.data(), expected.data(), static_cast<int64_t>(expected.size()));
    EXPECT_LT(off, kRounding) << t.m << " rows, " << block_layout(t.format).name;
  }
}

TEST(QuantizedGemm, BitsDoNotDependOnThreads) {
  for (const Case& t : kCases) {
    testing::Threads threads(1);
    const Weights w(t.format, t.rows, t.k, threads);
    EXPECT_EQ(product(t, w, 1, nullptr), product(t, w, 3, nullptr)) << t.m;
  }
}

}  // namespace
}  // namespace weft
