/// Streams of a device that is this process: a thread each, which runs what is queued in order.
///
/// A Mark is a point of a stream: the work that was queued when it was taken. Streams wait for marks of others, and each
/// remembers which ones it has waited for, so that it is known without asking what its later work comes after.
/// Thread safety: any thread; what several threads queue on one stream runs in the order in which they came to it.
#ifndef WEFT_KERNELS_DEVICE_HOST_STREAM_H
#define WEFT_KERNELS_DEVICE_HOST_STREAM_H

#include <weft/sdk/status.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

namespace weft {

/// Whether a device still works: the first error of queued work, which every later call gets as kDeviceLost.
class DeviceHealth {
 public:
  Status status() const;
  void lose(const Status& error);

 private:
  mutable std::mutex mutex_;
  Status first_;
};

/// How far a stream has come; outlives it.
class Timeline {
 public:
  uint64_t done() const;
  void advance();
  void wait_until(uint64_t ticket) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable moved_;
  uint64_t done_ = 0;
};

/// What each stream had done, at least.
using StreamClock = std::map<std::shared_ptr<const Timeline>, uint64_t>;

/// A point of a stream, and what else is known to be done there. The default is reached from the beginning.
struct Mark {
  std::shared_ptr<const Timeline> timeline;
  uint64_t ticket = 0;
  StreamClock before;

  bool reached() const { return !timeline || timeline->done() >= ticket; }
};

class HostStream {
 public:
  using Work = std::function<Status()>;

  /// delay_seed: 0, or every piece of work is held up at random for up to half a millisecond, so that what is not ordered
  /// by marks comes in all orders.
  HostStream(DeviceHealth& health, uint32_t delay_seed);
  /// Runs what is queued first.
  ~HostStream();
  HostStream(const HostStream&) = delete;
  HostStream& operator=(const HostStream&) = delete;

  /// Work is dropped, and counts as done, once the device is lost.
  void enqueue(Work work);
  Mark mark() const;
  void wait(const Mark& mark);
  /// Whether work queued from now on comes after the mark.
  bool follows(const Mark& mark) const;
  void synchronize();

  /// From here on enqueue() keeps work for end_capture() to hand over, and runs none of it.
  void begin_capture();
  std::vector<Work> end_capture();
  bool captured() const;

 private:
  void run();
  void enqueue_locked(Work work);
  bool follows_locked(const Mark& mark) const;

  DeviceHealth& health_;
  const std::shared_ptr<Timeline> timeline_ = std::make_shared<Timeline>();
  mutable std::mutex mutex_;  // of what follows
  uint64_t queued_ = 0;
  StreamClock waited_for_;
  std::optional<std::vector<Work>> captured_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  bool ends_ = false;
  std::minstd_rand random_;
  const bool delays_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace weft
#endif
