#include "kernels/ops/matmul/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/quant/dequantize.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

using testing::random_normal;
using testing::random_weights;
using testing::Threads;

struct AlignedBytes {
  explicit AlignedBytes(int64_t size) : storage(static_cast<size_t>(size) + 64) {}
  void* data() {
    return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 * 64);
  }
  std::vector<uint8_t> storage;
};

/// A weight matrix as the file has it and packed.
struct Weights {
  Weights(WeightFormat format, int64_t n, int64_t k, uint64_t seed = 1)
      : file(random_weights(format, n * k, seed)), packed(*packed_size_bytes(format, n, k)) {
    const Threads threads(2);
    EXPECT_TRUE(pack_matrix(format, n, k, file.data(), packed.data(), threads.executor()).ok());
    matrix = {format, n, k, packed.data()};
  }
  std::vector<uint8_t> file;
  AlignedBytes packed;
  PackedMatrix matrix;
};

/// y = x W^T with a team of n_threads; rows of y one element further apart than they need to be.
std::vector<float> product(const Weights& w, const float* x, int64_t m, uint32_t n_threads, IsaLevel level) {
  AlignedBytes scratch(activations_bytes(m, w.matrix.k));
  const int64_t stride = w.matrix.n + 1;
  std::vector<float> y(static_cast<size_t>(m * stride), -7.0f);
  const Activations a = {x, m, w.matrix.k, w.matrix.k, scratch.data()};
  const MatmulTerm term = {&w.matrix, y.data(), stride};
  const Threads threads(n_threads);
  const Status status = matmul(a, &term, 1, threads.executor(), level);
  EXPECT_TRUE(status.ok()) << to_string(status.error());
  std::vector<float> dense;
  for (int64_t i = 0; i < m; ++i) {
    dense.insert(dense.end(), y.begin() + i * stride, y.begin() + i * stride + w.matrix.n);
    EXPECT_EQ(y[static_cast<size_t>(i * stride + w.matrix.n)], -7.0f) << "wrote beyond row " << i;
  }
  return dense;
}

std::vector<IsaLevel> available_levels() {
  std::vector<IsaLevel> levels;
  for (int i = 0; i < kIsaLevelCount; ++i) {
    if (isa_available(static_cast<IsaLevel>(i))) levels.push_back(static_cast<IsaLevel>(i));
  }
  return levels;
}

class MatmulFormats : public ::testing::TestWithParam<WeightFormat> {
 protected:
  WeightFormat format() const { return GetParam(); }
  int64_t block() const { return block_layout(GetParam()).elements; }
};

/// The most that rounding x [k] to int8 blocks of 8 can change one output: half a step of each value, times its weight.
double rounding_bound(const float* x, const float* w, int64_t k) {
  double bound = 0;
  for (int64_t first = 0; first < k; first += 8) {
    double largest = 0, weights = 0;
    for (int64_t i = first; i < first + 8; ++i) {
      largest = std::max(largest, std::fabs(double{x[i]}));
      weights += std::fabs(double{w[i]});
    }
    bound += largest / 127 / 2 * weights;
  }
  return bound * 1.001;
}

TEST_P(MatmulFormats, AgreesWithTheReferenceAtEveryLevelAndShape) {
  for (const int64_t n : {1, 15, 16, 17, 40}) {
    for (const int64_t blocks : {1, 2, 3, 7}) {
      const int64_t k = blocks * block();
      const Weights w(format(), n, k);
      std::vector<float> plain(static_cast<size_t>(n * k));
      dequantize(format(), w.file.data(), n * k, plain.data());
      for (const int64_t m : {1, 2, 5, 9}) {
        const std::vector<float> x = random_normal(m * k, 3);
        std::vector<float> want(static_cast<size_t>(m * n));
        matmul_reference(format(), n, k, w.file.data(), {x.data(), m, k, k, nullptr}, want.data());
        for (const IsaLevel level : available_levels()) {
          const std::vector<float> got = product(w, x.data(), m, 1, level);
          SCOPED_TRACE(::testing::Message()
                       << "n " << n << " k " << k << " m " << m << " " << to_string(level));
          if (!rounds_activations(format())) {
            EXPECT_LE(testing::relative_error(got.data(), want.data(), m * n),
                      testing::tolerance(DType::kF32));
            continue;
          }
          for (int64_t i = 0; i < m * n; ++i) {
            const double bound =
                rounding_bound(&x[static_cast<size_t>(i / n * k)], &plain[static_cast<size_t>(i % n * k)], k);
            ASSERT_NEAR(got[static_cast<size_t>(i)], want[static_cast<size_t>(i)], bound) << "output " << i;
          }
        }
      }
    }
  }
}

TEST_P(MatmulFormats, StaysWithinTheToleranceOfRoundedActivations) {
  const int64_t n = 96, k = 1024, m = 24;
  const Weights w(format(), n, k);
  const std::vector<float> x = random_normal(m * k, 21);
  std::vector<float> want(static_cast<size_t>(m * n));
  matmul_reference(format(), n, k, w.file.data(), {x.data(), m, k, k, nullptr}, want.data());
  const double limit =
      rounds_activations(format()) ? testing::kInt8ActivationTolerance : testing::tolerance(DType::kF32);
  EXPECT_LE(testing::relative_error(product(w, x.data(), m, 2, active_isa()).data(), want.data(), m * n),
            limit);
}

/// Activations that int8 blocks hold exactly: then nothing is rounded and every level must give the
/// reference's value.
TEST_P(MatmulFormats, IsExactUpToF32ForActivationsThatRoundToThemselves) {
  const int64_t k = 2 * std::max<int64_t>(block(), 32), n = 33, m = 9;
  const Weights w(format(), n, k);
  testing::Random random(5);
  std::vector<float> x(static_cast<size_t>(m * k));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = i % 8 == 0 ? 127.0f / 64 : (static_cast<float>(random.below(255)) - 127) / 64;
  }
  std::vector<float> want(static_cast<size_t>(m * n));
  matmul_reference(format(), n, k, w.file.data(), {x.data(), m, k, k, nullptr}, want.data());
  for (const IsaLevel level : available_levels()) {
    const std::vector<float> got = product(w, x.data(), m, 2, level);
    EXPECT_LE(testing::relative_error(got.data(), want.data(), m * n), testing::tolerance(DType::kF32))
        << to_string(level);
  }
}

TEST_P(MatmulFormats, GivesTheSameBitsForEveryNumberOfRowsThreadsAndChunks) {
  const int64_t n = 56, k = block() == 1 ? 61 : block() == 32 ? 27 * 32 : 4 * 256, m = 33;
  const Weights w(format(), n, k);
  const std::vector<float> x = random_normal(m * k, 11);
  for (const IsaLevel level : available_levels()) {
    const std::vector<float> all = product(w, x.data(), m, 1, level);
    for (uint32_t n_threads = 1; n_threads <= 4; ++n_threads) {
      for (const int64_t rows : {1, 2, 7, 16, 33}) {
        for (int64_t first = 0; first < m; first += rows) {
          const int64_t count = std::min(rows, m - first);
          const std::vector<float> part = product(w, x.data() + first * k, count, n_threads, level);
          ASSERT_EQ(std::memcmp(part.data(), all.data() + first * n, part.size() * 4), 0)
              << to_string(level) << ", rows " << first << " + " << count << ", threads " << n_threads;
        }
      }
    }
  }
}

TEST_P(MatmulFormats, LetsNoNonFiniteActivationVanish) {
  const int64_t k = 2 * std::max<int64_t>(block(), 32), n = 16, m = 3;
  const Weights w(format(), n, k);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = random_normal(m * k, 2);
    x[static_cast<size_t>(k + 5)] = bad;
    for (const IsaLevel level : available_levels()) {
      const std::vector<float> y = product(w, x.data(), m, 1, level);
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_TRUE(std::isfinite(y[static_cast<size_t>(i)]));
        EXPECT_FALSE(std::isfinite(y[static_cast<size_t>(n + i)]));
        EXPECT_TRUE(std::isfinite(y[static_cast<size_t>(2 * n + i)]));
      }
    }
  }
}

constexpr WeightFormat kServed[] = {
    WeightFormat::kF32,  WeightFormat::kF16,    WeightFormat::kBF16,   WeightFormat::kQ4_0,
    WeightFormat::kQ4_1, WeightFormat::kQ5_0,   WeightFormat::kQ5_1,   WeightFormat::kQ8_0,
    WeightFormat::kQ2_K, WeightFormat::kQ3_K,   WeightFormat::kQ4_K,   WeightFormat::kQ5_K,
    WeightFormat::kQ6_K, WeightFormat::kIQ4_XS, WeightFormat::kIQ4_NL, WeightFormat::kMXFP4};

std::string format_name(const ::testing::TestParamInfo<WeightFormat>& info) {
  return block_layout(info.param).name;
}
INSTANTIATE_TEST_SUITE_P(All, MatmulFormats, ::testing::ValuesIn(kServed), format_name);

TEST(Matmul, SharesOneRoundingAmongSeveralMatricesOfDifferentFormats) {
  const int64_t k = 512, m = 5;
  const Weights q(WeightFormat::kQ4_K, 48, k, 1), v(WeightFormat::kQ6_K, 20, k, 2),
      g(WeightFormat::kF16, 33, k, 3);
  const std::vector<float> x = random_normal(m * k, 4);
  AlignedBytes scratch(activations_bytes(m, k));
  const Activations a = {x.data(), m, k, k, scratch.data()};
  std::vector<float> yq(m * 48), yv(m * 20), yg(m * 33);
  const MatmulTerm terms[] = {
      {&q.matrix, yq.data(), 48}, {&v.matrix, yv.data(), 20}, {&g.matrix, yg.data(), 33}};
  const Threads threads(3);
  ASSERT_TRUE(matmul(a, terms, 3, threads.executor()).ok());
  EXPECT_EQ(yq, product(q, x.data(), m, 1, active_isa()));
  EXPECT_EQ(yv, product(v, x.data(), m, 1, active_isa()));
  EXPECT_EQ(yg, product(g, x.data(), m, 1, active_isa()));
}

TEST(Matmul, RunsTheBodyOfTheLevelAskedFor) {
  EXPECT_STREQ(matmul_body_name(IsaLevel::kScalar), "scalar");
  EXPECT_STREQ(matmul_body_name(IsaLevel::kAvx2), "avx2");
  EXPECT_STREQ(matmul_body_name(IsaLevel::kAvx512Vnni), "avx512");
  EXPECT_STREQ(matmul_body_name(IsaLevel::kAvx512Bf16), "avx512");
  EXPECT_STREQ(matmul_body_name(IsaLevel::kAmx), "amx");
}

TEST(Matmul, TheScalarBodyHasNoFusedProducts) {
  // A product and a sum, rounded twice, differ from a fused one: proof of which body really computed.
  if (!isa_available(IsaLevel::kAvx2)) GTEST_SKIP() << "skipped: no body with FMA to compare with";
  const Weights w(WeightFormat::kF32, 16, 256);
  const std::vector<float> x = random_normal(256, 9);
  EXPECT_NE(product(w, x.data(), 1, 1, IsaLevel::kScalar), product(w, x.data(), 1, 1, IsaLevel::kAvx2));
}

TEST(Matmul, AcceptsNoRows) {
  const Weights w(WeightFormat::kQ4_0, 16, 64);
  const Activations a = {nullptr, 0, 64, 64, nullptr};
  const MatmulTerm term = {&w.matrix, nullptr, 16};
  const Threads threads(1);
  EXPECT_TRUE(matmul(a, &term, 1, threads.executor()).ok());
}

TEST(Matmul, RefusesWhatDoesNotFit) {
  const Weights w(WeightFormat::kQ4_0, 16, 64);
  const std::vector<float> x(128);
  std::vector<float> y(32);
  AlignedBytes scratch(activations_bytes(2, 64));
  const Threads threads(1);
  const auto code = [&](Activations a, MatmulTerm term) {
    return matmul(a, &term, 1, threads.executor()).code();
  };
  const Activations a = {x.data(), 2, 64, 64, scratch.data()};
  const MatmulTerm term = {&w.matrix, y.data(), 16};
  EXPECT_EQ(code(a, term), StatusCode::kOk);
  EXPECT_EQ(code({x.data(), -1, 64, 64, scratch.data()}, term), StatusCode::kInvalidShape);
  EXPECT_EQ(code({x.data(), 2, 32, 64, scratch.data()}, term), StatusCode::kInvalidShape);
  EXPECT_EQ(code({x.data(), 2, 64, 63, scratch.data()}, term), StatusCode::kInvalidShape);
  EXPECT_EQ(code({nullptr, 2, 64, 64, scratch.data()}, term), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({x.data(), 2, 64, 64, nullptr}, term), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(a, {&w.matrix, y.data(), 15}), StatusCode::kInvalidShape);
  EXPECT_EQ(code(a, {&w.matrix, nullptr, 16}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(a, {nullptr, y.data(), 16}), StatusCode::kInvalidArgument);
  PackedMatrix shifted = w.matrix;
  shifted.data = static_cast<const uint8_t*>(w.matrix.data) + 1;
  EXPECT_EQ(code(a, {&shifted, y.data(), 16}), StatusCode::kInvalidArgument);
}

TEST(PackedSize, RefusesFormatsAndShapesThatCannotBePacked) {
  EXPECT_EQ(packed_size_bytes(WeightFormat::kI32, 16, 64).code(), StatusCode::kUnsupported);
  EXPECT_EQ(packed_size_bytes(WeightFormat::kQ4_0, 0, 64).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(packed_size_bytes(WeightFormat::kQ4_0, 16, 33).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(packed_size_bytes(WeightFormat::kQ4_K, 16, 32).code(), StatusCode::kInvalidShape);
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(packed_size_bytes(WeightFormat::kF32, most, most).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(packed_size_bytes(WeightFormat::kF32, most, 1).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(packed_size_bytes(WeightFormat::kF32, 1, most).code(), StatusCode::kOutOfRange);
}

TEST(PackedSize, StaysWithinFourPercentOfTheFile) {
  for (const WeightFormat format : kServed) {
    const int64_t n = 64, k = 2048;
    const BlockLayout block = block_layout(format);
    const double file = static_cast<double>(n * k / block.elements * block.bytes);
    EXPECT_LE(static_cast<double>(*packed_size_bytes(format, n, k)), 1.04 * file) << block.name;
  }
}

}  // namespace
}  // namespace weft
