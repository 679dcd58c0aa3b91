/// Which sampler, which schedule, and the options that a scheduler_config.json may set: plain values.
///
/// An option that is not set takes the default of the sampler's class in diffusers, which differs from class to class:
/// that is what "the checkpoint's configuration with another scheduler" means there. Names are those of ComfyUI's menus
/// and, where ComfyUI has none, diffusers' class names in lower case.
/// Thread safety: values.
#ifndef WEFT_KERNELS_DIFFUSION_SAMPLER_CONFIG_H
#define WEFT_KERNELS_DIFFUSION_SAMPLER_CONFIG_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/diffusion/noise_schedule.h"

namespace weft::diffusion {

enum class Sampler : uint8_t {
  kDdim,            ///< Song et al. 2020, arXiv:2010.02502
  kDdpm,            ///< Ho et al. 2020, arXiv:2006.11239
  kPndm,            ///< Liu et al. 2022, arXiv:2202.09778
  kLms,             ///< linear multistep of order 4, k-diffusion
  kEuler,           ///< Karras et al. 2022, arXiv:2206.00364
  kEulerAncestral,  ///< k-diffusion
  kHeun,            ///< Karras et al. 2022
  kDpm2,            ///< Lu et al. 2022, arXiv:2206.00927, as k-diffusion has it
  kDpmpp2m,         ///< Lu et al. 2022, arXiv:2211.01095
  kDpmpp2mSde,      ///< the same with noise
  kDpmppSde,        ///< single-step, with noise
  kUniPc,           ///< Zhao et al. 2023, arXiv:2302.04867
  kLcm,             ///< Luo et al. 2023, arXiv:2310.04378
  kTcd,             ///< Zheng et al. 2024, arXiv:2402.19159
  kDeis,            ///< Zhang & Chen 2022, arXiv:2204.13902; each profile has its own form
  kIpndm,           ///< Adams-Bashforth for equal steps, ComfyUI's kin of PNDM
  kIpndmV,          ///< the same for steps of any length
  kUniPcBh2,        ///< UniPC with B(h) = e^h - 1, whatever unipc_variant says
};

/// "euler_ancestral", ...
const char* name_of(Sampler sampler);
inline constexpr int kSamplerCount = 18;
std::optional<Sampler> sampler_named(std::string_view name);
/// "ddim, ddpm, ...", for an error.
std::string sampler_names();

/// Whose conventions: which timesteps and sigmas n steps are, and how the first noise is scaled.
enum class Profile : uint8_t { kDiffusers, kComfyUi };

enum class SigmaSpacing : uint8_t { kNormal, kKarras, kExponential, kSgmUniform, kBeta, kSimple };
const char* name_of(SigmaSpacing spacing);

enum class TimestepSpacing : uint8_t { kLeading, kLinspace, kTrailing };

/// What the network's output is. Source of v: Salimans & Ho 2022, arXiv:2202.00512.
enum class Prediction : uint8_t { kEpsilon, kVelocity, kSample };

enum class FinalSigma : uint8_t { kZero, kSmallest };
enum class SecondOrder : uint8_t { kMidpoint, kHeun };  ///< DPM-Solver++'s two variants
enum class UniPcVariant : uint8_t { kBh1, kBh2 };       ///< B(h) = h, B(h) = e^h - 1
enum class DdpmVariance : uint8_t { kFixedSmall, kFixedLarge };
enum class Switch : uint8_t { kOff, kOn };

struct SamplerConfig {
  Sampler sampler = Sampler::kDdim;
  Profile profile = Profile::kDiffusers;
  Prediction prediction = Prediction::kEpsilon;
  SigmaSpacing sigma_spacing = SigmaSpacing::kNormal;

  int64_t train_timesteps = 1000;
  std::optional<double> beta_start, beta_end;
  std::optional<BetaSchedule> beta_schedule;
  TerminalSnr terminal_snr = TerminalSnr::kAsTrained;  // samplers whose class has no such option ignore it

  std::optional<TimestepSpacing> timestep_spacing;
  int64_t steps_offset = 0;                // "leading" only
  std::optional<Switch> set_alpha_to_one;  // DDIM, PNDM
  std::optional<double> clip_sample;  // DDIM, DDPM, Heun, LCM: the predicted picture's range; 0: not clipped

  double eta = 0;                // DDIM
  double tcd_eta = 0.3;          // TCD, 0 to 1
  int64_t original_steps = 50;   // LCM, TCD
  double timestep_scaling = 10;  // LCM
  DdpmVariance variance = DdpmVariance::kFixedSmall;
  Switch skip_prk_steps = Switch::kOff;  // PNDM
  int64_t solver_order = 2;              // DPM++ 2M, 2M SDE, UniPC, DEIS: 1 to 3
  SecondOrder second_order = SecondOrder::kMidpoint;
  UniPcVariant unipc_variant = UniPcVariant::kBh2;
  Switch lower_order_final = Switch::kOn;
  Switch euler_at_final = Switch::kOff;
  FinalSigma final_sigma = FinalSigma::kZero;  // Euler, DPM++ 2M, 2M SDE, UniPC
};

/// The noise schedule that the configuration means for its sampler. Errors: as NoiseSchedule::make.
Result<NoiseSchedule> noise_schedule(const SamplerConfig& config);
/// UniPC, with either B(h).
inline bool is_unipc(Sampler sampler) { return sampler == Sampler::kUniPc || sampler == Sampler::kUniPcBh2; }
/// The spacing that applies: what is set, or the class's default; "trailing" for sgm_uniform and simple, as diffusers'
/// documentation translates them.
TimestepSpacing timestep_spacing(const SamplerConfig& config);

}  // namespace weft::diffusion
#endif
