/// The k largest of a row, and those that reach a threshold: what sampling and lists of likeliest tokens need.
///
/// Exact: all levels give the same. Equal values are ordered by place, the first one first; what is not a number is left out.
///
///   std::vector<RankedValue> best(40);
///   best.resize(top_k(logits, best));
///
/// Thread safety: pure functions; no allocation.
#ifndef WEFT_KERNELS_OPS_TOP_K_TOP_K_H
#define WEFT_KERNELS_OPS_TOP_K_TOP_K_H

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cpu/isa.h"

namespace weft {

struct RankedValue {
  float value;
  int32_t place;
};

/// The order of top_k(): larger first; the smaller place among equals.
constexpr bool ranks_before(const RankedValue& a, const RankedValue& b) {
  return a.value != b.value ? a.value > b.value : a.place < b.place;
}

/// Writes the top.size() largest of x, best first. Returns their number: fewer where x holds fewer numbers.
size_t top_k(std::span<const float> x, std::span<RankedValue> top, IsaLevel level = active_isa());

/// The places of the x that are at least `threshold`, ascending; the first places.size() of them. Returns their number.
size_t find_at_least(std::span<const float> x, float threshold, std::span<int32_t> places,
                     IsaLevel level = active_isa());

/// top_k() by sorting everything.
size_t top_k_reference(std::span<const float> x, std::span<RankedValue> top);

}  // namespace weft
#endif
