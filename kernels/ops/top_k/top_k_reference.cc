#include <algorithm>
#include <vector>

#include "kernels/ops/top_k/top_k.h"

namespace weft {

size_t top_k_reference(std::span<const float> x, std::span<RankedValue> top) {
  std::vector<RankedValue> all;
  for (size_t i = 0; i < x.size(); ++i)
    if (x[i] == x[i]) all.push_back({x[i], static_cast<int32_t>(i)});
  std::sort(all.begin(), all.end(), ranks_before);
  const size_t count = std::min(all.size(), top.size());
  std::copy_n(all.begin(), count, top.begin());
  return count;
}

}  // namespace weft
