// iPNDM: Adams-Bashforth of order 4, on the slope in sigma. Source: arXiv:2204.13902, which improves arXiv:2202.09778; the form
// for steps of any length is that of zju-pi/diff-sampler, which ComfyUI runs.
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

constexpr int64_t kMaxOrder = 4;
using Weights = std::array<double, kMaxOrder>;  // of the newest slope, the one before, ...; their sum is 1

Weights for_equal_steps(int64_t order) {
  switch (order) {
    case 1: return {1};
    case 2: return {3.0 / 2, -1.0 / 2};
    case 3: return {23.0 / 12, -16.0 / 12, 5.0 / 12};
    default: return {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24};
  }
}

void add(Weights& to, double factor, const Weights& differences) {
  for (size_t k = 0; k < to.size(); ++k) to[k] += factor * differences[k];
}

// Newton's form: the slope, and differences of it of rising order, scaled by the steps' lengths. Three factors are not those of
// Adams and Bashforth (for equal steps the last of the four weights would be 55/24, ...; here they are 57/24, ...), and
// pictures of ComfyUI come with them: `second` divides by one term too many, `third` adds what should be subtracted, and the
// last weight takes h1 / h2 for h2 / h3.
Weights for_any_steps(const std::vector<double>& sigmas, int64_t i, int64_t order) {
  const auto step = [&](int64_t back) {
    return sigmas[static_cast<size_t>(i + 1 - back)] - sigmas[static_cast<size_t>(i - back)];
  };
  Weights weights = {1};
  const double h = step(0);
  if (order < 2) return weights;
  const double h1 = step(1);
  add(weights, h / h1 / 2, {1, -1});
  if (order < 3) return weights;
  const double h2 = step(2);
  const double second = (1 - h * h / (3 * h1 * (h1 + h2))) / 2;
  add(weights, second, {1, -(1 + h1 / h2), h1 / h2});
  if (order < 4) return weights;
  const double h3 = step(3);
  const double q = h1 * (h1 + h2) / (h2 * (h2 + h3));
  const double third = ((1 - h / (3 * (h + h1))) / 2 + (1 - h / (2 * (h + h1))) * h / (6 * (h + h1 + h2))) *
                       (h * (h + h1) * (h + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3));
  add(weights, third, {1, -(1 + h1 / h2 + q), h1 / h2 + q * (1 + h2 / h3), -q * h1 / h2});
  return weights;
}

}  // namespace

void build_ipndm(PlanBuilder& builder, const StepGrid& grid) {
  builder.set_slots(kMaxOrder);
  const bool any_steps = builder.config.sampler == Sampler::kIpndmV;
  for (int64_t i = builder.first_step; i < static_cast<int64_t>(grid.timesteps.size()); ++i) {
    const double sigma = grid.sigmas[static_cast<size_t>(i)], next = grid.sigmas[static_cast<size_t>(i + 1)];
    const NoiseLevel here = variance_exploding(sigma);
    builder.call(grid.timesteps[static_cast<size_t>(i)], here, 1 / std::sqrt(sigma * sigma + 1));
    const Linear picture = predicted_picture(builder.config.prediction, here, sample());
    if (next == 0) {
      builder.next_sample(picture);
      continue;
    }
    const auto slope = [&](int64_t back) { return slot((i - back) % kMaxOrder); };
    builder.store(kFirstSlot + static_cast<int>(i % kMaxOrder), (sample() - picture) / sigma);
    const int64_t order = order_at(grid.sigmas, i, kMaxOrder);
    const Weights weights = any_steps ? for_any_steps(grid.sigmas, i, order) : for_equal_steps(order);
    Linear sum = sample();
    for (int64_t k = 0; k < order; ++k) {
      sum += ((next - sigma) * weights[static_cast<size_t>(k)]) * slope(k);
    }
    builder.next_sample(sum);
  }
}

}  // namespace weft::diffusion
