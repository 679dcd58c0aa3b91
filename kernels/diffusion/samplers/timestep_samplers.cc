// DDIM, DDPM, LCM and TCD: samplers over integer timesteps.
#include <algorithm>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

double alpha_bar_at(const PlanBuilder& builder, double timestep) {
  return builder.schedule.alpha_bar()[static_cast<size_t>(timestep)];
}

// The noise that a clipped picture is combined with stays the network's own, as in diffusers.
constexpr int64_t kClipSlot = 0;

}  // namespace

void build_ddim(PlanBuilder& builder, const std::vector<double>& timesteps) {
  const SamplerConfig& config = builder.config;
  const bool ends_at_one = config.set_alpha_to_one.value_or(Switch::kOn) == Switch::kOn;
  const double last = ends_at_one ? 1 : static_cast<double>(builder.schedule.alpha_bar().front());
  const double stride = static_cast<double>(builder.schedule.train_timesteps() / builder.steps);
  builder.set_slots(1);
  for (size_t i = static_cast<size_t>(builder.first_step); i < timesteps.size(); ++i) {
    const double t = timesteps[i], next = t - stride;
    const double here = alpha_bar_at(builder, t);
    const double there = next >= 0 ? alpha_bar_at(builder, next) : last;
    const NoiseLevel level = variance_preserving_at(here);
    builder.call(t, level);
    const Linear picture = builder.picture(level, kClipSlot, 1);
    const double variance = (1 - there) / (1 - here) * (1 - here / there);
    const double added = config.eta * std::sqrt(std::max(variance, 0.0));
    const double kept = std::sqrt(std::max(1 - there - added * added, 0.0));
    builder.next_sample(std::sqrt(there) * picture +
                        kept * predicted_noise(config.prediction, level, sample()) + added * noise());
  }
}

void build_ddpm(PlanBuilder& builder, const std::vector<double>& timesteps) {
  const SamplerConfig& config = builder.config;
  builder.set_slots(1);
  for (size_t i = static_cast<size_t>(builder.first_step); i < timesteps.size(); ++i) {
    const double t = timesteps[i];
    const double here = alpha_bar_at(builder, t);
    const double there = i + 1 < timesteps.size() ? alpha_bar_at(builder, timesteps[i + 1]) : 1;
    const double alpha = here / there, beta = 1 - alpha;
    const NoiseLevel level = variance_preserving_at(here);
    builder.call(t, level);
    const Linear picture = builder.picture(level, kClipSlot, 1);
    const double small = std::max((1 - there) / (1 - here) * beta, 1e-20);
    const double variance = config.variance == DdpmVariance::kFixedSmall ? small : beta;
    builder.next_sample((std::sqrt(there) * beta / (1 - here)) * picture +
                        (std::sqrt(alpha) * (1 - there) / (1 - here)) * sample() +
                        (t > 0 ? std::sqrt(variance) : 0) * noise());
  }
}

void build_consistency(PlanBuilder& builder, const std::vector<double>& timesteps) {
  const SamplerConfig& config = builder.config;
  const bool is_lcm = config.sampler == Sampler::kLcm;
  builder.set_slots(1);
  for (size_t i = static_cast<size_t>(builder.first_step); i < timesteps.size(); ++i) {
    const bool is_last = i + 1 == timesteps.size();
    const double t = timesteps[i];
    const NoiseLevel level = variance_preserving_at(alpha_bar_at(builder, t));
    builder.call(t, level);
    if (is_lcm) {
      // Boundary condition with sigma_data 0.5: the picture itself at timestep 0.
      const double scaled = t * config.timestep_scaling, total = scaled * scaled + 0.25;
      const Linear denoised =
          (scaled / std::sqrt(total)) * builder.picture(level, kClipSlot, 0) + (0.25 / total) * sample();
      const NoiseLevel next =
          is_last ? NoiseLevel{} : variance_preserving_at(alpha_bar_at(builder, timesteps[i + 1]));
      builder.next_sample(next.alpha * denoised + next.sigma * noise());
      continue;
    }
    const double next = is_last ? 0 : timesteps[i + 1];
    const double between = alpha_bar_at(builder, std::floor((1 - config.tcd_eta) * next));
    const double there = alpha_bar_at(builder, next);
    const Linear at_between = std::sqrt(between) * predicted_picture(config.prediction, level, sample()) +
                              std::sqrt(1 - between) * predicted_noise(config.prediction, level, sample());
    const bool adds_noise = config.tcd_eta > 0 && !is_last;
    builder.next_sample(adds_noise ? std::sqrt(there / between) * at_between +
                                         std::sqrt(std::max(1 - there / between, 0.0)) * noise()
                                   : at_between);
  }
}

}  // namespace weft::diffusion
