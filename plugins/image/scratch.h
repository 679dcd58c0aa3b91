/// Takes typed slices of one workspace in order; without memory it only counts, so that the same code that places slices
/// tells prepare() how large the workspace must be.
///
/// Ownership: none. Thread safety: one thread.
///
///   Scratch measure;  place(measure);  plan.set_workspace_bytes(measure.peak_bytes());
///   Scratch scratch(execution.workspace(), execution.workspace_bytes());  place(scratch);
#ifndef WEFT_PLUGINS_IMAGE_SCRATCH_H
#define WEFT_PLUGINS_IMAGE_SCRATCH_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::image {

class Scratch {
 public:
  Scratch() = default;
  Scratch(void* memory, uint64_t size_bytes)
      : base_(static_cast<std::byte*>(memory)), size_(static_cast<int64_t>(size_bytes)) {}

  /// `count` elements, aligned to 64 bytes, undefined; of length 0 while measuring.
  template <typename T>
  std::span<T> take(int64_t count) {
    const int64_t begin = at_;
    at_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    peak_ = std::max(peak_, at_);
    if (base_ == nullptr) return {};
    return {reinterpret_cast<T*>(base_ + begin), static_cast<size_t>(count)};
  }
  bool measures() const { return base_ == nullptr; }
  /// Slices taken after mark() are free again after release(mark).
  int64_t mark() const { return at_; }
  void release(int64_t mark) { at_ = mark; }
  uint64_t peak_bytes() const { return static_cast<uint64_t>(peak_); }
  /// Whether all slices so far lay within the memory. One that does not must not be touched.
  bool fits() const { return measures() || peak_ <= size_; }

 private:
  std::byte* base_ = nullptr;
  int64_t size_ = 0, at_ = 0, peak_ = 0;
};

}  // namespace weft::image
#endif
