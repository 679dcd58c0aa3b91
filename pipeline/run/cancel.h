/// A flag that asks a run to stop.
///
/// cancel() may be called from any thread and from a signal handler. A token outlives the runs that were
/// given it.
#ifndef WEFT_PIPELINE_RUN_CANCEL_H
#define WEFT_PIPELINE_RUN_CANCEL_H

#include <atomic>

namespace weft {

class CancelToken {
 public:
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  void reset() noexcept { cancelled_.store(false, std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "cancel() must be safe in a signal handler");
};

}  // namespace weft
#endif
