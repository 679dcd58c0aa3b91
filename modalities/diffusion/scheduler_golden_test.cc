// Every sampler against diffusers and k-diffusion on a toy network: assets/golden/diffusion/schedulers.json, whose maker
// scripts/make_golden/schedulers.py describes network and noise.
#include <gtest/gtest.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/diffusion/sampling_plan.h"
#include "kernels/testing/tolerance.h"
#include "modalities/diffusion/scheduler_config.h"
#include "modalities/weights/json_file.h"

namespace weft {
namespace {

using namespace diffusion;
using rapidjson::Value;

constexpr size_t kCount = 8;
using Array = std::vector<float>;

Array network(const Array& x, double t) {
  Array out(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    out[i] = static_cast<float>(0.6 * x[i] +
                                0.4 * std::sin(1.3 * x[i] + 0.01 * t + 0.37 * static_cast<double>(i)));
  }
  return out;
}

// The k-th array of injected noise at the k-th call.
class Noise {
 public:
  Array next() {
    Array noise(kCount);
    for (size_t i = 0; i < kCount; ++i) {
      noise[i] = static_cast<float>(1.4 * std::sin(7.31 * static_cast<double>(k_ * kCount + i + 1)));
    }
    ++k_;
    return noise;
  }

 private:
  size_t k_ = 0;
};

std::string text_of(const Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

SigmaSpacing spacing_named(const std::string& name) {
  for (int i = 0; i < 6; ++i) {
    if (name == name_of(static_cast<SigmaSpacing>(i))) return static_cast<SigmaSpacing>(i);
  }
  ADD_FAILURE() << name;
  return SigmaSpacing::kNormal;
}

void expect_case(const Value& golden) {
  const std::string config_text = text_of(golden["config"]);
  Result<SamplerConfig> config =
      parse_scheduler_config(config_text, "golden", sampler_named(golden["sampler"].GetString()));
  ASSERT_TRUE(config.ok()) << to_string(config.error());
  config->sigma_spacing = spacing_named(golden["schedule"].GetString());
  if (golden["profile"] == "comfyui") config->profile = Profile::kComfyUi;
  if (golden["config"].HasMember("eta")) {
    config->eta = config->tcd_eta = golden["config"]["eta"].GetDouble();
  }
  const double strength = golden["strength"].GetDouble();
  const Result<SamplingPlan> plan = SamplingPlan::make(*config, golden["steps"].GetInt(), strength);
  ASSERT_TRUE(plan.ok()) << to_string(plan.error());
  const Value& timesteps = golden["timesteps"];
  ASSERT_EQ(plan->n_calls(), timesteps.Size());

  Noise noise;
  Array picture, sample(kCount);
  if (strength < 1) {
    for (size_t i = 0; i < kCount; ++i)
      picture.push_back(static_cast<float>(0.5 * std::cos(static_cast<double>(i))));
  }
  plan->start(noise.next(), picture, sample);
  Array history(kCount * static_cast<size_t>(plan->history_slots()), std::nanf(""));
  const Value& samples = golden["samples"];
  for (int64_t call = 0; call < plan->n_calls(); ++call) {
    EXPECT_NEAR(plan->timestep(call), timesteps[static_cast<rapidjson::SizeType>(call)].GetDouble(), 2e-3)
        << "call " << call;
    Array input(kCount);
    plan->scale_input(call, sample, input);
    Array noises[2];
    for (int k = 0; k < plan->noises(call); ++k) noises[k] = noise.next();
    plan->advance(call, network(input, plan->timestep(call)), {noises[0], noises[1]}, history, sample);
    const int64_t recorded = call - (plan->n_calls() - static_cast<int64_t>(samples.Size()));
    if (recorded < 0) continue;
    Array want;
    for (const Value& value : samples[static_cast<rapidjson::SizeType>(recorded)].GetArray()) {
      want.push_back(value.GetFloat());
    }
    EXPECT_LE(testing::relative_error(sample.data(), want.data(), kCount), golden["tolerance"].GetDouble())
        << "after call " << call;
  }
}

void expect_cases(const char* path, size_t at_least) {
  const Result<rapidjson::Document> golden = read_json_file(path, kMaxConfigBytes);
  ASSERT_TRUE(golden.ok()) << to_string(golden.error());
  ASSERT_GE((*golden)["cases"].Size(), at_least);
  for (const Value& one : (*golden)["cases"].GetArray()) {
    SCOPED_TRACE(std::string(one["sampler"].GetString()) + ", " + one["schedule"].GetString() + ", " +
                 one["profile"].GetString() + ", " + std::to_string(one["steps"].GetInt()) + " steps, " +
                 text_of(one["config"]));
    expect_case(one);
  }
}

TEST(Samplers, GiveWhatDiffusersAndKDiffusionGive) {
  expect_cases("assets/golden/diffusion/schedulers.json", 300);
}

// By scripts/make_golden/comfyui_samplers.py.
TEST(Samplers, GiveWhatTheirPublishedFormsSayOnComfyUisSchedules) {
  expect_cases("assets/golden/diffusion/comfyui_samplers.json", 168);
}

}  // namespace
}  // namespace weft
