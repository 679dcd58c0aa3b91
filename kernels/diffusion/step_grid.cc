#include "kernels/diffusion/step_grid.h"

#include <boost/math/special_functions/beta.hpp>

#include <algorithm>
#include <cmath>

namespace weft::diffusion {
namespace {

double rounded_to_float(double value) { return static_cast<double>(static_cast<float>(value)); }

// n numbers from first to last, both included.
std::vector<double> linspace(double first, double last, int64_t n) {
  std::vector<double> values(static_cast<size_t>(n), first);
  if (n < 2) return values;
  const double step = (last - first) / static_cast<double>(n - 1);
  for (int64_t i = 1; i < n; ++i) values[static_cast<size_t>(i)] = first + step * static_cast<double>(i);
  values.back() = last;
  return values;
}

// train, train - train / n, ..., each rounded and less one.
std::vector<double> trailing(int64_t train, int64_t n) {
  const double first = static_cast<double>(train), step = first / static_cast<double>(n);
  const double delta = (first - step) - first;  // as numpy.arange counts
  std::vector<double> values;
  for (int64_t i = 0; i < n; ++i)
    values.push_back(std::nearbyint(first + delta * static_cast<double>(i)) - 1);
  return values;
}

// Quantile of the beta distribution with both parameters 0.6. Source: Lee et al. 2024, arXiv:2407.12173.
double beta_quantile(double p) {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  return boost::math::ibeta_inv(0.6, 0.6, p);
}

// The curves from a largest to a smallest sigma. Source of karras: arXiv:2206.00364, equation 5, rho 7.
std::vector<double> curve(SigmaSpacing spacing, double largest, double smallest, int64_t n) {
  std::vector<double> sigmas;
  for (double part : linspace(0, 1, n)) {
    if (spacing == SigmaSpacing::kKarras) {
      const double low = std::pow(smallest, 1.0 / 7), high = std::pow(largest, 1.0 / 7);
      sigmas.push_back(std::pow(high + part * (low - high), 7));
    } else if (spacing == SigmaSpacing::kExponential) {
      sigmas.push_back(std::exp(std::log(largest) + part * (std::log(smallest) - std::log(largest))));
    } else {
      sigmas.push_back(smallest + beta_quantile(1 - part) * (largest - smallest));
    }
  }
  return sigmas;
}

bool is_curve(SigmaSpacing spacing) {
  return spacing == SigmaSpacing::kKarras || spacing == SigmaSpacing::kExponential ||
         spacing == SigmaSpacing::kBeta;
}

void close(StepGrid& grid, double last_sigma) {
  grid.sigmas.push_back(last_sigma);
  for (double& sigma : grid.sigmas) sigma = rounded_to_float(sigma);
}

}  // namespace

std::vector<double> spaced_timesteps(TimestepSpacing spacing, int64_t train_timesteps, int64_t steps,
                                     int64_t offset) {
  if (spacing == TimestepSpacing::kTrailing) return trailing(train_timesteps, steps);
  std::vector<double> values;
  if (spacing == TimestepSpacing::kLinspace) {
    values = linspace(0, static_cast<double>(train_timesteps - 1), steps);
    for (double& t : values) t = std::nearbyint(t);
  } else {
    const int64_t ratio = train_timesteps / steps;
    for (int64_t i = 0; i < steps; ++i) values.push_back(static_cast<double>(i * ratio + offset));
  }
  std::reverse(values.begin(), values.end());
  return values;
}

std::vector<double> distilled_timesteps(int64_t train_timesteps, int64_t original, int64_t steps) {
  const int64_t ratio = train_timesteps / original;
  std::vector<double> values;
  for (int64_t i = 0; i < steps; ++i) {
    const auto index = static_cast<int64_t>(
        std::floor(static_cast<double>(i) * (static_cast<double>(original) / static_cast<double>(steps))));
    values.push_back(static_cast<double>((original - index) * ratio - 1));
  }
  return values;
}

StepGrid k_diffusion_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps) {
  const int64_t train = schedule.train_timesteps();
  const TimestepSpacing spacing = timestep_spacing(config);
  StepGrid grid;
  if (spacing == TimestepSpacing::kLinspace) {  // not rounded to integers here
    const bool in_double = config.sampler == Sampler::kDpmppSde;
    grid.timesteps = linspace(0, static_cast<double>(train - 1), steps);
    for (double& t : grid.timesteps) t = in_double ? t : rounded_to_float(t);
    std::reverse(grid.timesteps.begin(), grid.timesteps.end());
  } else {
    grid.timesteps = spaced_timesteps(spacing, train, steps, config.steps_offset);
  }
  for (double t : grid.timesteps) grid.sigmas.push_back(schedule.sigma(t));
  if (is_curve(config.sigma_spacing)) {
    grid.sigmas = curve(config.sigma_spacing, grid.sigmas.front(), grid.sigmas.back(), steps);
    const bool rounds = config.sampler == Sampler::kDpm2 && config.sigma_spacing == SigmaSpacing::kKarras;
    for (size_t i = 0; i < grid.timesteps.size(); ++i) {
      const double t = schedule.timestep(grid.sigmas[i]);
      grid.timesteps[i] = rounds ? std::nearbyint(t) : t;
    }
  }
  const bool ends_at_smallest =
      config.sampler == Sampler::kEuler && config.final_sigma == FinalSigma::kSmallest;
  close(grid, ends_at_smallest ? static_cast<double>(schedule.sigmas().front()) : 0);
  return grid;
}

StepGrid multistep_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps) {
  const int64_t train = schedule.train_timesteps();
  const TimestepSpacing spacing = timestep_spacing(config);
  const auto sigmas = schedule.sigmas();
  StepGrid grid;
  if (is_curve(config.sigma_spacing)) {
    grid.sigmas = curve(config.sigma_spacing, sigmas.back(), sigmas.front(), steps);
    const bool is_dpm = config.sampler == Sampler::kDpmpp2m || config.sampler == Sampler::kDpmpp2mSde;
    const bool rounds = config.sigma_spacing == SigmaSpacing::kKarras &&
                        !(is_dpm && config.beta_schedule == BetaSchedule::kSquaredCosine);
    for (double sigma : grid.sigmas) {
      const double t = schedule.timestep(sigma);
      grid.timesteps.push_back(rounds ? std::nearbyint(t) : std::trunc(t));
    }
  } else {
    grid.timesteps = spaced_timesteps(
        spacing, train, spacing == TimestepSpacing::kTrailing ? steps : steps + 1, config.steps_offset);
    grid.timesteps.resize(static_cast<size_t>(steps));
    for (double t : grid.timesteps) grid.sigmas.push_back(schedule.sigma(t));
  }
  double last = config.final_sigma == FinalSigma::kZero ? 0 : static_cast<double>(sigmas.front());
  if (config.sampler == Sampler::kDeis) {
    last = is_curve(config.sigma_spacing) ? grid.sigmas.back() : static_cast<double>(sigmas.front());
  }
  close(grid, last);
  return grid;
}

StepGrid comfyui_grid(const SamplerConfig& config, const NoiseSchedule& schedule, int64_t steps) {
  const auto table = schedule.sigmas();
  const double last_timestep = static_cast<double>(table.size() - 1);
  StepGrid grid;
  switch (config.sigma_spacing) {
    case SigmaSpacing::kNormal:
    case SigmaSpacing::kSgmUniform: {
      const bool drops_last = config.sigma_spacing == SigmaSpacing::kSgmUniform;
      std::vector<double> timesteps = linspace(last_timestep, 0, drops_last ? steps + 1 : steps);
      timesteps.resize(static_cast<size_t>(steps));
      for (double t : timesteps) grid.sigmas.push_back(schedule.log_interpolated_sigma(t));
      break;
    }
    case SigmaSpacing::kKarras:
    case SigmaSpacing::kExponential:
      grid.sigmas = curve(config.sigma_spacing, table.back(), table.front(), steps);
      break;
    case SigmaSpacing::kSimple:
      for (int64_t i = 0; i < steps; ++i) {
        const double stride = static_cast<double>(table.size()) / static_cast<double>(steps);
        const auto back = static_cast<size_t>(static_cast<double>(i) * stride);
        grid.sigmas.push_back(table[table.size() - 1 - back]);
      }
      break;
    case SigmaSpacing::kBeta: {
      double before = -1;
      for (int64_t i = 0; i < steps; ++i) {
        const double p = 1 - static_cast<double>(i) / static_cast<double>(steps);
        const double t = std::nearbyint(beta_quantile(p) * last_timestep);
        if (t != before) grid.sigmas.push_back(table[static_cast<size_t>(t)]);
        before = t;
      }
      break;
    }
  }
  for (double sigma : grid.sigmas)
    grid.timesteps.push_back(static_cast<double>(schedule.nearest_timestep(sigma)));
  close(grid, 0);
  return grid;
}

int64_t order_at(const std::vector<double>& sigmas, int64_t i, int64_t most) {
  int64_t order = 1;
  while (order < most && order <= i &&
         sigmas[static_cast<size_t>(i - order)] != sigmas[static_cast<size_t>(i - order + 1)]) {
    ++order;
  }
  return order;
}

}  // namespace weft::diffusion
