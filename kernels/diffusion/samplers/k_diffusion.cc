// Euler, Euler ancestral, LMS, Heun and DPM2: ordinary differential equations in sigma. A sample is the picture plus sigma
// times noise; the network sees it divided by sqrt(sigma^2 + 1).
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

double input_scale(double sigma) { return 1 / std::sqrt(sigma * sigma + 1); }

void call_at(PlanBuilder& builder, double timestep, double sigma) {
  builder.call(timestep, variance_exploding(sigma), input_scale(sigma));
}

// (sample - picture) / sigma
Linear slope(PlanBuilder& builder, double sigma, int64_t scratch) {
  return (sample() - builder.picture(variance_exploding(sigma), scratch, 0)) / sigma;
}

// Integral from sigmas[at] to sigmas[at + 1] of the Lagrange polynomial that is 1 at sigmas[at - which] and 0 at the other
// ones of the `order` latest. Simpson's rule is exact up to degree 3.
double multistep_factor(const std::vector<double>& sigmas, size_t at, size_t order, size_t which) {
  const auto polynomial = [&](double sigma) {
    double product = 1;
    for (size_t k = 0; k < order; ++k) {
      if (k != which) product *= (sigma - sigmas[at - k]) / (sigmas[at - which] - sigmas[at - k]);
    }
    return product;
  };
  const double from = sigmas[at], to = sigmas[at + 1];
  return (to - from) / 6 * (polynomial(from) + 4 * polynomial((from + to) / 2) + polynomial(to));
}

}  // namespace

void build_euler(PlanBuilder& builder, const StepGrid& grid) {
  const bool ancestral = builder.config.sampler == Sampler::kEulerAncestral;
  builder.set_slots(0);
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    const double sigma = grid.sigmas[i], next = grid.sigmas[i + 1];
    call_at(builder, grid.timesteps[i], sigma);
    const Linear picture = predicted_picture(builder.config.prediction, variance_exploding(sigma), sample());
    const double up =
        ancestral ? std::sqrt(std::max(next * next * (sigma * sigma - next * next), 0.0)) / sigma : 0;
    const double down = std::sqrt(std::max(next * next - up * up, 0.0));
    builder.next_sample(sample() + ((down - sigma) / sigma) * (sample() - picture) + up * noise());
  }
}

void build_lms(PlanBuilder& builder, const StepGrid& grid) {
  constexpr size_t kOrder = 4;
  builder.set_slots(kOrder);
  const auto first = static_cast<size_t>(builder.first_step);
  for (size_t i = first; i < grid.timesteps.size(); ++i) {
    call_at(builder, grid.timesteps[i], grid.sigmas[i]);
    const auto ring = [&](size_t step) { return static_cast<int64_t>(step % kOrder); };
    builder.store(kFirstSlot + static_cast<int>(ring(i)),
                  (sample() - predicted_picture(builder.config.prediction, variance_exploding(grid.sigmas[i]),
                                                sample())) /
                      grid.sigmas[i]);
    // Started in the middle, diffusers takes the factors of the full order and leaves out the terms that are missing.
    const size_t order = std::min(i + 1, kOrder), known = std::min(i - first + 1, order);
    Linear next = sample();
    for (size_t k = 0; k < known; ++k) {
      next += multistep_factor(grid.sigmas, i, order, k) * slot(ring(i - k));
    }
    builder.next_sample(next);
  }
}

void build_heun(PlanBuilder& builder, const StepGrid& grid) {
  constexpr int64_t kSlope = 0, kStart = 1, kClipped = 2;
  builder.set_slots(3);
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    const double sigma = grid.sigmas[i], next = grid.sigmas[i + 1];
    call_at(builder, grid.timesteps[i], sigma);
    const Linear here = slope(builder, sigma, kClipped);
    if (next == 0) {
      builder.next_sample(sample() + (next - sigma) * here);
      continue;
    }
    builder.store(kFirstSlot + kSlope, here);
    builder.store(kFirstSlot + kStart, sample());
    builder.next_sample(sample() + (next - sigma) * slot(kSlope));
    call_at(builder, grid.timesteps[i + 1], next);
    builder.next_sample(slot(kStart) +
                        ((next - sigma) / 2) * (slot(kSlope) + slope(builder, next, kClipped)));
  }
}

void build_dpm2(PlanBuilder& builder, const StepGrid& grid) {
  constexpr int64_t kStart = 0;
  builder.set_slots(1);
  const bool comfy = builder.config.profile == Profile::kComfyUi;
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    const double sigma = grid.sigmas[i], next = grid.sigmas[i + 1];
    call_at(builder, grid.timesteps[i], sigma);
    const auto slope_at = [&](double at) {
      return (sample() - predicted_picture(builder.config.prediction, variance_exploding(at), sample())) / at;
    };
    if (next == 0) {
      builder.next_sample(sample() - sigma * slope_at(sigma));
      continue;
    }
    const double middle = std::sqrt(sigma * next);  // half way in log sigma
    builder.store(kFirstSlot + kStart, sample());
    builder.next_sample(sample() + (middle - sigma) * slope_at(sigma));
    call_at(builder,
            comfy ? static_cast<double>(builder.schedule.nearest_timestep(middle))
                  : builder.schedule.timestep(middle),
            middle);
    builder.next_sample(slot(kStart) + (next - sigma) * slope_at(middle));
  }
}

}  // namespace weft::diffusion
