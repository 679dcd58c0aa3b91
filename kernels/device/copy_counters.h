/// What copies of a driver bring, those in graphs at each launch. Thread safety: any thread.
#ifndef WEFT_KERNELS_DEVICE_COPY_COUNTERS_H
#define WEFT_KERNELS_DEVICE_COPY_COUNTERS_H

#include <mutex>
#include <unordered_map>

#include "kernels/device/driver.h"

namespace weft {

class CopyCounters {
 public:
  /// A copy on the stream, which may be captured.
  void count(const DeviceCopies& bytes, NativeStream stream) {
    const std::lock_guard lock(mutex_);
    const auto captured = captures_.find(stream);
    add(bytes, captured == captures_.end() ? total_ : captured->second);
  }
  void begin_capture(NativeStream stream) {
    const std::lock_guard lock(mutex_);
    captures_[stream] = {};
  }
  /// graph: null where none came of it.
  void end_capture(NativeStream stream, NativeGraph graph) {
    const std::lock_guard lock(mutex_);
    if (graph) graphs_[graph] = captures_[stream];
    captures_.erase(stream);
  }
  void launch(NativeGraph graph) {
    const std::lock_guard lock(mutex_);
    if (const auto found = graphs_.find(graph); found != graphs_.end()) add(found->second, total_);
  }
  void destroy(NativeGraph graph) {
    const std::lock_guard lock(mutex_);
    graphs_.erase(graph);
  }
  DeviceCopies total() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  static void add(const DeviceCopies& bytes, DeviceCopies& to) {
    to.to_device_bytes += bytes.to_device_bytes;
    to.to_host_bytes += bytes.to_host_bytes;
    to.within_bytes += bytes.within_bytes;
  }
  mutable std::mutex mutex_;
  DeviceCopies total_;
  std::unordered_map<NativeStream, DeviceCopies> captures_;
  std::unordered_map<NativeGraph, DeviceCopies> graphs_;
};

}  // namespace weft
#endif
