// What holds for every sampler, and what is refused. Values against the references: modalities/diffusion.
#include "kernels/diffusion/sampling_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace weft::diffusion {
namespace {

using ::testing::HasSubstr;

SamplerConfig stable_diffusion(Sampler sampler, Profile profile = Profile::kDiffusers) {
  SamplerConfig config;
  config.sampler = sampler;
  config.profile = profile;
  config.beta_start = 0.00085;
  config.beta_end = 0.012;
  config.beta_schedule = BetaSchedule::kScaledLinear;
  config.set_alpha_to_one = Switch::kOn;
  config.clip_sample = 0;
  config.skip_prk_steps = Switch::kOn;
  return config;
}

// In a profile that has it.
SamplerConfig stable_diffusion(int sampler) {
  const auto which = static_cast<Sampler>(sampler);
  const bool only_comfyui = which == Sampler::kIpndm || which == Sampler::kIpndmV;
  return stable_diffusion(which, only_comfyui ? Profile::kComfyUi : Profile::kDiffusers);
}

std::string error_of(const SamplerConfig& config, int64_t steps, double strength = 1) {
  const Result<SamplingPlan> plan = SamplingPlan::make(config, steps, strength);
  return plan.ok() ? "no error" : to_string(plan.error());
}

// Samples one picture, or several in one batch, of `size` elements each. The network knows the picture 0.7.
std::vector<float> run(const SamplingPlan& plan, size_t size, double noise_scale = 1) {
  std::vector<float> noise(size), sample(size), input(size), output(size);
  for (size_t i = 0; i < size; ++i) noise[i] = static_cast<float>(std::sin(static_cast<double>(i) + 1));
  plan.start(noise, {}, sample);
  std::vector<float> history(size * static_cast<size_t>(plan.history_slots()), std::nanf(""));
  for (int64_t call = 0; call < plan.n_calls(); ++call) {
    plan.scale_input(call, sample, input);
    for (size_t i = 0; i < size; ++i) output[i] = 0.3f * input[i] + 0.1f * std::sin(input[i]);
    std::vector<float> fresh = noise;
    for (float& v : fresh) v *= static_cast<float>(noise_scale * static_cast<double>(call % 3 - 1));
    plan.advance(call, output, {fresh, fresh}, history, sample);
  }
  return sample;
}

TEST(SamplingPlan, FindsThePictureThatTheNetworkIsSureOf) {
  for (int k = 0; k < kSamplerCount; ++k) {
    SamplerConfig config = stable_diffusion(k);
    config.prediction = Prediction::kSample;
    const Result<SamplingPlan> plan = SamplingPlan::make(config, 20);
    if (!plan.ok()) {
      EXPECT_EQ(plan.code(), StatusCode::kUnsupported);
      continue;
    }
    std::vector<float> sample(3), output(3, 0.7f);
    plan->start(std::vector<float>{1, -1, 2}, {}, sample);
    std::vector<float> history(3 * static_cast<size_t>(plan->history_slots()));
    const std::vector<float> noise(3, 0.1f);
    for (int64_t call = 0; call < plan->n_calls(); ++call) {
      plan->advance(call, output, {noise, noise}, history, sample);
    }
    // DEIS ends at the smallest sigma, LCM keeps a trace of the sample.
    for (float value : sample) EXPECT_NEAR(value, 0.7, 0.06) << name_of(config.sampler);
  }
}

TEST(SamplingPlan, GivesEachElementTheSameBitsInAnyBatch) {
  for (int k = 0; k < kSamplerCount; ++k) {
    const Result<SamplingPlan> plan = SamplingPlan::make(stable_diffusion(k), 7);
    ASSERT_TRUE(plan.ok()) << to_string(plan.error());
    const std::vector<float> alone = run(*plan, 5);
    const std::vector<float> batch = run(*plan, 64);
    EXPECT_EQ(alone, std::vector<float>(batch.begin(), batch.begin() + 5))
        << name_of(static_cast<Sampler>(k));
  }
}

TEST(SamplingPlan, ReadsNoHistoryBeforeItIsWritten) {
  for (const Profile profile : {Profile::kDiffusers, Profile::kComfyUi}) {
    for (int k = 0; k < kSamplerCount; ++k) {
      for (const double strength : {1.0, 0.5}) {
        const Result<SamplingPlan> plan =
            SamplingPlan::make(stable_diffusion(static_cast<Sampler>(k), profile), 9, strength);
        if (!plan.ok()) continue;
        for (const float value : run(*plan, 4)) {
          EXPECT_TRUE(std::isfinite(value)) << name_of(static_cast<Sampler>(k));
        }
      }
    }
  }
}

TEST(SamplingPlan, WorksForEveryNumberOfSteps) {
  for (int k = 0; k < kSamplerCount; ++k) {
    for (int64_t steps : {1, 2, 3, 4, 15, 50}) {
      const Result<SamplingPlan> plan = SamplingPlan::make(stable_diffusion(k), steps);
      ASSERT_TRUE(plan.ok()) << to_string(plan.error());
      for (const float value : run(*plan, 3)) EXPECT_TRUE(std::isfinite(value)) << steps;
    }
  }
}

// ComfyUI's schedules of little strength are longer than the table of sigmas, some of which then repeat.
TEST(SamplingPlan, TakesStepsBetweenEqualSigmas) {
  for (const Sampler sampler : {Sampler::kDeis, Sampler::kIpndm, Sampler::kIpndmV}) {
    SamplerConfig config = stable_diffusion(sampler, Profile::kComfyUi);
    config.sigma_spacing = SigmaSpacing::kSimple;
    const Result<SamplingPlan> plan = SamplingPlan::make(config, 20, 0.004);
    ASSERT_TRUE(plan.ok()) << to_string(plan.error());
    for (const float value : run(*plan, 3)) EXPECT_TRUE(std::isfinite(value)) << name_of(sampler);
  }
}

TEST(SamplingPlan, LeavesThePictureAloneAtStrengthZero) {
  for (const Profile profile : {Profile::kDiffusers, Profile::kComfyUi}) {
    const Result<SamplingPlan> plan = SamplingPlan::make(stable_diffusion(Sampler::kEuler, profile), 10, 0);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->n_calls(), 0);
    const std::vector<float> noise = {1, 2}, picture = {0.25f, -0.5f};
    std::vector<float> sample(2);
    plan->start(noise, picture, sample);
    EXPECT_EQ(sample, picture);
  }
}

TEST(SamplingPlan, KeepsTheStepsOfComfyUiAtAnyStrength) {
  const Result<SamplingPlan> plan =
      SamplingPlan::make(stable_diffusion(Sampler::kEuler, Profile::kComfyUi), 10, 0.5);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->n_calls(), 10);
  EXPECT_LT(plan->timestep(0), 600);
  EXPECT_EQ(SamplingPlan::make(stable_diffusion(Sampler::kEuler), 10, 0.5)->n_calls(), 5);
}

TEST(SamplingPlan, NamesWhatIsOutOfRange) {
  const SamplerConfig config = stable_diffusion(Sampler::kDdim);
  EXPECT_THAT(error_of(config, 0), HasSubstr("steps"));
  EXPECT_THAT(error_of(config, 0), HasSubstr("expected 1 to 1000, got 0"));
  EXPECT_THAT(error_of(config, 1001), HasSubstr("steps"));
  EXPECT_THAT(error_of(config, 10, 1.5), HasSubstr("strength"));
  EXPECT_THAT(error_of(config, 10, std::nan("")), HasSubstr("strength"));
  EXPECT_THAT(error_of(stable_diffusion(Sampler::kEuler, Profile::kComfyUi), 10, 1e-9),
              HasSubstr("strength"));
  EXPECT_THAT(error_of(stable_diffusion(Sampler::kLcm), 51), HasSubstr("at most the 50 steps"));
  SamplerConfig wrong = config;
  wrong.beta_start = -1;
  EXPECT_THAT(error_of(wrong, 10), HasSubstr("beta_start"));
  wrong = config;
  wrong.steps_offset = 600;
  EXPECT_THAT(error_of(wrong, 10), HasSubstr("steps_offset"));
}

TEST(SamplingPlan, SaysWhichProfileHasWhat) {
  SamplerConfig config = stable_diffusion(Sampler::kDdim);
  config.sigma_spacing = SigmaSpacing::kKarras;
  EXPECT_THAT(error_of(config, 10), HasSubstr("comfyui"));
  config.profile = Profile::kComfyUi;
  EXPECT_EQ(error_of(config, 10), "no error");
  EXPECT_THAT(error_of(stable_diffusion(Sampler::kTcd, Profile::kComfyUi), 10), HasSubstr("diffusers"));
  EXPECT_THAT(error_of(stable_diffusion(Sampler::kPndm, Profile::kComfyUi), 10), HasSubstr("ipndm"));
  EXPECT_THAT(error_of(stable_diffusion(Sampler::kIpndmV), 10), HasSubstr("comfyui"));
}

TEST(SamplingPlan, RefusesToPredictNoiseFromPureNoise) {
  SamplerConfig config = stable_diffusion(Sampler::kDdim);
  config.terminal_snr = TerminalSnr::kZero;
  EXPECT_THAT(error_of(config, 10), HasSubstr("v-prediction"));
  config.prediction = Prediction::kVelocity;
  EXPECT_EQ(error_of(config, 10), "no error");
}

TEST(Samplers, HaveUniqueNames) {
  for (int k = 0; k < kSamplerCount; ++k) {
    EXPECT_EQ(sampler_named(name_of(static_cast<Sampler>(k))), static_cast<Sampler>(k));
  }
  EXPECT_FALSE(sampler_named("ddimm").has_value());
}

}  // namespace
}  // namespace weft::diffusion
