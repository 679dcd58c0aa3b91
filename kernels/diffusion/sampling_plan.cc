#include "kernels/diffusion/sampling_plan.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

Status refuse(const char* what, std::string expected, std::string got) {
  return Status(StatusCode::kInvalidArgument, "this cannot be sampled")
      .at(what)
      .expected(std::move(expected))
      .got(std::move(got));
}

bool is_over_timesteps(Sampler sampler) {
  switch (sampler) {
    case Sampler::kDdim:
    case Sampler::kDdpm:
    case Sampler::kPndm:
    case Sampler::kLcm:
    case Sampler::kTcd: return true;
    default: return false;
  }
}

bool is_ipndm(Sampler sampler) { return sampler == Sampler::kIpndm || sampler == Sampler::kIpndmV; }

bool is_distilled(Sampler sampler) { return sampler == Sampler::kLcm || sampler == Sampler::kTcd; }

Status check_combination(const SamplerConfig& config) {
  const bool comfy = config.profile == Profile::kComfyUi;
  const bool is_pndm = config.sampler == Sampler::kPndm;
  if (comfy && (is_pndm || config.sampler == Sampler::kTcd)) {
    return Status(StatusCode::kUnsupported,
                  std::string("ComfyUI has no sampler '") + name_of(config.sampler) + "'")
        .hint(is_pndm ? "its kin there is \"ipndm\"; or use profile \"diffusers\""
                      : "use profile \"diffusers\", or another sampler");
  }
  if (!comfy && is_ipndm(config.sampler)) {
    return Status(StatusCode::kUnsupported,
                  std::string("diffusers has no sampler '") + name_of(config.sampler) + "' for these models")
        .hint("use profile \"comfyui\", or sampler \"pndm\"");
  }
  const bool curved = config.sigma_spacing == SigmaSpacing::kKarras ||
                      config.sigma_spacing == SigmaSpacing::kExponential ||
                      config.sigma_spacing == SigmaSpacing::kBeta;
  if (!comfy && curved && is_over_timesteps(config.sampler)) {
    return Status(StatusCode::kUnsupported, std::string("'") + name_of(config.sampler) +
                                                "' visits timesteps, not sigmas: schedule '" +
                                                name_of(config.sigma_spacing) + "' does not apply")
        .hint("use schedule \"normal\" or \"sgm_uniform\", profile \"comfyui\", or another sampler");
  }
  const bool no_sample = config.sampler == Sampler::kPndm || config.sampler == Sampler::kDpm2 ||
                         config.sampler == Sampler::kDpmppSde || config.sampler == Sampler::kEulerAncestral;
  if (!comfy && no_sample && config.prediction == Prediction::kSample) {
    return Status(StatusCode::kUnsupported, std::string("'") + name_of(config.sampler) +
                                                "' does not take a network that predicts the sample")
        .hint("use \"ddim\", \"euler\" or \"dpmpp_2m\"");
  }
  return {};
}

Status check(const SamplerConfig& config, int64_t steps, double strength) {
  if (steps < 1 || steps > SamplingPlan::kMaxSteps) {
    return refuse("steps", "1 to " + std::to_string(SamplingPlan::kMaxSteps), std::to_string(steps));
  }
  if (!(strength >= 0 && strength <= 1)) return refuse("strength", "0 to 1", std::to_string(strength));
  constexpr double kLongestSchedule = 100'000;  // steps, of which ComfyUI takes the last ones
  const bool comfy = config.profile == Profile::kComfyUi;
  if (comfy && strength > 0 && static_cast<double>(steps) / strength > kLongestSchedule) {
    return refuse("strength",
                  "0, or at least " + std::to_string(static_cast<double>(steps) / kLongestSchedule),
                  std::to_string(strength));
  }
  if (steps > config.train_timesteps) {
    return refuse("steps", "at most the model's " + std::to_string(config.train_timesteps) + " timesteps",
                  std::to_string(steps));
  }
  if (config.solver_order < 1 || config.solver_order > 3) {
    return refuse("solver_order", "1 to 3", std::to_string(config.solver_order));
  }
  if (!(config.eta >= 0 && config.eta <= 1)) return refuse("eta", "0 to 1", std::to_string(config.eta));
  if (!(config.tcd_eta >= 0 && config.tcd_eta <= 1))
    return refuse("eta", "0 to 1", std::to_string(config.tcd_eta));
  if (is_distilled(config.sampler) && config.profile == Profile::kDiffusers) {
    if (config.original_steps < 1 || config.original_steps > config.train_timesteps) {
      return refuse("original_inference_steps", "1 to the model's timesteps",
                    std::to_string(config.original_steps));
    }
    if (steps > config.original_steps) {
      return refuse("steps",
                    "at most the " + std::to_string(config.original_steps) + " steps of the distillation",
                    std::to_string(steps));
    }
  }
  const bool needs_three = config.sampler == Sampler::kPndm && config.skip_prk_steps == Switch::kOff;
  if (needs_three && steps < 4) return refuse("steps", "at least 4 for PNDM", std::to_string(steps));
  if (config.steps_offset < 0 || config.steps_offset >= config.train_timesteps) {
    return refuse("steps_offset", "0 to the model's last timestep", std::to_string(config.steps_offset));
  }
  return check_combination(config);
}

// Without any picture left at the last timestep, a network that predicts noise says nothing about the picture.
Status check_first_level(const SamplerConfig& config, const NoiseSchedule& schedule) {
  const bool starts_at_zero = is_over_timesteps(config.sampler) && schedule.alpha_bar().back() == 0;
  if (!starts_at_zero || config.prediction != Prediction::kEpsilon) return {};
  return Status(StatusCode::kUnsupported,
                "a zero terminal signal-to-noise ratio needs a v-prediction network")
      .at("rescale_betas_zero_snr");
}

void build_over_timesteps(PlanBuilder& builder, const std::vector<double>& timesteps) {
  switch (builder.config.sampler) {
    case Sampler::kDdim: return build_ddim(builder, timesteps);
    case Sampler::kDdpm: return build_ddpm(builder, timesteps);
    case Sampler::kPndm: return build_pndm(builder);
    default: return build_consistency(builder, timesteps);
  }
}

void build_over_sigmas(PlanBuilder& builder, const StepGrid& grid) {
  switch (builder.config.sampler) {
    case Sampler::kEuler:
    case Sampler::kEulerAncestral:
    case Sampler::kDdim: return build_euler(builder, grid);  // ComfyUI's DDIM is Euler's method
    case Sampler::kLms: return build_lms(builder, grid);
    case Sampler::kHeun: return build_heun(builder, grid);
    case Sampler::kDpm2: return build_dpm2(builder, grid);
    case Sampler::kDpmpp2m:
    case Sampler::kDpmpp2mSde: return build_dpmpp_2m(builder, grid);
    case Sampler::kDpmppSde: return build_dpmpp_sde(builder, grid);
    case Sampler::kUniPc:
    case Sampler::kUniPcBh2: return build_unipc(builder, grid);
    case Sampler::kDeis:
      return builder.config.profile == Profile::kComfyUi ? build_comfyui_deis(builder, grid)
                                                         : build_deis(builder, grid);
    case Sampler::kIpndm:
    case Sampler::kIpndmV: return build_ipndm(builder, grid);
    case Sampler::kDdpm: return build_comfyui_ddpm(builder, grid);
    case Sampler::kLcm: return build_comfyui_lcm(builder, grid);
    case Sampler::kPndm:
    case Sampler::kTcd: return;  // refused before
  }
}

bool is_multistep_solver(Sampler sampler) {
  return sampler == Sampler::kDpmpp2m || sampler == Sampler::kDpmpp2mSde || is_unipc(sampler) ||
         sampler == Sampler::kDeis;
}

SamplingPlan diffusers_plan(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps,
                            double strength) {
  const auto kept = std::min(static_cast<int64_t>(static_cast<double>(steps) * strength), steps);
  PlanBuilder builder(config, schedule, steps, steps - kept);
  if (is_over_timesteps(config.sampler)) {
    const int64_t train = schedule.train_timesteps();
    build_over_timesteps(builder,
                         is_distilled(config.sampler)
                             ? distilled_timesteps(train, config.original_steps, steps)
                             : spaced_timesteps(timestep_spacing(config), train, steps, config.steps_offset));
    return builder.finish();
  }
  const bool multistep = is_multistep_solver(config.sampler);
  const StepGrid grid =
      multistep ? multistep_grid(config, schedule, steps) : k_diffusion_grid(config, schedule, steps);
  if (!multistep) {
    const double largest = grid.sigmas.front();
    const bool leading = timestep_spacing(config) == TimestepSpacing::kLeading;
    builder.set_start_noise(leading ? std::sqrt(largest * largest + 1) : largest);
  }
  build_over_sigmas(builder, grid);
  return builder.finish();
}

// ComfyUI takes `strength` of a longer schedule, so that there are always `steps` steps; for some samplers it leaves the
// sigma before the last one out of a schedule that is one step longer.
StepGrid comfyui_steps(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps,
                       double strength) {
  const bool drops = config.sampler == Sampler::kDpm2 || is_unipc(config.sampler);
  const auto total = static_cast<int64_t>(static_cast<double>(steps) / strength);
  StepGrid grid = comfyui_grid(config, schedule, total + (drops ? 1 : 0));
  if (drops && grid.timesteps.size() > 1) {
    grid.sigmas.erase(grid.sigmas.end() - 2);
    grid.timesteps.pop_back();
  }
  const size_t wanted = std::min(static_cast<size_t>(steps), grid.timesteps.size());
  const auto skipped = static_cast<ptrdiff_t>(grid.timesteps.size() - wanted);
  grid.timesteps.erase(grid.timesteps.begin(), grid.timesteps.begin() + skipped);
  grid.sigmas.erase(grid.sigmas.begin(), grid.sigmas.begin() + skipped);
  return grid;
}

SamplingPlan comfyui_plan(SamplerConfig config, const NoiseSchedule& schedule, int64_t steps,
                          double strength) {
  StepGrid grid = strength > 0 ? comfyui_steps(config, schedule, steps, strength) : StepGrid{{}, {0}};
  const auto n = static_cast<int64_t>(grid.timesteps.size());
  const bool unipc = is_unipc(config.sampler);
  if (unipc && n > 0) {  // there in terms of variance 1, up to order 3, down to a sigma of 0.001
    config.unipc_variant = UniPcVariant::kBh1;
    config.solver_order = std::clamp<int64_t>(n - 1, 1, 3);
    grid.sigmas.back() = 0.001;
  }
  PlanBuilder builder(config, schedule, n, 0);
  const double first = grid.sigmas.front(), largest = schedule.sigmas().back();
  const bool from_the_top = first > largest * (1 - 1e-5);
  if (!unipc) builder.set_start_noise(from_the_top ? std::sqrt(first * first + 1) : first);
  build_over_sigmas(builder, grid);
  return builder.finish();
}

}  // namespace

Result<SamplingPlan> SamplingPlan::make(const SamplerConfig& config, int64_t steps, double strength) {
  if (Status status = check(config, steps, strength); !status.ok()) return status;
  Result<NoiseSchedule> schedule = noise_schedule(config);
  if (!schedule.ok()) return schedule.status();
  const bool comfy = config.profile == Profile::kComfyUi;
  if (!comfy) {
    if (Status status = check_first_level(config, *schedule); !status.ok()) return status;
    const TimestepSpacing spacing = timestep_spacing(config);
    const int64_t points = steps + (is_multistep_solver(config.sampler) ? 1 : 0);
    const int64_t first = (points - 1) * (config.train_timesteps / points) + config.steps_offset;
    const bool distilled = is_distilled(config.sampler);
    if (!distilled && spacing == TimestepSpacing::kLeading && first >= config.train_timesteps) {
      return refuse("steps_offset", "a first timestep below " + std::to_string(config.train_timesteps),
                    std::to_string(first));
    }
  }
  return comfy ? comfyui_plan(config, *schedule, steps, strength)
               : diffusers_plan(config, *schedule, steps, strength);
}

void SamplingPlan::start(std::span<const float> noise, std::span<const float> picture,
                         std::span<float> sample) const {
  if (!picture.empty()) return noised_picture(0, noise, picture, sample);
  for (size_t i = 0; i < sample.size(); ++i) sample[i] = static_cast<float>(start_noise_ * noise[i]);
}

void SamplingPlan::noised_picture(int64_t call, std::span<const float> noise, std::span<const float> picture,
                                  std::span<float> out) const {
  const Level level = levels_[static_cast<size_t>(call)];
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(level.picture * picture[i] + level.noise * noise[i]);
  }
}

void SamplingPlan::scale_input(int64_t call, std::span<const float> sample, std::span<float> input) const {
  const double scale = at(call).input_scale;
  for (size_t i = 0; i < sample.size(); ++i) input[i] = static_cast<float>(scale * sample[i]);
}

void SamplingPlan::advance(int64_t call, std::span<const float> output,
                           std::array<std::span<const float>, 2> noise, std::span<float> history,
                           std::span<float> sample) const {
  const size_t count = sample.size();
  assert(output.size() == count && history.size() >= static_cast<size_t>(slots_) * count);
  const auto operand = [&](int which) -> const float* {
    switch (which) {
      case kSampleOperand: return sample.data();
      case kOutputOperand: return output.data();
      case kNoiseOperand: return noise[0].data();
      case kSecondNoiseOperand: return noise[1].data();
      default: return history.data() + static_cast<size_t>(which - kFirstSlot) * count;
    }
  };
  for (const Update& update : at(call).updates) {
    float* target = const_cast<float*>(operand(update.target));
    constexpr size_t kMaxTerms = 8;
    std::array<const float*, kMaxTerms> sources{};
    std::array<double, kMaxTerms> factors{};
    const size_t n_terms = update.terms.size();
    assert(n_terms <= kMaxTerms);
    for (size_t k = 0; k < n_terms; ++k) {
      sources[k] = operand(update.terms[k].operand);
      factors[k] = update.terms[k].factor;
    }
    for (size_t i = 0; i < count; ++i) {
      double sum = 0;
      for (size_t k = 0; k < n_terms; ++k) sum += factors[k] * sources[k][i];
      if (update.clamp > 0) sum = std::clamp(sum, -update.clamp, update.clamp);
      target[i] = static_cast<float>(sum);
    }
  }
}

}  // namespace weft::diffusion
