// DDPM and LCM as ComfyUI defines them, in k-diffusion's scale.
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

void call_at(PlanBuilder& builder, double timestep, double sigma) {
  builder.call(timestep, variance_exploding(sigma), 1 / std::sqrt(sigma * sigma + 1));
}

}  // namespace

void build_comfyui_ddpm(PlanBuilder& builder, const StepGrid& grid) {
  builder.set_slots(0);
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    const double sigma = grid.sigmas[i], next = grid.sigmas[i + 1];
    call_at(builder, grid.timesteps[i], sigma);
    const Linear epsilon =
        (sample() - predicted_picture(builder.config.prediction, variance_exploding(sigma), sample())) /
        sigma;
    const double here = 1 / (sigma * sigma + 1), there = 1 / (next * next + 1);
    const double alpha = here / there;
    const double back = next > 0 ? std::sqrt(1 + next * next) : 1;  // from variance 1 to k-diffusion's scale
    const double added = next > 0 ? std::sqrt((1 - alpha) * (1 - there) / (1 - here)) : 0;
    const Linear mean =
        (std::sqrt(here) * sample() - ((1 - alpha) / std::sqrt(1 - here)) * epsilon) / std::sqrt(alpha);
    builder.next_sample(back * (mean + added * noise()));
  }
}

void build_comfyui_lcm(PlanBuilder& builder, const StepGrid& grid) {
  builder.set_slots(0);
  for (size_t i = static_cast<size_t>(builder.first_step); i < grid.timesteps.size(); ++i) {
    call_at(builder, grid.timesteps[i], grid.sigmas[i]);
    builder.next_sample(
        predicted_picture(builder.config.prediction, variance_exploding(grid.sigmas[i]), sample()) +
        grid.sigmas[i + 1] * noise());
  }
}

}  // namespace weft::diffusion
