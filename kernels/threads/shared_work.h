/// The indices of one loop, shared out among the threads of a team while they work: a thread on a slower or busier core
/// ends up with less.
///
/// Each thread has a range of its own, of which it takes three quarters at once, then three quarters of the rest, and so on;
/// a thread whose range is used up does the same with the others'. So neighbouring indices stay with one thread, whose
/// reading ahead is not in vain, and there are few takes: each is a locked instruction, which waits for every load under way.
/// Which thread computes an index differs from run to run: results must not depend on it.
///
/// Ownership: the caller owns it; no allocation. Threads: reset() by one thread, then a barrier, then take() by all with the
/// same count, least and n_threads, then a barrier before the next reset().
///
///   for (int64_t begin, end; work.take(team.thread(), team.n_threads(), rows, 8, &begin, &end);) ...
#ifndef WEFT_KERNELS_THREADS_SHARED_WORK_H
#define WEFT_KERNELS_THREADS_SHARED_WORK_H

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace weft {

class SharedWork {
 public:
  void reset(uint32_t n_threads) {
    for (uint32_t i = 0; i < std::min(n_threads, kRanges); ++i)
      ranges_[i].next.store(0, std::memory_order_relaxed);
  }

  /// Some indices [*begin, *end) of [0, count), at least `least` where a range has so many; false when all are taken.
  /// Preconditions: thread < n_threads, count >= 0, least >= 1.
  bool take(uint32_t thread, uint32_t n_threads, int64_t count, int64_t least, int64_t* begin, int64_t* end) {
    const int64_t n_ranges = std::min(n_threads, kRanges);
    for (int64_t i = 0; i < n_ranges; ++i) {
      const int64_t range = (thread + i) % n_ranges;
      const int64_t first = count * range / n_ranges, size = count * (range + 1) / n_ranges - first;
      std::atomic<int64_t>& next = ranges_[range].next;
      const int64_t left = size - next.load(std::memory_order_relaxed);
      if (left <= 0) continue;
      const int64_t part = std::max(least, left - left / 4);
      const int64_t at = next.fetch_add(part, std::memory_order_relaxed);
      if (at >= size) continue;
      *begin = first + at;
      *end = first + std::min(at + part, size);
      return true;
    }
    return false;
  }

 private:
  static constexpr uint32_t kRanges = 64;  // more threads than that share ranges
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};  // index within the range
  };
  Range ranges_[kRanges];
};

}  // namespace weft
#endif
