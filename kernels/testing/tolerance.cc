#include "kernels/testing/tolerance.h"

#include <cmath>
#include <limits>

namespace weft::testing {

double relative_error(const float* got, const float* want, int64_t count) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isfinite(got[i]) != std::isfinite(want[i])) return std::numeric_limits<double>::infinity();
    if (!std::isfinite(want[i])) continue;
    const double d = double{got[i]} - want[i];
    difference += d * d;
    norm += double{want[i]} * want[i];
  }
  if (difference == 0) return 0;
  return norm == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(difference / norm);
}

}  // namespace weft::testing
