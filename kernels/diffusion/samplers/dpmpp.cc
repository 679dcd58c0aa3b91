// DPM-Solver++: the multistep solvers 2M and 2M SDE, and the single-step SDE. Source: arXiv:2211.01095; the forms with
// noise as k-diffusion introduced them.
#include <algorithm>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

// diffusers keeps the sample's variance at 1, ComfyUI adds noise to the picture; the formulas hold for both.
NoiseLevel level_at(const SamplerConfig& config, double sigma) {
  return config.profile == Profile::kComfyUi ? variance_exploding(sigma) : variance_preserving(sigma);
}

double input_scale(NoiseLevel level) {
  return 1 / std::sqrt(level.alpha * level.alpha + level.sigma * level.sigma);
}

// How a step uses the newest prediction and what is known of its derivatives.
struct StepFactors {
  double sample, picture, first, second, noise;
};

StepFactors factors(const SamplerConfig& config, NoiseLevel from, NoiseLevel to, int64_t order) {
  const bool sde = config.sampler == Sampler::kDpmpp2mSde;
  const double h = to.lambda() - from.lambda();
  const double span = sde ? 2 * h : h;
  const double grown = -std::expm1(-span);  // 1 - e^-span
  const bool heun = order == 3 || config.second_order == SecondOrder::kHeun;
  StepFactors f{};
  f.sample = to.sigma / from.sigma * (sde ? std::exp(-h) : 1);
  f.picture = to.alpha * grown;
  f.noise = sde ? to.sigma * std::sqrt(grown) : 0;
  if (order < 2) return f;
  f.first = heun ? to.alpha * (1 - grown / span) : to.alpha * grown / 2;
  // With noise diffusers subtracts the half that the expansion would add; pictures are compared with its, so here too.
  if (order == 3) f.second = to.alpha * ((grown - span) / (span * span) + (sde ? -0.5 : 0.5));
  return f;
}

}  // namespace

void build_dpmpp_2m(PlanBuilder& builder, const StepGrid& grid) {
  const SamplerConfig& config = builder.config;
  const int64_t max_order = config.solver_order;
  builder.set_slots(max_order);
  const auto n = static_cast<int64_t>(grid.timesteps.size());
  const auto level = [&](int64_t i) { return level_at(config, grid.sigmas[static_cast<size_t>(i)]); };
  for (int64_t i = builder.first_step; i < n; ++i) {
    const NoiseLevel here = level(i), next = level(i + 1);
    builder.call(grid.timesteps[static_cast<size_t>(i)], here, input_scale(here));
    const auto predicted = [&](int64_t back) { return slot((i - back) % max_order); };
    builder.store(kFirstSlot + static_cast<int>(i % max_order),
                  predicted_picture(config.prediction, here, sample()));

    const bool lowers = config.lower_order_final == Switch::kOn && n < 15;
    int64_t order = std::min(max_order, i - builder.first_step + 1);
    if (i == n - 2 && lowers) order = std::min<int64_t>(order, 2);
    if (i == n - 1 && (lowers || next.sigma == 0 || config.euler_at_final == Switch::kOn)) order = 1;

    const StepFactors f = factors(config, here, next, order);
    Linear sum = f.sample * sample() + f.picture * predicted(0) + f.noise * noise();
    if (order >= 2) {
      const double h = next.lambda() - here.lambda();
      const double r0 = (here.lambda() - level(i - 1).lambda()) / h;
      const Linear d0 = (predicted(0) - predicted(1)) / r0;
      if (order == 2) {
        sum += f.first * d0;
      } else {
        const double r1 = (level(i - 1).lambda() - level(i - 2).lambda()) / h;
        const Linear d1 = (predicted(1) - predicted(2)) / r1;
        sum += f.first * (d0 + (r0 / (r0 + r1)) * (d0 - d1));
        sum += (f.second / (r0 + r1)) * (d0 - d1);
      }
    }
    builder.next_sample(sum);
  }
}

void build_dpmpp_sde(PlanBuilder& builder, const StepGrid& grid) {
  constexpr int64_t kStart = 0, kFirstNoise = 1;
  builder.set_slots(2);
  const bool comfy = builder.config.profile == Profile::kComfyUi;
  // An ancestral step: down to `down` by the solver, up to `to` by noise.
  struct Ancestral {
    double down, up;
  };
  const auto ancestral = [](double from, double to) {
    const double up = std::min(to, std::sqrt(to * to * (from * from - to * to) / (from * from)));
    return Ancestral{std::sqrt(to * to - up * up), up};
  };
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    const double sigma = grid.sigmas[i], next = grid.sigmas[i + 1];
    const NoiseLevel here = variance_exploding(sigma);
    builder.call(grid.timesteps[i], here, input_scale(here));
    const Linear picture = predicted_picture(builder.config.prediction, here, sample());
    if (next == 0) {
      builder.next_sample(picture);
      continue;
    }
    const double middle = std::sqrt(sigma * next);
    const Ancestral half = ancestral(sigma, middle);
    builder.store(kFirstSlot + kStart, sample());
    builder.store(kFirstSlot + kFirstNoise, noise());
    builder.next_sample((half.down / sigma) * sample() + (1 - half.down / sigma) * picture +
                        half.up * noise());

    const NoiseLevel there = variance_exploding(middle);
    builder.call(comfy ? static_cast<double>(builder.schedule.nearest_timestep(middle))
                       : builder.schedule.timestep(middle),
                 there, input_scale(there));
    const Linear better = predicted_picture(builder.config.prediction, there, sample());
    const Ancestral whole = ancestral(sigma, next);
    // Noise is the increment of one Brownian motion in sigma: that from sigma to next contains that from sigma to middle.
    const double old_part = std::sqrt((sigma - middle) / (sigma - next));
    const double new_part = std::sqrt((middle - next) / (sigma - next));
    builder.next_sample((whole.down / sigma) * slot(kStart) + (1 - whole.down / sigma) * better +
                        whole.up * (old_part * slot(kFirstNoise) + new_part * noise()));
  }
}

}  // namespace weft::diffusion
