#include "kernels/ops/rope/rope.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops/rope/rope_bodies.h"

namespace weft {
namespace {

// Llama 3.1: long wavelengths are stretched by the factor, short ones kept, those between blended.
double scale_llama3(const RopeConfig& config, double frequency) {
  const double wavelength = 2 * M_PI / frequency;
  const double rotations = config.original_context / wavelength;
  if (rotations < config.low_frequency_factor) return frequency / config.factor;
  if (rotations > config.high_frequency_factor) return frequency;
  const double smooth = (rotations - config.low_frequency_factor) /
                        (config.high_frequency_factor - config.low_frequency_factor);
  return (1 - smooth) * frequency / config.factor + smooth * frequency;
}

// The index of the pair that turns `rotations` times over the original context.
double yarn_index(const RopeConfig& config, double rotations) {
  return static_cast<double>(config.n_rotated) * std::log(config.original_context / (rotations * 2 * M_PI)) /
         (2 * std::log(config.base));
}

}  // namespace

float rope_frequencies(const RopeConfig& config, const float* divisors, double* frequencies) {
  const int64_t pairs = config.n_rotated / 2;
  double low = 0, high = 0;
  if (config.scaling == RopeScaling::kYarn) {
    low = std::max(std::floor(yarn_index(config, config.beta_fast)), 0.0);
    high =
        std::min(std::ceil(yarn_index(config, config.beta_slow)), static_cast<double>(config.n_rotated - 1));
    if (low == high) high += 0.001;  // a step instead of a ramp, without dividing by zero
  }
  for (int64_t i = 0; i < pairs; ++i) {
    double frequency =
        std::pow(config.base, -2.0 * static_cast<double>(i) / static_cast<double>(config.n_rotated));
    switch (config.scaling) {
      case RopeScaling::kNone: break;
      case RopeScaling::kLinear: frequency /= config.factor; break;
      case RopeScaling::kLlama3: frequency = scale_llama3(config, frequency); break;
      case RopeScaling::kYarn: {
        const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        frequency = frequency / config.factor * ramp + frequency * (1 - ramp);
        break;
      }
    }
    frequencies[i] = divisors ? frequency / divisors[i] : frequency;
  }
  if (config.scaling != RopeScaling::kYarn) return 1;
  if (config.attention_factor > 0) return static_cast<float>(config.attention_factor);
  return config.factor <= 1 ? 1.0f : static_cast<float>(0.1 * std::log(config.factor) + 1);
}

void rope_cos_sin(const double* frequencies, int64_t n_rotated, float magnitude, int64_t position,
                  float* cos_sin) {
  for (int64_t i = 0; i < n_rotated / 2; ++i) {
    const double angle = static_cast<double>(position) * frequencies[i];
    cos_sin[2 * i] = static_cast<float>(std::cos(angle) * magnitude);
    cos_sin[2 * i + 1] = static_cast<float>(std::sin(angle) * magnitude);
  }
}

void rope_heads(RopeLayout layout, int64_t n_rotated, const float* cos_sin, float* x, int64_t n_heads,
                int64_t head_dim, IsaLevel level) {
  if (layout == RopeLayout::kNone) return;
  const RopeBodies& bodies = WEFT_ISA_BODY(kRopeBodies, level);
  const auto rotate = layout == RopeLayout::kInterleaved ? bodies.interleaved : bodies.halves;
  for (int64_t h = 0; h < n_heads; ++h) rotate(cos_sin, x + h * head_dim, n_rotated);
}

}  // namespace weft
