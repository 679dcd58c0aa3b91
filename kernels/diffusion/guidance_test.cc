#include "kernels/diffusion/guidance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace weft::diffusion {
namespace {

double deviation(const std::vector<float>& values) {
  double mean = 0, squares = 0;
  for (float v : values) mean += v / static_cast<double>(values.size());
  for (float v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

const std::vector<float> kWith = {1, -2, 3, 0.5f}, kWithout = {0.5f, -1, 2, 1};

TEST(Guidance, ExtrapolatesFromWithoutToWith) {
  std::vector<float> output(4);
  guide(7.5, 0, kWith, kWithout, output);
  EXPECT_EQ(output, (std::vector<float>{4.25f, -8.5f, 9.5f, -2.75f}));
}

TEST(Guidance, OfOneIsThePromptAlone) {
  std::vector<float> output(4);
  guide(1, 0, kWith, kWithout, output);
  EXPECT_EQ(output, kWith);
}

TEST(Guidance, FullyRescaledHasTheDeviationOfThePrompt) {
  std::vector<float> output(4);
  guide(7.5, 1, kWith, kWithout, output);
  EXPECT_NEAR(deviation(output), deviation(kWith), 1e-5);
}

TEST(Guidance, WorksInPlace) {
  std::vector<float> apart(4), in_place = kWithout;
  guide(4, 0.7, kWith, kWithout, apart);
  guide(4, 0.7, kWith, in_place, in_place);
  EXPECT_EQ(apart, in_place);
}

}  // namespace
}  // namespace weft::diffusion
