/// Arithmetic on sizes that come from files: nothing when the result does not fit in 64 bits.
#ifndef WEFT_MODALITIES_WEIGHTS_CHECKED_ARITHMETIC_H
#define WEFT_MODALITIES_WEIGHTS_CHECKED_ARITHMETIC_H

#include <cstdint>
#include <optional>

namespace weft {

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> checked_multiply(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// The next multiple of `alignment`, a power of two.
inline std::optional<uint64_t> checked_align(uint64_t value, uint64_t alignment) {
  const std::optional<uint64_t> sum = checked_add(value, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

}  // namespace weft
#endif
