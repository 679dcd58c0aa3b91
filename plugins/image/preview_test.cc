#include "plugins/image/preview.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft::image {
namespace {

// -1 to 1, without a pattern that columns of it could share.
float scattered(size_t i) { return static_cast<float>((i + 1) * (i + 11) * 7919 % 1009) / 504.5f - 1; }
float wave(size_t i) { return std::sin(0.7f * static_cast<float>(i) + 1); }

TEST(Previews, EstimateThePictureThatNoiseWasAddedTo) {
  constexpr size_t kCount = 24;
  std::vector<float> picture(kCount), noise(kCount), sample(kCount), output(kCount), estimate(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    picture[i] = wave(i);
    noise[i] = wave(3 * i + 5);
  }
  for (const auto sampler :
       {diffusion::Sampler::kDdim, diffusion::Sampler::kEuler, diffusion::Sampler::kHeun}) {
    diffusion::SamplerConfig config;
    config.sampler = sampler;
    const Result<diffusion::SamplingPlan> plan = diffusion::SamplingPlan::make(config, 5);
    ASSERT_TRUE(plan.ok());
    for (int64_t call = 0; call < plan->n_calls(); ++call) {
      plan->noised_picture(call, noise, picture, sample);
      const auto level = [&](float of_noise, float of_picture) {
        float value = 0;
        plan->noised_picture(call, {&of_noise, 1}, {&of_picture, 1}, {&value, 1});
        return value;
      };
      const float alpha = level(0, 1), sigma = level(1, 0), norm = std::hypot(alpha, sigma);
      for (const auto prediction : {diffusion::Prediction::kEpsilon, diffusion::Prediction::kVelocity,
                                    diffusion::Prediction::kSample}) {
        for (size_t i = 0; i < kCount; ++i) {
          output[i] = prediction == diffusion::Prediction::kEpsilon ? noise[i]
                      : prediction == diffusion::Prediction::kSample
                          ? picture[i]
                          : (alpha * noise[i] - sigma * picture[i]) / norm;
        }
        estimate_picture(*plan, call, prediction, sample, output, estimate);
        for (size_t i = 0; i < kCount; ++i) {
          EXPECT_NEAR(estimate[i], picture[i], 1e-4) << name_of(sampler) << " call " << call;
        }
      }
    }
  }
}

TEST(Previews, FindColoursThatAreLinearInLatents) {
  constexpr size_t kChannels = 4, kCells = 60;
  const float weights[kChannels][3] = {
      {0.1f, -0.2f, 0.05f}, {0, 0.3f, 0}, {-0.1f, 0, 0.2f}, {0.02f, 0.01f, -0.3f}};
  const float offset[3] = {0.5f, 0.4f, 0.6f};
  std::vector<float> latents(kCells * kChannels), colors(kCells * 3);
  for (size_t cell = 0; cell < kCells; ++cell) {
    for (size_t c = 0; c < kChannels; ++c) latents[cell * kChannels + c] = scattered(cell * kChannels + c);
    for (size_t k = 0; k < 3; ++k) {
      colors[cell * 3 + k] = offset[k];
      for (size_t c = 0; c < kChannels; ++c)
        colors[cell * 3 + k] += weights[c][k] * latents[cell * kChannels + c];
    }
  }
  const LinearColors fitted = fit_colors(latents, colors, kChannels);
  ASSERT_EQ(fitted.weights.size(), kChannels);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(fitted.offset[k], offset[k], 1e-3);
    for (size_t c = 0; c < kChannels; ++c) EXPECT_NEAR(fitted.weights[c][k], weights[c][k], 1e-3);
  }
}

}  // namespace
}  // namespace weft::image
