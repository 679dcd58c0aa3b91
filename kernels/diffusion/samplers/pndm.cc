// PNDM: linear multistep over timesteps, with Runge-Kutta or a repeated step to begin with.
#include <algorithm>
#include <cmath>

#include "kernels/diffusion/plan_builder.h"

namespace weft::diffusion {
namespace {

// Slots: the last four outputs in a ring, the sample at the start of a step, a weighted sum of outputs.
constexpr int64_t kOutputs = 4, kStart = 4, kSum = 5;

class Pndm {
 public:
  explicit Pndm(PlanBuilder& builder) : builder_(builder) {
    const bool ends_at_one = builder.config.set_alpha_to_one.value_or(Switch::kOff) == Switch::kOn;
    last_ = ends_at_one ? 1 : static_cast<double>(builder.schedule.alpha_bar().front());
    stride_ = builder.schedule.train_timesteps() / builder.steps;
  }

  void build() {
    builder_.set_slots(6);
    std::vector<double> ascending =
        spaced_timesteps(timestep_spacing(builder_.config), builder_.schedule.train_timesteps(),
                         builder_.steps, builder_.config.steps_offset);
    std::reverse(ascending.begin(), ascending.end());
    const bool skips = builder_.config.skip_prk_steps == Switch::kOn;
    std::vector<double> timesteps = skips ? std::vector<double>{} : runge_kutta_timesteps(ascending);
    const size_t n_prk = timesteps.size();
    append_multistep_timesteps(ascending, timesteps);
    for (size_t i = static_cast<size_t>(builder_.first_step); i < timesteps.size(); ++i) {
      const double t = timesteps[i];
      builder_.call(t, variance_preserving_at(alpha_bar(t)));
      if (counter_ < static_cast<int64_t>(n_prk)) {
        runge_kutta_step(t, timesteps[static_cast<size_t>(counter_ / 4 * 4)]);
      } else {
        multistep(t);
      }
      ++counter_;
    }
  }

 private:
  double alpha_bar(double t) const {
    const auto table = builder_.schedule.alpha_bar();
    return table[static_cast<size_t>(std::clamp(t, 0.0, static_cast<double>(table.size() - 1)))];
  }

  // The last four timesteps, each twice, the second time half a step earlier; the middle of each pair again.
  std::vector<double> runge_kutta_timesteps(const std::vector<double>& ascending) const {
    const size_t n = std::min<size_t>(ascending.size(), 4);
    std::vector<double> pairs;
    for (size_t i = ascending.size() - n; i < ascending.size(); ++i) {
      pairs.push_back(ascending[i]);
      pairs.push_back(ascending[i] + static_cast<double>(stride_ / 2));
    }
    std::vector<double> doubled;
    for (size_t i = 0; i + 1 < pairs.size(); ++i) doubled.insert(doubled.end(), 2, pairs[i]);
    std::vector<double> timesteps(doubled.begin() + 1, doubled.end() - 1);
    std::reverse(timesteps.begin(), timesteps.end());
    return timesteps;
  }

  void append_multistep_timesteps(const std::vector<double>& ascending,
                                  std::vector<double>& timesteps) const {
    const size_t n = ascending.size();
    if (builder_.config.skip_prk_steps == Switch::kOff) {
      for (size_t i = n - 3; i-- > 0;) timesteps.push_back(ascending[i]);
      return;
    }
    timesteps.push_back(ascending[n - 1]);
    if (n < 2) return;
    timesteps.push_back(ascending[n - 2]);
    for (size_t i = n - 1; i-- > 0;) timesteps.push_back(ascending[i]);
  }

  void runge_kutta_step(double t, double step_start) {
    const int64_t phase = counter_ % 4;
    const double next = t - (counter_ % 2 == 1 ? 0.0 : static_cast<double>(stride_ / 2));
    Linear direction = model_output();
    if (phase == 0) {
      push(model_output());
      builder_.store(kFirstSlot + kStart, sample());
      builder_.store(kFirstSlot + kSum, model_output() / 6);
    } else if (phase < 3) {
      builder_.store(kFirstSlot + kSum, slot(kSum) + model_output() / 3);
    } else {
      direction = slot(kSum) + model_output() / 6;
    }
    move(slot(kStart), step_start, next, direction);
  }

  void multistep(double t) {
    double from = t, to = t - static_cast<double>(stride_);
    Linear start = sample();
    if (counter_ != 1) {
      push(model_output());
    } else {  // the first step again, with the mean of both slopes
      to = t;
      from = t + static_cast<double>(stride_);
    }
    Linear direction;
    switch (n_outputs_) {
      case 1:
        if (counter_ == 0) {
          direction = model_output();
          builder_.store(kFirstSlot + kStart, sample());
        } else {
          direction = (model_output() + recent(0)) / 2;
          start = slot(kStart);
        }
        break;
      case 2: direction = (3 * recent(0) - recent(1)) / 2; break;
      case 3: direction = (23 * recent(0) - 16 * recent(1) + 5 * recent(2)) / 12; break;
      default: direction = (55 * recent(0) - 59 * recent(1) + 37 * recent(2) - 9 * recent(3)) / 24;
    }
    move(start, from, to, direction);
  }

  void push(const Linear& output) {
    newest_ = (newest_ + 1) % kOutputs;
    builder_.store(kFirstSlot + static_cast<int>(newest_), output);
    n_outputs_ = std::min<int64_t>(n_outputs_ + 1, kOutputs);
  }
  Linear recent(int64_t back) const { return slot((newest_ + kOutputs - back) % kOutputs); }

  // Equation 11 of arXiv:2202.09778.
  void move(const Linear& start, double from, double to, const Linear& output) {
    const double here = alpha_bar(from), there = to >= 0 ? alpha_bar(to) : last_;
    const Linear direction = builder_.config.prediction == Prediction::kVelocity
                                 ? std::sqrt(here) * output + std::sqrt(1 - here) * start
                                 : output;
    const double divisor = here * std::sqrt(1 - there) + std::sqrt(here * (1 - here) * there);
    builder_.next_sample(std::sqrt(there / here) * start - ((there - here) / divisor) * direction);
  }

  PlanBuilder& builder_;
  double last_ = 1;
  int64_t stride_ = 0, counter_ = 0, newest_ = kOutputs - 1, n_outputs_ = 0;
};

}  // namespace

void build_pndm(PlanBuilder& builder) { Pndm(builder).build(); }

}  // namespace weft::diffusion
