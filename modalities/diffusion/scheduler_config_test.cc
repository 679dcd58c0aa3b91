#include "modalities/diffusion/scheduler_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

using namespace diffusion;
using ::testing::HasSubstr;

Result<SamplerConfig> parse(const std::string& json, std::optional<Sampler> sampler = std::nullopt) {
  return parse_scheduler_config(json, "scheduler_config.json", sampler);
}

std::string error_of(const std::string& json, std::optional<Sampler> sampler = std::nullopt) {
  const Result<SamplerConfig> config = parse(json, sampler);
  return config.ok() ? "no error" : to_string(config.error());
}

TEST(SchedulerConfig, ReadsStableDiffusions) {
  const Result<SamplerConfig> config = parse(
      R"({"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
          "steps_offset": 1, "set_alpha_to_one": false, "skip_prk_steps": true, "trained_betas": null})");
  ASSERT_TRUE(config.ok()) << to_string(config.error());
  EXPECT_EQ(config->sampler, Sampler::kPndm);
  EXPECT_EQ(config->prediction, Prediction::kEpsilon);
  EXPECT_EQ(config->steps_offset, 1);
  EXPECT_EQ(config->skip_prk_steps, Switch::kOn);
  EXPECT_FALSE(config->timestep_spacing.has_value());
}

TEST(SchedulerConfig, TellsTheTwoKindsOfDpmSolver) {
  const auto sampler_of = [](const char* algorithm) {
    return parse(R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": ")" +
                 std::string(algorithm) + "\"}")
        ->sampler;
  };
  EXPECT_EQ(sampler_of("dpmsolver++"), Sampler::kDpmpp2m);
  EXPECT_EQ(sampler_of("sde-dpmsolver++"), Sampler::kDpmpp2mSde);
}

TEST(SchedulerConfig, NamesAnUnknownClassAndTheKnownOnes) {
  const std::string json = R"({"_class_name": "VQDiffusionScheduler"})";
  EXPECT_THAT(error_of(json), HasSubstr("VQDiffusionScheduler"));
  EXPECT_THAT(error_of(json), HasSubstr("EulerDiscreteScheduler"));
  EXPECT_THAT(error_of(json), HasSubstr("euler_ancestral"));
  EXPECT_TRUE(parse(json, Sampler::kEuler).ok());
}

TEST(SchedulerConfig, RefusesWhatWouldChangePictures) {
  EXPECT_THAT(error_of(R"({"trained_betas": [0.1]})", Sampler::kDdim), HasSubstr("trained_betas"));
  EXPECT_THAT(error_of(R"({"thresholding": true})", Sampler::kDdim), HasSubstr("thresholding"));
  EXPECT_THAT(error_of(R"({"beta_schedule": "sigmoid"})", Sampler::kDdim), HasSubstr("sigmoid"));
  EXPECT_THAT(error_of(R"({"prediction_type": "flow"})", Sampler::kDdim), HasSubstr("v_prediction"));
}

TEST(SchedulerConfig, NamesTheKeyOfAWrongType) {
  EXPECT_THAT(error_of(R"({"beta_start": "0.1"})", Sampler::kDdim), HasSubstr("beta_start"));
  EXPECT_THAT(error_of(R"({"steps_offset": 0.5})", Sampler::kDdim), HasSubstr("steps_offset"));
  EXPECT_THAT(error_of(R"({"clip_sample": 1})", Sampler::kDdim), HasSubstr("clip_sample"));
  EXPECT_THAT(error_of("[]", Sampler::kDdim), HasSubstr("object"));
  EXPECT_THAT(error_of("{", Sampler::kDdim), HasSubstr("scheduler_config.json"));
}

}  // namespace
}  // namespace weft
