#include "kernels/diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace weft::diffusion {
namespace {

// f32 and from both ends towards the middle, as torch.linspace counts.
std::vector<float> linspace(double first, double last, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  const float start = static_cast<float>(first), end = static_cast<float>(last);
  const float step = count > 1 ? (end - start) / static_cast<float>(count - 1) : 0;
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] =
        i < count / 2 ? start + step * static_cast<float>(i) : end - step * static_cast<float>(count - 1 - i);
  }
  return values;
}

std::vector<float> cosine_betas(int64_t count) {
  const auto alpha_bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const double n = static_cast<double>(count);
    const double left = alpha_bar(static_cast<double>(i + 1) / n) / alpha_bar(static_cast<double>(i) / n);
    betas[static_cast<size_t>(i)] = static_cast<float>(std::min(1 - left, 0.999));
  }
  return betas;
}

std::vector<float> betas_of(const NoiseScheduleConfig& config) {
  switch (config.beta_schedule) {
    case BetaSchedule::kLinear: return linspace(config.beta_start, config.beta_end, config.train_timesteps);
    case BetaSchedule::kScaledLinear: {
      std::vector<float> betas =
          linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end), config.train_timesteps);
      for (float& beta : betas) beta *= beta;
      return betas;
    }
    case BetaSchedule::kSquaredCosine: return cosine_betas(config.train_timesteps);
  }
  return {};
}

std::vector<float> running_product(const std::vector<float>& betas) {
  std::vector<float> products(betas.size());
  // torch.cumprod keeps the product of f32 numbers in double and rounds each result.
  double product = 1;
  for (size_t i = 0; i < betas.size(); ++i) {
    product *= 1.0f - betas[i];
    products[i] = static_cast<float>(product);
  }
  return products;
}

// Shifts sqrt(alpha_bar) so that it ends at 0 and still begins where it began; the betas that give that.
std::vector<float> with_zero_terminal_snr(const std::vector<float>& betas) {
  std::vector<float> roots = running_product(betas);
  for (float& value : roots) value = std::sqrt(value);
  const float first = roots.front(), last = roots.back();
  const float scale = first / (first - last);
  for (float& root : roots) root = (root - last) * scale;
  std::vector<float> result(roots.size());
  for (size_t i = 0; i < roots.size(); ++i) {
    const float alpha_bar = roots[i] * roots[i];
    const float alpha = i == 0 ? alpha_bar : alpha_bar / (roots[i - 1] * roots[i - 1]);
    result[i] = 1 - alpha;
  }
  return result;
}

Status check(const NoiseScheduleConfig& config) {
  const auto refuse = [](const char* field, const char* expected, const std::string& got) {
    return Status(StatusCode::kInvalidArgument, "no such noise schedule")
        .at(field)
        .expected(expected)
        .got(got);
  };
  if (config.train_timesteps < 1 || config.train_timesteps > 100'000) {
    return refuse("num_train_timesteps", "1 to 100000", std::to_string(config.train_timesteps));
  }
  if (config.beta_schedule == BetaSchedule::kSquaredCosine) return {};
  if (!(config.beta_start > 0 && config.beta_start < 1)) {
    return refuse("beta_start", "a number between 0 and 1", std::to_string(config.beta_start));
  }
  if (!(config.beta_end >= config.beta_start && config.beta_end < 1)) {
    return refuse("beta_end", "a number from beta_start to 1", std::to_string(config.beta_end));
  }
  return {};
}

}  // namespace

Result<NoiseSchedule> NoiseSchedule::make(const NoiseScheduleConfig& config) {
  if (Status status = check(config); !status.ok()) return status;
  std::vector<float> betas = betas_of(config);
  const bool zero = config.terminal_snr == TerminalSnr::kZero && betas.size() > 1;
  if (zero) betas = with_zero_terminal_snr(betas);
  NoiseSchedule schedule;
  schedule.alpha_bar_ = running_product(betas);
  for (size_t t = 0; t < betas.size(); ++t) {
    const bool is_pure_noise = zero && t + 1 == betas.size();
    const float alpha_bar = is_pure_noise ? 0x1p-24f : schedule.alpha_bar_[t];
    schedule.sigmas_.push_back(std::sqrt((1 - alpha_bar) / alpha_bar));
    schedule.log_sigmas_.push_back(std::log(schedule.sigmas_.back()));
  }
  return schedule;
}

double NoiseSchedule::sigma(double t) const {
  const double last = static_cast<double>(sigmas_.size() - 1);
  t = std::clamp(t, 0.0, last);
  const auto low = static_cast<size_t>(t);
  const size_t high = std::min(low + 1, sigmas_.size() - 1);
  const double below = sigmas_[low], above = sigmas_[high];
  return below + (above - below) * (t - static_cast<double>(low));
}

double NoiseSchedule::log_interpolated_sigma(double t) const {
  const double last = static_cast<double>(sigmas_.size() - 1);
  t = std::clamp(t, 0.0, last);
  const auto low = static_cast<size_t>(t);
  const size_t high = std::min(low + 1, sigmas_.size() - 1);
  const double part = t - static_cast<double>(low);
  return std::exp((1 - part) * log_sigmas_[low] + part * log_sigmas_[high]);
}

double NoiseSchedule::timestep(double sigma) const {
  if (log_sigmas_.size() < 2) return 0;
  const double wanted = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), wanted,
                                      [](double value, float entry) { return value < entry; });
  const auto found = static_cast<size_t>(std::max<ptrdiff_t>(above - log_sigmas_.begin(), 1) - 1);
  const size_t low = std::min(found, log_sigmas_.size() - 2);
  const double below = log_sigmas_[low], next = log_sigmas_[low + 1];
  const double part = std::clamp((below - wanted) / (below - next), 0.0, 1.0);
  return (1 - part) * static_cast<double>(low) + part * static_cast<double>(low + 1);
}

int64_t NoiseSchedule::nearest_timestep(double sigma) const {
  // In f32: half way between two timesteps, rounding decides.
  const float wanted = std::log(static_cast<float>(std::max(sigma, 1e-10)));
  const auto distance = [&](size_t t) { return std::abs(wanted - log_sigmas_[t]); };
  size_t best = 0;
  for (size_t t = 1; t < log_sigmas_.size(); ++t) {
    if (distance(t) < distance(best)) best = t;
  }
  return static_cast<int64_t>(best);
}

}  // namespace weft::diffusion
