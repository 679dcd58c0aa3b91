#include "kernels/diffusion/plan_builder.h"

#include <cmath>

namespace weft::diffusion {

Linear& Linear::operator+=(const Linear& other) {
  for (const Term& term : other.terms_) {
    bool found = false;
    for (Term& mine : terms_) {
      if (mine.operand != term.operand) continue;
      mine.factor += term.factor;
      found = true;
    }
    if (!found) terms_.push_back(term);
  }
  return *this;
}

Linear& Linear::operator*=(double factor) {
  for (Term& term : terms_) term.factor *= factor;
  return *this;
}

double NoiseLevel::lambda() const { return std::log(alpha) - std::log(sigma); }

NoiseLevel variance_preserving(double sigma) {
  const double alpha = 1 / std::sqrt(sigma * sigma + 1);
  return {alpha, sigma * alpha};
}

NoiseLevel variance_preserving_at(double alpha_bar) {
  return {std::sqrt(alpha_bar), std::sqrt(1 - alpha_bar)};
}

Linear predicted_picture(Prediction prediction, NoiseLevel level, const Linear& at_sample) {
  const auto [alpha, sigma] = level;
  switch (prediction) {
    case Prediction::kEpsilon: return (at_sample - sigma * model_output()) / alpha;
    case Prediction::kVelocity: {
      const double variance = alpha * alpha + sigma * sigma;
      return (alpha / variance) * at_sample - (sigma / std::sqrt(variance)) * model_output();
    }
    case Prediction::kSample: return model_output();
  }
  return {};
}

Linear predicted_noise(Prediction prediction, NoiseLevel level, const Linear& at_sample) {
  const auto [alpha, sigma] = level;
  switch (prediction) {
    case Prediction::kEpsilon: return model_output();
    case Prediction::kVelocity: {
      const double variance = alpha * alpha + sigma * sigma;
      return (alpha / std::sqrt(variance)) * model_output() + (sigma / variance) * at_sample;
    }
    case Prediction::kSample: return (at_sample - alpha * model_output()) / sigma;
  }
  return {};
}

void PlanBuilder::call(double timestep, NoiseLevel level, double input_scale) {
  plan_.calls_.push_back({timestep, input_scale, 0, {}});
  plan_.levels_.push_back({level.alpha, level.sigma});
}

void PlanBuilder::store(int target, const Linear& value, double clamp) {
  ModelCall& call = plan_.calls_.back();
  Update update{target, {}, clamp};
  for (const Term& term : value.terms()) {
    if (term.factor == 0) continue;  // also where the operand has not been set yet
    update.terms.push_back(term);
    if (term.operand == kNoiseOperand) call.noises = std::max(call.noises, 1);
    if (term.operand == kSecondNoiseOperand) call.noises = 2;
  }
  call.updates.push_back(std::move(update));
}

Linear PlanBuilder::picture(NoiseLevel level, int64_t scratch, double default_clip) {
  const Linear predicted = predicted_picture(config.prediction, level, sample());
  const double clip = config.clip_sample.value_or(default_clip);
  if (clip <= 0) return predicted;
  store(kFirstSlot + static_cast<int>(scratch), predicted, clip);
  return slot(scratch);
}

SamplingPlan PlanBuilder::finish() {
  plan_.levels_.push_back({1, 0});
  return std::move(plan_);
}

}  // namespace weft::diffusion
