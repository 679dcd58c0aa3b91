#include "kernels/ops/top_k/top_k.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/ops/top_k/top_k_bodies.h"

namespace weft {
namespace {

constexpr size_t kMostBlocks = 1024;  // whose maxima are kept
constexpr size_t kLeastBlock = 64;
constexpr size_t kFoundAtOnce = 64;

// The best values met so far: a heap whose front is the worst of them.
class Best {
 public:
  explicit Best(std::span<RankedValue> room) : room_(room) {}

  // What a value must reach to be of interest.
  float threshold(float least) const { return full() ? std::max(least, room_.front().value) : least; }

  void meet(RankedValue candidate) {
    if (full()) {
      if (!ranks_before(candidate, room_.front())) return;
      std::pop_heap(room_.begin(), end(), ranks_before);
      --count_;
    }
    room_[count_++] = candidate;
    std::push_heap(room_.begin(), end(), ranks_before);
  }

  size_t sort() {
    std::sort_heap(room_.begin(), end(), ranks_before);
    return count_;
  }

 private:
  bool full() const { return count_ == room_.size(); }
  std::span<RankedValue>::iterator end() const { return room_.begin() + static_cast<ptrdiff_t>(count_); }

  std::span<RankedValue> room_;
  size_t count_ = 0;
};

// The k-th largest of `maxima`: k blocks hold a value that is no smaller, so the k-th largest of all values is none either.
float least_of_interest(std::span<const float> maxima, size_t k) {
  if (k > maxima.size()) return -std::numeric_limits<float>::infinity();
  float sorted[kMostBlocks];
  std::copy(maxima.begin(), maxima.end(), sorted);
  std::nth_element(sorted, sorted + k - 1, sorted + maxima.size(), std::greater<float>());
  return sorted[k - 1];
}

}  // namespace

size_t top_k(std::span<const float> x, std::span<RankedValue> top, IsaLevel level) {
  if (top.empty() || x.empty()) return 0;
  const TopKBodies& bodies = WEFT_ISA_BODY(kTopKBodies, level);
  const size_t share = (x.size() + kMostBlocks - 1) / kMostBlocks;
  const size_t block = (share + kLeastBlock - 1) / kLeastBlock * kLeastBlock;
  float room[kMostBlocks];
  const std::span<const float> maxima(room, (x.size() + block - 1) / block);
  bodies.block_maxima(x.data(), static_cast<int64_t>(x.size()), static_cast<int64_t>(block), room);

  const float least = least_of_interest(maxima, top.size());
  Best best(top);
  for (size_t i = 0; i < maxima.size(); ++i) {
    size_t at = i * block;
    const size_t end = std::min(at + block, x.size());
    while (at < end) {
      const float threshold = best.threshold(least);
      if (!(maxima[i] >= threshold)) break;
      int32_t places[kFoundAtOnce];
      const auto found = static_cast<size_t>(bodies.find_at_least(
          x.data() + at, static_cast<int64_t>(end - at), threshold, kFoundAtOnce, places));
      for (size_t j = 0; j < found; ++j) {
        const size_t place = at + static_cast<size_t>(places[j]);
        best.meet({x[place], static_cast<int32_t>(place)});
      }
      at = found == kFoundAtOnce ? at + static_cast<size_t>(places[found - 1]) + 1 : end;
    }
  }
  return best.sort();
}

size_t find_at_least(std::span<const float> x, float threshold, std::span<int32_t> places, IsaLevel level) {
  return static_cast<size_t>(WEFT_ISA_BODY(kTopKBodies, level)
                                 .find_at_least(x.data(), static_cast<int64_t>(x.size()), threshold,
                                                static_cast<int64_t>(places.size()), places.data()));
}

}  // namespace weft
