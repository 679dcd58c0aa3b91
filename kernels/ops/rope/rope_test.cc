#include "kernels/ops/rope/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/testing/random.h"
#include "kernels/testing/tolerance.h"

namespace weft {
namespace {

std::vector<double> frequencies_of(const RopeConfig& config, float* magnitude = nullptr) {
  std::vector<double> frequencies(static_cast<size_t>(config.n_rotated / 2));
  const float m = rope_frequencies(config, nullptr, frequencies.data());
  if (magnitude) *magnitude = m;
  return frequencies;
}

TEST(Rope, AgreesWithTheReferenceAtEveryLevel) {
  for (int i = 0; i < kIsaLevelCount; ++i) {
    const IsaLevel level = static_cast<IsaLevel>(i);
    if (!isa_available(level)) continue;
    for (RopeLayout layout : {RopeLayout::kInterleaved, RopeLayout::kHalves}) {
      for (int64_t n_rotated : {2, 6, 16, 30, 64, 256}) {
        RopeConfig config;
        config.layout = layout;
        config.n_rotated = n_rotated;
        const std::vector<double> frequencies = frequencies_of(config);
        const int64_t heads = 3, head_dim = n_rotated + 3;  // components beyond n_rotated pass through
        std::vector<float> got = testing::random_normal(heads * head_dim, 1), want = got;
        std::vector<float> cos_sin(static_cast<size_t>(n_rotated));
        rope_cos_sin(frequencies.data(), n_rotated, 1.25f, 1234, cos_sin.data());
        rope_heads(layout, n_rotated, cos_sin.data(), got.data(), heads, head_dim, level);
        rope_reference(layout, n_rotated, frequencies.data(), 1.25, 1234, want.data(), heads, head_dim);
        EXPECT_LT(testing::relative_error(got.data(), want.data(), heads * head_dim),
                  testing::tolerance(DType::kF32))
            << to_string(level) << " " << n_rotated;
        EXPECT_EQ(got.back(), want.back());
      }
    }
  }
}

TEST(Rope, ScoresDependOnTheDistanceOnly) {
  RopeConfig config;
  config.n_rotated = 32;
  const std::vector<double> frequencies = frequencies_of(config);
  const auto score = [&](int64_t query_position, int64_t key_position) {
    std::vector<float> q = testing::random_normal(32, 1), k = testing::random_normal(32, 2);
    rope_reference(RopeLayout::kHalves, 32, frequencies.data(), 1, query_position, q.data(), 1, 32);
    rope_reference(RopeLayout::kHalves, 32, frequencies.data(), 1, key_position, k.data(), 1, 32);
    double sum = 0;
    for (size_t i = 0; i < 32; ++i) sum += double{q[i]} * k[i];
    return sum;
  };
  EXPECT_NEAR(score(17, 5), score(1017, 1005), 1e-5);
  EXPECT_GT(std::abs(score(17, 5) - score(17, 6)), 1e-3);
}

TEST(RopeFrequencies, ScalingsMeetTheirLimits) {
  RopeConfig config;
  config.n_rotated = 64;
  config.base = 500000;
  const std::vector<double> plain = frequencies_of(config);
  EXPECT_DOUBLE_EQ(plain[0], 1);
  EXPECT_DOUBLE_EQ(plain[1], std::pow(500000, -1.0 / 32));

  config.factor = 8;
  config.scaling = RopeScaling::kLinear;
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_DOUBLE_EQ(frequencies_of(config)[i], plain[i] / 8);

  config.scaling = RopeScaling::kLlama3;
  config.original_context = 8192;
  const std::vector<double> llama3 = frequencies_of(config);
  EXPECT_DOUBLE_EQ(llama3.front(), plain.front());
  EXPECT_DOUBLE_EQ(llama3.back(), plain.back() / 8);

  config.scaling = RopeScaling::kYarn;
  float magnitude = 0;
  const std::vector<double> yarn = frequencies_of(config, &magnitude);
  EXPECT_DOUBLE_EQ(yarn.front(), plain.front());
  EXPECT_DOUBLE_EQ(yarn.back(), plain.back() / 8);
  EXPECT_FLOAT_EQ(magnitude, static_cast<float>(0.1 * std::log(8.0) + 1));
  for (const auto& scaled : {llama3, yarn})
    for (size_t i = 1; i < scaled.size(); ++i) EXPECT_LT(scaled[i], scaled[i - 1]);
}

TEST(RopeFrequencies, DivisorsOfTheFileApply) {
  RopeConfig config;
  config.n_rotated = 4;
  const float divisors[] = {2, 8};
  double frequencies[2];
  EXPECT_EQ(rope_frequencies(config, divisors, frequencies), 1);
  EXPECT_DOUBLE_EQ(frequencies[0], 0.5);
  EXPECT_DOUBLE_EQ(frequencies[1], 0.01 / 8);
}

}  // namespace
}  // namespace weft
