// DEIS in its log-rho form: Lagrange polynomials in ln(sigma / alpha), integrated exactly. Source: arXiv:2204.13902.
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

}  // namespace

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
