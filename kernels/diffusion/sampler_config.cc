#include "kernels/diffusion/sampler_config.h"

#include <array>
#include <utility>

namespace weft::diffusion {
namespace {

constexpr std::array<const char*, kSamplerCount> kSamplerNames = {
    "ddim", "ddpm",  "pndm",     "lms",          "euler",     "euler_ancestral",
    "heun", "dpm_2", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "uni_pc",
    "lcm",  "tcd",   "deis",     "ipndm",        "ipndm_v",   "uni_pc_bh2"};

// Classes of diffusers whose sigmas are taken at n timesteps, whose samples are the picture plus sigma times noise.
bool is_k_diffusion(Sampler sampler) {
  switch (sampler) {
    case Sampler::kLms:
    case Sampler::kEuler:
    case Sampler::kEulerAncestral:
    case Sampler::kHeun:
    case Sampler::kDpm2:
    case Sampler::kDpmppSde: return true;
    default: return false;
  }
}

bool has_zero_terminal_snr(Sampler sampler) {
  switch (sampler) {
    case Sampler::kPndm:
    case Sampler::kLms:
    case Sampler::kHeun:
    case Sampler::kDpm2:
    case Sampler::kDpmppSde:
    case Sampler::kDeis: return false;
    default: return true;
  }
}

}  // namespace

const char* name_of(Sampler sampler) { return kSamplerNames[static_cast<size_t>(sampler)]; }

std::optional<Sampler> sampler_named(std::string_view name) {
  for (size_t i = 0; i < kSamplerNames.size(); ++i) {
    if (name == kSamplerNames[i]) return static_cast<Sampler>(i);
  }
  return std::nullopt;
}

std::string sampler_names() {
  std::string names;
  for (const char* name : kSamplerNames) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

const char* name_of(SigmaSpacing spacing) {
  constexpr std::array<const char*, 6> kNames = {"normal",      "karras", "exponential",
                                                 "sgm_uniform", "beta",   "simple"};
  return kNames[static_cast<size_t>(spacing)];
}

Result<NoiseSchedule> noise_schedule(const SamplerConfig& config) {
  const bool comfy = config.profile == Profile::kComfyUi;  // knows Stable Diffusion's schedule only
  const bool consistency = config.sampler == Sampler::kLcm || config.sampler == Sampler::kTcd;
  const bool stable_diffusion_range = comfy || consistency || config.sampler == Sampler::kHeun ||
                                      config.sampler == Sampler::kDpm2 ||
                                      config.sampler == Sampler::kDpmppSde;
  NoiseScheduleConfig schedule;
  schedule.train_timesteps = config.train_timesteps;
  schedule.beta_start = config.beta_start.value_or(stable_diffusion_range ? 0.00085 : 0.0001);
  schedule.beta_end = config.beta_end.value_or(stable_diffusion_range ? 0.012 : 0.02);
  schedule.beta_schedule = config.beta_schedule.value_or(comfy || consistency ? BetaSchedule::kScaledLinear
                                                                              : BetaSchedule::kLinear);
  if (comfy || has_zero_terminal_snr(config.sampler)) schedule.terminal_snr = config.terminal_snr;
  return NoiseSchedule::make(schedule);
}

TimestepSpacing timestep_spacing(const SamplerConfig& config) {
  const bool uniform =
      config.sigma_spacing == SigmaSpacing::kSgmUniform || config.sigma_spacing == SigmaSpacing::kSimple;
  if (uniform) return TimestepSpacing::kTrailing;
  switch (config.sampler) {
    case Sampler::kDpmpp2m:
    case Sampler::kDpmpp2mSde:
    case Sampler::kUniPc:
    case Sampler::kUniPcBh2:
    case Sampler::kDeis: return config.timestep_spacing.value_or(TimestepSpacing::kLinspace);
    default: break;
  }
  return config.timestep_spacing.value_or(is_k_diffusion(config.sampler) ? TimestepSpacing::kLinspace
                                                                         : TimestepSpacing::kLeading);
}

}  // namespace weft::diffusion
