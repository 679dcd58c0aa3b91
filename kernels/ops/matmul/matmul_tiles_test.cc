// The recipe of the level kAmx, in bodies whose tiles are arrays: everything but the instructions themselves.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/ops/matmul/matmul.h"
#include "kernels/ops/matmul/matmul_bodies.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {

WEFT_DECLARE_ISA_BODY(MatmulBodies, kTileMatmulBodies, scalar)
WEFT_DECLARE_ISA_BODY(MatmulBodies, kTileMatmulBodies, avx512)

namespace {

std::vector<const MatmulBodies*> bodies() {
  std::vector<const MatmulBodies*> result = {&isa_scalar::kTileMatmulBodies};
  if (isa_available(IsaLevel::kAvx512Vnni)) result.push_back(&isa_avx512::kTileMatmulBodies);
  if (isa_available(IsaLevel::kAmx)) result.push_back(&isa_amx::kTileMatmulBodies);
  return result;
}

struct Weights {
  Weights(WeightFormat weight_format, int64_t n_rows, int64_t n_columns)
      : format(weight_format), n(n_rows), k(n_columns), file(testing::random_weights(format, n * k, 1)) {
    packed.resize(static_cast<size_t>(*packed_size_bytes(format, n, k)) / sizeof(Line) + 1);
    const testing::Threads threads(1);
    EXPECT_TRUE(pack_matrix(format, n, k, file.data(), packed.data(), threads.executor()).ok());
  }
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  WeightFormat format;
  int64_t n, k;
  std::vector<uint8_t> file;
  std::vector<Line> packed;
};

/// x [m, k] times the weights, `at_once` rows a call.
std::vector<float> product(const MatmulBodies& body, const Weights& w, const std::vector<float>& x, int64_t m,
                           int64_t at_once) {
  std::vector<PlaneStep> rounded(static_cast<size_t>(m * w.k / kStep));
  body.round_steps(x.data(), m * w.k / kStep, rounded.data());
  std::vector<float> y(static_cast<size_t>(m * w.n), -7.0f);
  for (int64_t row = 0; row < m; row += at_once) {
    for (int64_t g = 0; g * kGroupRows < w.n; ++g) {
      GroupTask task{};
      task.format = w.format;
      task.k = w.k;
      task.group = reinterpret_cast<const uint8_t*>(w.packed.data()) + g * group_bytes(w.format, w.k);
      task.n_rows = std::min(at_once, m - row);
      task.rounded = rounded.data() + row * w.k / kStep;
      task.y = y.data() + row * w.n + g * kGroupRows;
      task.y_stride = w.n;
      task.lanes = static_cast<int>(std::min<int64_t>(kGroupRows, w.n - g * kGroupRows));
      body.multiply_group(task);
    }
  }
  return y;
}

class MatmulTiles : public ::testing::TestWithParam<WeightFormat> {
 protected:
  int64_t columns() const { return block_layout(GetParam()).elements == 256 ? 4 * 256 : 27 * 32; }
};

TEST_P(MatmulTiles, GiveTheSameBitsForEveryNumberOfRows) {
  constexpr int64_t kRows = 53;
  const Weights w(GetParam(), 40, columns());
  const std::vector<float> x = testing::random_normal(kRows * w.k, 11);
  for (const MatmulBodies* body : bodies()) {
    const std::vector<float> one = product(*body, w, x, kRows, 1);
    for (const int64_t at_once : {2, 15, 16, 37, 53}) {
      const std::vector<float> many = product(*body, w, x, kRows, at_once);
      ASSERT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)), 0)
          << body->name << ", " << at_once << " rows at once";
    }
  }
}

// 16 bits: two hundred times nearer than the other levels' 8.
TEST_P(MatmulTiles, HardlyRoundActivations) {
  constexpr int64_t kRows = 18;
  const Weights w(GetParam(), 33, columns());
  const std::vector<float> x = testing::random_normal(kRows * w.k, 12);
  std::vector<float> want(static_cast<size_t>(kRows * w.n));
  matmul_reference(w.format, w.n, w.k, w.file.data(), {x.data(), kRows, w.k, w.k, nullptr}, want.data());
  for (const MatmulBodies* body : bodies()) {
    const std::vector<float> got = product(*body, w, x, kRows, kRows);
    EXPECT_LE(testing::relative_error(got.data(), want.data(), kRows * w.n), 1e-4) << body->name;
  }
}

TEST_P(MatmulTiles, LetNoNonFiniteActivationVanish) {
  constexpr int64_t kRows = 17;
  const Weights w(GetParam(), 16, columns());
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = testing::random_normal(kRows * w.k, 2);
    x[static_cast<size_t>(3 * w.k + 5)] = bad;
    for (const MatmulBodies* body : bodies()) {
      const std::vector<float> y = product(*body, w, x, kRows, kRows);
      for (int64_t i = 0; i < kRows * w.n; ++i)
        ASSERT_EQ(std::isfinite(y[static_cast<size_t>(i)]), i / w.n != 3) << body->name << " " << i;
    }
  }
}

constexpr WeightFormat kQuantised[] = {WeightFormat::kQ4_0, WeightFormat::kQ4_1,   WeightFormat::kQ5_0,
                                       WeightFormat::kQ5_1, WeightFormat::kQ8_0,   WeightFormat::kQ2_K,
                                       WeightFormat::kQ3_K, WeightFormat::kQ4_K,   WeightFormat::kQ5_K,
                                       WeightFormat::kQ6_K, WeightFormat::kIQ4_XS, WeightFormat::kIQ4_NL,
                                       WeightFormat::kMXFP4};
INSTANTIATE_TEST_SUITE_P(All, MatmulTiles, ::testing::ValuesIn(kQuantised),
                         [](const auto& tested) { return std::string(block_layout(tested.param).name); });

}  // namespace
}  // namespace weft
