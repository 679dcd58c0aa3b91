// DEIS in two forms, both Lagrange polynomials through the latest predictions, integrated: diffusers has them in
// ln(sigma / alpha), ComfyUI in the time of a variance-preserving process. Source: arXiv:2204.13902.
#include <boost/math/quadrature/gauss.hpp>

#include <algorithm>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

// Antiderivative at rho of (ln rho - ln c) / (ln b - ln c).
double integral_of_two(double rho, double b, double c) {
  return rho * (std::log(rho) - std::log(c) - 1) / (std::log(b) - std::log(c));
}

// Antiderivative at rho of (ln rho - ln c)(ln rho - ln d) / ((ln b - ln c)(ln b - ln d)).
double integral_of_three(double rho, double b, double c, double d) {
  const double lr = std::log(rho), lb = std::log(b), lc = std::log(c), ld = std::log(d);
  return rho * (lc * (ld - lr + 1) - ld * lr + ld + lr * lr - 2 * lr + 2) / ((lb - lc) * (lb - ld));
}

// Time of a variance-preserving process whose beta grows linearly, from 0.002 (t = 0.001) to 80 (t = 1) in sigma, which is
// EDM's range (arXiv:2206.00364), whatever the model's own is. ComfyUI computes both constants in f32.
struct VariancePreservingTime {
  double beta_min, beta_range;

  static VariancePreservingTime edm() {
    constexpr float kFirst = 0.001f;
    const float smallest = std::log(0.002f * 0.002f + 1), largest = std::log(80.0f * 80.0f + 1);
    const float range = 2 * (smallest / kFirst - largest) / (kFirst - 1);
    return {static_cast<double>(largest - 0.5f * range), static_cast<double>(range)};
  }
  double at(double sigma) const {
    const double log_variance = std::log1p(sigma * sigma);
    return (std::sqrt(beta_min * beta_min + 2 * beta_range * log_variance) - beta_min) / beta_range;
  }
  double sigma_slope(double t) const {  // d sigma / dt
    const double alpha = std::exp(-0.5 * t * t * beta_range - t * beta_min);
    return 0.5 * (t * beta_range + beta_min) / std::sqrt(alpha * (1 - alpha));
  }
};

// Integral over sigma, from times[0] to `to`, of the Lagrange polynomial that is 1 at times[which] and 0 at the others.
// ComfyUI adds up 10,000 points instead, both ends included, which is the integral but for a share of the points.
double comfyui_integral(const VariancePreservingTime& time, std::span<const double> times, size_t which,
                        double to) {
  constexpr double kPoints = 10'000;
  const auto integrand = [&](double t) {
    double value = time.sigma_slope(t);
    for (size_t k = 0; k < times.size(); ++k) {
      if (k != which) value *= (t - times[k]) / (times[which] - times[k]);
    }
    return value;
  };
  const double from = times[0];
  const double integral = boost::math::quadrature::gauss<double, 30>::integrate(integrand, from, to);
  return integral * (1 - 1 / kPoints) + (to - from) / kPoints * (integrand(from) + integrand(to)) / 2;
}

}  // namespace

void build_comfyui_deis(PlanBuilder& builder, const StepGrid& grid) {
  constexpr int64_t kMaxOrder = 3;
  builder.set_slots(kMaxOrder);
  const VariancePreservingTime time = VariancePreservingTime::edm();
  for (int64_t i = builder.first_step; i < static_cast<int64_t>(grid.timesteps.size()); ++i) {
    const double sigma = grid.sigmas[static_cast<size_t>(i)], next = grid.sigmas[static_cast<size_t>(i + 1)];
    const NoiseLevel here = variance_exploding(sigma);
    builder.call(grid.timesteps[static_cast<size_t>(i)], here, 1 / std::sqrt(sigma * sigma + 1));
    const auto slope = [&](int64_t back) { return slot((i - back) % kMaxOrder); };
    builder.store(kFirstSlot + static_cast<int>(i % kMaxOrder),
                  (sample() - predicted_picture(builder.config.prediction, here, sample())) / sigma);
    const int64_t order = next > 0 ? order_at(grid.sigmas, i, kMaxOrder) : 1;
    std::vector<double> times;
    for (int64_t k = 0; k < order; ++k) times.push_back(time.at(grid.sigmas[static_cast<size_t>(i - k)]));
    Linear sum = sample();
    for (int64_t k = 0; k < order; ++k) {
      const double factor =
          order == 1 ? next - sigma : comfyui_integral(time, times, static_cast<size_t>(k), time.at(next));
      sum += factor * slope(k);
    }
    builder.next_sample(sum);
  }
}

void build_deis(PlanBuilder& builder, const StepGrid& grid) {
  const SamplerConfig& config = builder.config;
  const int64_t max_order = config.solver_order;
  builder.set_slots(max_order);
  const auto n = static_cast<int64_t>(grid.timesteps.size());
  const auto rho = [&](int64_t i) { return grid.sigmas[static_cast<size_t>(i)]; };  // sigma / alpha
  for (int64_t i = builder.first_step; i < n; ++i) {
    const NoiseLevel here = variance_preserving(rho(i)), next = variance_preserving(rho(i + 1));
    builder.call(grid.timesteps[static_cast<size_t>(i)], here);
    const auto predicted = [&](int64_t back) { return slot((i - back) % max_order); };
    builder.store(kFirstSlot + static_cast<int>(i % max_order),
                  predicted_noise(config.prediction, here, sample()));
    const bool lowers = config.lower_order_final == Switch::kOn && n < 15;
    int64_t order = std::min(max_order, i - builder.first_step + 1);
    if (i == n - 2 && lowers) order = std::min<int64_t>(order, 2);
    if (i == n - 1 && lowers) order = 1;
    Linear sum = sample() / here.alpha;
    if (order == 1) {
      sum += (rho(i + 1) - rho(i)) * predicted(0);
    } else if (order == 2) {
      const double r0 = rho(i), r1 = rho(i - 1), to = rho(i + 1);
      sum += (integral_of_two(to, r0, r1) - integral_of_two(r0, r0, r1)) * predicted(0);
      sum += (integral_of_two(to, r1, r0) - integral_of_two(r0, r1, r0)) * predicted(1);
    } else {
      const double r0 = rho(i), r1 = rho(i - 1), r2 = rho(i - 2), to = rho(i + 1);
      sum += (integral_of_three(to, r0, r1, r2) - integral_of_three(r0, r0, r1, r2)) * predicted(0);
      sum += (integral_of_three(to, r1, r2, r0) - integral_of_three(r0, r1, r2, r0)) * predicted(1);
      sum += (integral_of_three(to, r2, r0, r1) - integral_of_three(r0, r2, r0, r1)) * predicted(2);
    }
    builder.next_sample(next.alpha * sum);
  }
}

}  // namespace weft::diffusion
