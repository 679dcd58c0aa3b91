/// Deterministic random data: the same seed gives the same values on every machine and compiler.
#ifndef WEFT_KERNELS_TESTING_RANDOM_H
#define WEFT_KERNELS_TESTING_RANDOM_H

#include <cstdint>
#include <vector>

#include "kernels/quant/format.h"

namespace weft::testing {

/// SplitMix64 (Steele, Lea, Flood 2014): small, and enough for test data.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// Uniform in [0, bound). Precondition: bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
  /// Uniform in [low, high).
  float uniform(float low, float high);
  /// Standard normal, by the sum of twelve uniforms.
  float normal();

 private:
  uint64_t state_;
};

/// `count` standard normal values.
std::vector<float> random_normal(int64_t count, uint64_t seed);

/// `count` weights of `format` as a file holds them: random bits, except that f16 scales and minima are small
/// finite numbers of either sign. Precondition: count is a multiple of the block's elements.
std::vector<uint8_t> random_weights(WeightFormat format, int64_t count, uint64_t seed);

/// The same for benches, whose time does not depend on values: a few thousand of them again and again.
std::vector<uint8_t> repeated_weights(WeightFormat format, int64_t count, uint64_t seed);

}  // namespace weft::testing
#endif
