/// How much noise a diffusion model saw at each training timestep.
///
/// The table that everything else is computed from is alpha_bar[t], the part of the picture's variance that is left at
/// timestep t; sigma[t] = sqrt((1 - alpha_bar) / alpha_bar) is the same in the terms of k-diffusion. Both are rounded to
/// f32 in the order in which diffusers rounds them, so that timesteps found by comparing sigmas are the same ones.
///
/// Ownership: a value. Thread safety: const members from any thread.
///
///   Result<NoiseSchedule> schedule = NoiseSchedule::make({.beta_schedule = BetaSchedule::kScaledLinear});
///   double sigma = schedule->sigma(999);
#ifndef WEFT_KERNELS_DIFFUSION_NOISE_SCHEDULE_H
#define WEFT_KERNELS_DIFFUSION_NOISE_SCHEDULE_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <span>
#include <vector>

namespace weft::diffusion {

enum class BetaSchedule : uint8_t {
  kLinear,
  kScaledLinear,   ///< linear in sqrt(beta): Stable Diffusion
  kSquaredCosine,  ///< "squaredcos_cap_v2". Source: Nichol & Dhariwal 2021, arXiv:2102.09672
};

/// Whether the last timestep is made pure noise. Source: Lin et al. 2023, arXiv:2305.08891.
enum class TerminalSnr : uint8_t { kAsTrained, kZero };

struct NoiseScheduleConfig {
  int64_t train_timesteps = 1000;  // 1 to 100,000
  double beta_start = 0.00085;     // 0 < beta_start <= beta_end < 1
  double beta_end = 0.012;
  BetaSchedule beta_schedule = BetaSchedule::kScaledLinear;
  TerminalSnr terminal_snr = TerminalSnr::kAsTrained;
};

class NoiseSchedule {
 public:
  /// Errors: kInvalidArgument, naming the field, its range and its value.
  static Result<NoiseSchedule> make(const NoiseScheduleConfig& config);

  int64_t train_timesteps() const { return static_cast<int64_t>(alpha_bar_.size()); }
  /// [train_timesteps], falling. With a zero terminal SNR the last one is 0.
  std::span<const float> alpha_bar() const { return alpha_bar_; }

  // The same in sigmas. With a zero terminal SNR the last alpha_bar counts as 2^-24, so that its sigma is finite.
  /// [train_timesteps], rising.
  std::span<const float> sigmas() const { return sigmas_; }
  std::span<const float> log_sigmas() const { return log_sigmas_; }
  /// Linear between neighbouring timesteps, as diffusers interpolates; t is clamped to the table.
  double sigma(double t) const;
  /// Linear in log sigma between neighbouring timesteps, as ComfyUI interpolates.
  double log_interpolated_sigma(double t) const;
  /// The timestep with this sigma, linear in log sigma, clamped to the table.
  double timestep(double sigma) const;
  /// The timestep whose log sigma is nearest, the smaller one of two.
  int64_t nearest_timestep(double sigma) const;

 private:
  NoiseSchedule() = default;
  std::vector<float> alpha_bar_, sigmas_, log_sigmas_;
};

}  // namespace weft::diffusion
#endif
