/// The timesteps and sigmas that n steps visit.
///
/// Three families, as in diffusers: samplers over integer timesteps (DDIM, DDPM, PNDM, LCM, TCD); k-diffusion's, whose
/// sigmas are interpolated at n timesteps; and multistep solvers (DPM++ 2M, UniPC, DEIS), whose sigmas are those of n of
/// n + 1 timesteps. ComfyUI has one way for all: sigmas by name, and for each the nearest integer timestep.
#ifndef WEFT_KERNELS_DIFFUSION_STEP_GRID_H
#define WEFT_KERNELS_DIFFUSION_STEP_GRID_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <vector>

#include "kernels/diffusion/noise_schedule.h"
#include "kernels/diffusion/sampler_config.h"

namespace weft::diffusion {

struct StepGrid {
  std::vector<double> timesteps;  ///< [n], falling; what the network is told
  std::vector<double> sigmas;     ///< [n + 1], falling, rounded to f32; empty for samplers over timesteps
};

/// The integer timesteps of DDIM, DDPM and PNDM, falling.
std::vector<double> spaced_timesteps(TimestepSpacing spacing, int64_t train_timesteps, int64_t steps,
                                     int64_t offset);
/// Those of LCM and TCD: every (original / steps)-th of the `original` timesteps of the distillation.
std::vector<double> distilled_timesteps(int64_t train_timesteps, int64_t original, int64_t steps);

/// Preconditions: 1 <= steps <= train timesteps.
StepGrid k_diffusion_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps);
StepGrid multistep_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps);
/// ComfyUI's; "beta" may visit fewer steps, as it drops repeated ones.
StepGrid comfyui_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps);

/// The order that a multistep formula can have at step i: at most `most` sigmas up to i, all different (where ComfyUI's
/// schedules are longer than the model's table of sigmas, some repeat).
int64_t order_at(const std::vector<double>& sigmas, int64_t i, int64_t most);

}  // namespace weft::diffusion
#endif
