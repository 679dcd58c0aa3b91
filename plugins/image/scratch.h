/// Takes typed slices of a workspace in order; without memory it only counts, so that the same code that places slices
/// tells prepare() how large the workspace must be.
///
/// Networks on a device have their workspaces in its memory, apart from everything else, which is the host's.
/// Ownership: none. Thread safety: one thread.
///
///   Scratch measure(Scratch::Networks::kShare);  place(measure);  plan.set_workspace_bytes(measure.peak_bytes());
///   Scratch scratch({execution.workspace(), execution.workspace_bytes()});  place(scratch);
#ifndef WEFT_PLUGINS_IMAGE_SCRATCH_H
#define WEFT_PLUGINS_IMAGE_SCRATCH_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::image {

class Scratch {
 public:
  struct Memory {
    void* data = nullptr;
    uint64_t size_bytes = 0;
  };
  /// Whether networks share the one memory, or have one of their own.
  enum class Networks : uint8_t { kShare, kApart };

  /// Counts.
  explicit Scratch(Networks networks) : measures_(true), apart_(networks == Networks::kApart) {}
  explicit Scratch(Memory all) : own_(all) {}
  Scratch(Memory own, Memory of_networks) : own_(own), networks_(of_networks), apart_(true) {}

  /// `count` elements, aligned to 64 bytes, undefined; of length 0 while measuring.
  template <typename T>
  std::span<T> take(int64_t count) {
    return of_type<T>(own_, count);
  }
  /// A network's workspace.
  std::span<std::byte> take_for_network(int64_t size_bytes) {
    return of_type<std::byte>(apart_ ? networks_ : own_, size_bytes);
  }
  bool measures() const { return measures_; }
  /// Slices taken after mark() are free again after release(mark).
  struct Mark {
    int64_t own, networks;
  };
  Mark mark() const { return {own_.at, networks_.at}; }
  void release(const Mark& mark) {
    own_.at = mark.own;
    networks_.at = mark.networks;
  }
  uint64_t peak_bytes() const { return static_cast<uint64_t>(own_.peak); }
  /// Of networks, where they have memory of their own.
  uint64_t network_peak_bytes() const { return static_cast<uint64_t>(networks_.peak); }
  /// Whether all slices so far lay within the memory. One that does not must not be touched.
  bool fits() const { return measures_ || (own_.fits() && networks_.fits()); }

 private:
  struct Part {
    Part() = default;
    explicit Part(Memory memory)
        : base(static_cast<std::byte*>(memory.data)), size(static_cast<int64_t>(memory.size_bytes)) {}
    bool fits() const { return peak <= size; }
    std::byte* base = nullptr;
    int64_t size = 0, at = 0, peak = 0;
  };

  template <typename T>
  std::span<T> of_type(Part& part, int64_t count) const {
    const int64_t begin = part.at;
    part.at += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    part.peak = std::max(part.peak, part.at);
    if (measures_) return {};
    return {reinterpret_cast<T*>(part.base + begin), static_cast<size_t>(count)};
  }

  Part own_, networks_;
  bool measures_ = false, apart_ = false;
};

}  // namespace weft::image
#endif
