// UniPC: a predictor of order p, and a corrector of order p + 1 that costs no evaluation. Source: arXiv:2302.04867,
// algorithms 5 to 8, on predicted pictures.
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

constexpr int64_t kMaxOrder = 3;
using Vector = std::array<double, kMaxOrder>;

// Solves matrix * x = right for the first n rows, by elimination with the largest pivot.
Vector solve(std::array<Vector, kMaxOrder> matrix, Vector right, size_t n) {
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t row = column + 1; row < n; ++row) {
      if (std::abs(matrix[row][column]) > std::abs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[column], matrix[pivot]);
    std::swap(right[column], right[pivot]);
    for (size_t row = column + 1; row < n; ++row) {
      const double factor = matrix[row][column] / matrix[column][column];
      for (size_t k = column; k < n; ++k) matrix[row][k] -= factor * matrix[column][k];
      right[row] -= factor * right[column];
    }
  }
  Vector x{};
  for (size_t row = n; row-- > 0;) {
    double sum = right[row];
    for (size_t k = row + 1; k < n; ++k) sum -= matrix[row][k] * x[k];
    x[row] = sum / matrix[row][row];
  }
  return x;
}

class UniPc {
 public:
  UniPc(PlanBuilder& builder, const StepGrid& grid)
      : builder_(builder), grid_(grid), order_(builder.config.solver_order) {}

  void build() {
    // Slots: predictions in a ring of order + 1 (the corrector reads the one before the newest), the last sample.
    builder_.set_slots(order_ + 2);
    const auto n = static_cast<int64_t>(grid_.timesteps.size());
    int64_t order = 0;  // of the step before
    for (int64_t i = builder_.first_step; i < n; ++i) {
      const NoiseLevel here = level(i);
      builder_.call(grid_.timesteps[static_cast<size_t>(i)], here);
      builder_.store(kFirstSlot + static_cast<int>(ring(i)),
                     predicted_picture(builder_.config.prediction, here, sample()));
      if (i > builder_.first_step) correct(i, order);
      order = std::min(order_, i - builder_.first_step + 1);
      const bool lowers = builder_.config.lower_order_final == Switch::kOn || level(i + 1).sigma == 0;
      if (lowers) order = std::min(order, n - i);
      builder_.store(kFirstSlot + static_cast<int>(last_sample()), sample());
      predict(i, order);
    }
  }

 private:
  int64_t ring(int64_t step) const { return step % (order_ + 1); }
  int64_t last_sample() const { return order_ + 1; }
  Linear predicted(int64_t step) const { return slot(ring(step)); }
  NoiseLevel level(int64_t i) const { return variance_preserving(grid_.sigmas[static_cast<size_t>(i)]); }

  // What predictor and corrector share for a step from `from` to `from + 1`.
  struct Step {
    double h_phi_1, b_h;
    std::array<Vector, kMaxOrder> powers{};  // R
    Vector right{}, ratios{};                // b, r_k
  };
  Step step(int64_t from, int64_t order) const {
    const double base = level(from).lambda(), h = level(from + 1).lambda() - base;
    Step s{};
    for (int64_t k = 1; k < order; ++k) {
      s.ratios[static_cast<size_t>(k - 1)] = (level(from - k).lambda() - base) / h;
    }
    s.ratios[static_cast<size_t>(order - 1)] = 1;
    const double hh = -h;
    s.h_phi_1 = std::expm1(hh);
    const SamplerConfig& config = builder_.config;
    const bool bh1 = config.sampler == Sampler::kUniPc && config.unipc_variant == UniPcVariant::kBh1;
    s.b_h = bh1 ? hh : std::expm1(hh);
    double h_phi_k = s.h_phi_1 / hh - 1, factorial = 1;
    for (int64_t k = 1; k <= order; ++k) {
      for (int64_t j = 0; j < order; ++j) {
        s.powers[static_cast<size_t>(k - 1)][static_cast<size_t>(j)] =
            std::pow(s.ratios[static_cast<size_t>(j)], static_cast<double>(k - 1));
      }
      s.right[static_cast<size_t>(k - 1)] = h_phi_k * factorial / s.b_h;
      factorial *= static_cast<double>(k + 1);
      h_phi_k = h_phi_k / hh - 1 / factorial;
    }
    return s;
  }

  // The step of first order that both improve.
  Linear base_step(const Linear& start, int64_t from, const Step& s) const {
    const NoiseLevel here = level(from), next = level(from + 1);
    return (next.sigma / here.sigma) * start - (next.alpha * s.h_phi_1) * predicted(from);
  }
  Linear difference(int64_t from, int64_t back, const Step& s) const {
    return (predicted(from - back) - predicted(from)) / s.ratios[static_cast<size_t>(back - 1)];
  }

  void predict(int64_t from, int64_t order) {
    const Step s = step(from, order);
    Vector weights{};
    if (order == 2) weights[0] = 0.5;
    if (order == 3) weights = solve(s.powers, s.right, 2);
    Linear next = base_step(sample(), from, s);
    for (int64_t k = 1; k < order; ++k) {
      next += (-level(from + 1).alpha * s.b_h * weights[static_cast<size_t>(k - 1)]) * difference(from, k, s);
    }
    builder_.next_sample(next);
  }

  // Replaces the sample at step `at`, now that the network has seen it.
  void correct(int64_t at, int64_t order) {
    const int64_t from = at - 1;
    const Step s = step(from, order);
    Vector weights{0.5};
    if (order > 1) weights = solve(s.powers, s.right, static_cast<size_t>(order));
    const double factor = -level(at).alpha * s.b_h;
    Linear corrected = base_step(slot(last_sample()), from, s);
    for (int64_t k = 1; k < order; ++k) {
      corrected += (factor * weights[static_cast<size_t>(k - 1)]) * difference(from, k, s);
    }
    corrected += (factor * weights[static_cast<size_t>(order - 1)]) * (predicted(at) - predicted(from));
    builder_.next_sample(corrected);
  }

  PlanBuilder& builder_;
  const StepGrid& grid_;
  int64_t order_;
};

}  // namespace

void build_unipc(PlanBuilder& builder, const StepGrid& grid) { UniPc(builder, grid).build(); }

}  // namespace weft::diffusion
