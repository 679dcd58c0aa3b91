/// Places short-lived buffers in one block of memory that the caller gives, without allocating.
///
/// take() puts a buffer into the smallest gap that holds it, or behind the last one; give() frees it. The same calls give
/// the same places, so that every thread of a team keeps an arena of its own over the same block and all agree, and so
/// that a run without memory (base null) tells the exact size of the block. Up to kMostLive buffers live at once.
#ifndef WEFT_KERNELS_LAYERS_SCRATCH_ARENA_H
#define WEFT_KERNELS_LAYERS_SCRATCH_ARENA_H

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace weft {

class ScratchArena {
 public:
  static constexpr int kMostLive = 128;
  static constexpr int64_t kAlignment = 64;

  /// base: aligned to kAlignment and as large as peak_bytes() will be, or null to measure.
  explicit ScratchArena(std::byte* base = nullptr) : base_(reinterpret_cast<uintptr_t>(base)) {}

  /// `bytes` >= 0, aligned to kAlignment. Not to be dereferenced where the base is null.
  void* take(int64_t bytes) {
    assert(n_ < kMostLive);
    const int64_t size = std::max((bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
    int place = n_;
    int64_t offset = n_ > 0 ? live_[n_ - 1].end : 0, smallest = INT64_MAX, before = 0;
    for (int i = 0; i < n_; before = live_[i++].end) {
      const int64_t gap = live_[i].begin - before;
      if (gap >= size && gap < smallest) {
        smallest = gap;
        offset = before;
        place = i;
      }
    }
    for (int i = n_; i > place; --i) live_[i] = live_[i - 1];
    live_[place] = {offset, offset + size};
    ++n_;
    peak_ = std::max(peak_, offset + size);
    return reinterpret_cast<void*>(base_ + static_cast<uintptr_t>(offset));
  }

  /// Precondition: take() returned it, and it has not been given back.
  void give(const void* buffer) {
    const int64_t offset = static_cast<int64_t>(reinterpret_cast<uintptr_t>(buffer) - base_);
    int i = 0;
    while (i < n_ && live_[i].begin != offset) ++i;
    assert(i < n_);
    for (--n_; i < n_; ++i) live_[i] = live_[i + 1];
  }

  int64_t peak_bytes() const { return peak_; }
  int n_live() const { return n_; }

 private:
  struct Interval {
    int64_t begin, end;
  };
  uintptr_t base_;
  Interval live_[kMostLive];  // by place
  int n_ = 0;
  int64_t peak_ = 0;
};

}  // namespace weft
#endif
