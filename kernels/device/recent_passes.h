/// What is kept of the passes that came lately, by the shape that decides what they queue: a graph, from the second time on.
///
///   RecentPasses<Shape, std::optional<DeviceGraph>> graphs(16);
///   const auto [graph, known] = graphs.find(shape);   // known: it came before; capture now, what is worth it
///
/// Shape: has ==. Thread safety: one thread at a time.
#ifndef WEFT_KERNELS_DEVICE_RECENT_PASSES_H
#define WEFT_KERNELS_DEVICE_RECENT_PASSES_H

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace weft {

template <typename Shape, typename Kept>
class RecentPasses {
 public:
  /// most: shapes; a further one takes the place of that which did not come for longest.
  explicit RecentPasses(size_t most) : most_(most) {}

  /// What is kept of the shape, until the next call; and whether that was there, else it is made now.
  std::pair<Kept*, bool> find(Shape shape) {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.shape == shape; });
    const bool known = found != entries_.end();
    if (known) {
      std::rotate(found, found + 1, entries_.end());
    } else {
      if (entries_.size() == most_) entries_.erase(entries_.begin());
      entries_.push_back({std::move(shape), Kept()});
    }
    return {&entries_.back().kept, known};
  }
  /// Forgets the shape that was found last.
  void forget_last() { entries_.pop_back(); }
  template <typename F>
  void for_each(F&& f) {
    for (Entry& entry : entries_) f(entry.kept);
  }

 private:
  struct Entry {
    Shape shape;
    Kept kept;
  };
  size_t most_;
  std::vector<Entry> entries_;  // the latest last
};

}  // namespace weft
#endif
