#include "kernels/ops/norm/norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/quant/half.h"
#include "kernels/testing/dense.h"
#include "kernels/testing/random.h"
#include "kernels/testing/threads.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

const int64_t kColumns[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 64, 97, 576, 1000};

TEST(Norm, AgreesWithTheReferenceAtEveryLevel) {
  for (IsaLevel level : testing::available_levels()) {
    for (NormKind kind : {NormKind::kRms, NormKind::kLayer}) {
      for (int64_t cols : kColumns) {
        const int64_t rows = 3, stride = cols + 5;
        std::vector<float> x = testing::random_normal(rows * stride + 1, 1);
        for (float& v : x) v += 2;  // a mean that layer norm has to find
        const std::vector<float> weight = testing::random_normal(cols, 2),
                                 bias = testing::random_normal(cols, 3);
        Norm norm{kind, weight.data(), kind == NormKind::kLayer ? bias.data() : nullptr, 1e-5f};
        std::vector<float> got(static_cast<size_t>(rows * stride)), want = got;
        norm_rows(norm, x.data() + 1, stride, got.data(), stride, rows, cols, level);  // misaligned
        norm_reference(norm, x.data() + 1, stride, want.data(), stride, rows, cols);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), rows * stride),
                  testing::tolerance(DType::kF32))
            << to_string(level) << " cols " << cols << " kind " << static_cast<int>(kind);
      }
    }
  }
}

// Rows stored in bf16 give what the same values in f32 give, and are rounded once.
TEST(Norm, LayerNormReadsAndWritesBothTypes) {
  for (IsaLevel level : testing::available_levels()) {
    for (int64_t cols : kColumns) {
      std::vector<float> x = testing::random_normal(3 * cols, 1);
      std::vector<uint16_t> half(x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        half[i] = bf16_bits(x[i] + 2);
        x[i] = f32_from_bf16_bits(half[i]);
      }
      const std::vector<float> weight = testing::random_normal(cols, 2),
                               bias = testing::random_normal(cols, 3);
      const Norm layer{NormKind::kLayer, weight.data(), bias.data(), 1e-5f};
      std::vector<float> want(x.size()), got(x.size());
      std::vector<uint16_t> rounded(x.size());
      norm_rows(layer, x.data(), cols, want.data(), cols, 3, cols, level);
      const auto wide = [&](std::vector<float>& v) {
        return TensorView::contiguous(v.data(), DType::kF32, {3, cols});
      };
      const auto narrow = [&](std::vector<uint16_t>& v) {
        return TensorView::contiguous(v.data(), DType::kBF16, {3, cols});
      };
      layer_norm_rows(layer, wide(x), wide(got), 0, 3, level);
      EXPECT_EQ(got, want) << to_string(level) << " cols " << cols;
      layer_norm_rows(layer, narrow(half), wide(got), 0, 3, level);
      EXPECT_EQ(got, want) << to_string(level) << " cols " << cols;
      layer_norm_rows(layer, wide(x), narrow(rounded), 0, 3, level);
      for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(rounded[i], bf16_bits(want[i])) << i;
      layer_norm_rows(layer, narrow(half), narrow(half), 0, 3, level);
      EXPECT_EQ(half, rounded);
    }
  }
}

TEST(Norm, MayAliasExactly) {
  const std::vector<float> weight = testing::random_normal(33, 2);
  const Norm norm{NormKind::kRms, weight.data(), nullptr, 1e-6f};
  std::vector<float> x = testing::random_normal(2 * 33, 1), y(x.size());
  norm_rows(norm, x.data(), 33, y.data(), 33, 2, 33);
  norm_rows(norm, x.data(), 33, x.data(), 33, 2, 33);
  EXPECT_EQ(x, y);
}

TEST(Norm, BitsOfARowDoNotDependOnItsPlaceOrTheThreads) {
  const int64_t rows = 301, cols = 97;
  const std::vector<float> x = testing::random_normal(rows * cols, 1),
                           weight = testing::random_normal(cols, 2);
  const Norm rms{NormKind::kRms, weight.data(), nullptr, 1e-6f};
  std::vector<float> one_by_one(x.size()), together(x.size());
  for (int64_t r = 0; r < rows; ++r)
    norm_rows(rms, x.data() + r * cols, cols, one_by_one.data() + r * cols, cols, 1, cols);
  testing::Threads threads(3);
  ASSERT_TRUE(norm(rms, x.data(), cols, together.data(), cols, rows, cols, threads.executor()).ok());
  EXPECT_EQ(one_by_one, together);
}

TEST(Norm, NonFiniteValuesStayVisible) {
  for (IsaLevel level : testing::available_levels()) {
    for (NormKind kind : {NormKind::kRms, NormKind::kLayer}) {
      std::vector<float> x(20, 1.0f), weight(20, 1.0f), y(20);
      x[7] = std::numeric_limits<float>::quiet_NaN();
      norm_rows({kind, weight.data(), nullptr, 1e-6f}, x.data(), 20, y.data(), 20, 1, 20, level);
      for (float v : y) EXPECT_TRUE(std::isnan(v));
    }
  }
}

TEST(Norm, RefusesWhatCannotBe) {
  testing::Threads threads(1);
  const Executor executor = threads.executor();
  std::vector<float> x(8, 1.0f), w(8, 1.0f);
  const Norm rms{NormKind::kRms, w.data(), nullptr, 1e-6f};
  EXPECT_TRUE(norm(rms, nullptr, 8, nullptr, 8, 0, 8, executor).ok());
  EXPECT_EQ(norm(rms, x.data(), 8, x.data(), 8, 1, 0, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(norm(rms, x.data(), 8, x.data(), 8, -1, 8, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(norm(rms, x.data(), 3, x.data(), 4, 2, 4, executor).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(norm(rms, nullptr, 8, x.data(), 8, 1, 8, executor).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(norm({NormKind::kRms, w.data(), nullptr, 0}, x.data(), 8, x.data(), 8, 1, 8, executor).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(norm({NormKind::kRms, w.data(), w.data(), 1}, x.data(), 8, x.data(), 8, 1, 8, executor).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weft
