/// Writing samplers as formulas: Linear is a sum of terms, PlanBuilder collects the steps. For the sources of
/// samplers/ and of sampling_plan.cc only.
#ifndef WEFT_KERNELS_DIFFUSION_PLAN_BUILDER_H
#define WEFT_KERNELS_DIFFUSION_PLAN_BUILDER_H

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/diffusion/noise_schedule.h"
#include "kernels/diffusion/sampling_plan.h"
#include "kernels/diffusion/step_grid.h"

namespace weft::diffusion {

/// A sum of operands with factors; one term an operand, in the order of first use.
class Linear {
 public:
  Linear() = default;
  explicit Linear(int operand) : terms_{{operand, 1}} {}
  Linear& operator+=(const Linear& other);
  Linear& operator*=(double factor);
  friend Linear operator+(Linear a, const Linear& b) { return a += b; }
  friend Linear operator-(Linear a, const Linear& b) { return a += b * -1; }
  friend Linear operator*(Linear a, double factor) { return a *= factor; }
  friend Linear operator*(double factor, Linear a) { return a *= factor; }
  friend Linear operator/(Linear a, double divisor) { return a *= 1 / divisor; }
  const std::vector<Term>& terms() const { return terms_; }

 private:
  std::vector<Term> terms_;
};

inline Linear sample() { return Linear(kSampleOperand); }
inline Linear model_output() { return Linear(kOutputOperand); }
inline Linear noise() { return Linear(kNoiseOperand); }
inline Linear second_noise() { return Linear(kSecondNoiseOperand); }
inline Linear slot(int64_t i) { return Linear(kFirstSlot + static_cast<int>(i)); }

/// A noise level: a sample there is alpha times the picture plus sigma times noise.
struct NoiseLevel {
  double alpha = 1, sigma = 0;
  /// ln(alpha / sigma), half the logarithm of the signal-to-noise ratio; infinite without noise.
  double lambda() const;
};
/// Where the sample's variance stays 1 (DDPM's scale), from a sigma of k-diffusion's scale.
NoiseLevel variance_preserving(double sigma);
NoiseLevel variance_preserving_at(double alpha_bar);
/// k-diffusion's own scale.
inline NoiseLevel variance_exploding(double sigma) { return {1, sigma}; }

/// The picture that a network's output means for a sample at `level`. In k-diffusion's scale the network has seen the
/// sample divided by sqrt(sigma^2 + 1).
Linear predicted_picture(Prediction prediction, NoiseLevel level, const Linear& at_sample);
/// The noise that it means: (sample - alpha * picture) / sigma, without the division where sigma may be 0.
Linear predicted_noise(Prediction prediction, NoiseLevel level, const Linear& at_sample);

class PlanBuilder {
 public:
  PlanBuilder(const SamplerConfig& sampler_config, const NoiseSchedule& noise_schedule, int64_t n_steps,
              int64_t first)
      : config(sampler_config), schedule(noise_schedule), steps(n_steps), first_step(first) {}

  const SamplerConfig& config;
  const NoiseSchedule& schedule;
  const int64_t steps;
  const int64_t first_step;  // in calls that the scheduler lists: those before it are left out

  void set_slots(int64_t slots) { plan_.slots_ = slots; }
  /// Factor of the noise where sampling starts from noise alone; 1 unless set.
  void set_start_noise(double scale) { plan_.start_noise_ = scale; }
  /// Begins a call of the network on a sample at `level`.
  void call(double timestep, NoiseLevel level, double input_scale = 1);
  void store(int target, const Linear& value, double clamp = 0);
  void next_sample(const Linear& value) { store(kSampleOperand, value); }
  /// The picture, clipped into `scratch` if the configuration says so (default: what the class does).
  Linear picture(NoiseLevel level, int64_t scratch, double default_clip);
  SamplingPlan finish();

 private:
  SamplingPlan plan_;
};

// One of these makes each plan.
void build_ddim(PlanBuilder& builder, const std::vector<double>& timesteps);
void build_ddpm(PlanBuilder& builder, const std::vector<double>& timesteps);
void build_pndm(PlanBuilder& builder);
void build_consistency(PlanBuilder& builder, const std::vector<double>& timesteps);  // LCM, TCD
void build_euler(PlanBuilder& builder, const StepGrid& grid);                        // and ancestral
void build_lms(PlanBuilder& builder, const StepGrid& grid);
void build_heun(PlanBuilder& builder, const StepGrid& grid);
void build_dpm2(PlanBuilder& builder, const StepGrid& grid);
void build_dpmpp_2m(PlanBuilder& builder, const StepGrid& grid);  // and 2M SDE
void build_dpmpp_sde(PlanBuilder& builder, const StepGrid& grid);
void build_unipc(PlanBuilder& builder, const StepGrid& grid);
void build_deis(PlanBuilder& builder, const StepGrid& grid);
void build_comfyui_deis(PlanBuilder& builder, const StepGrid& grid);
void build_ipndm(PlanBuilder& builder, const StepGrid& grid);  // and ipndm_v
void build_comfyui_ddpm(PlanBuilder& builder, const StepGrid& grid);
void build_comfyui_lcm(PlanBuilder& builder, const StepGrid& grid);

}  // namespace weft::diffusion
#endif
