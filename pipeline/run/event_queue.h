/// Events on their way from the nodes' threads to the thread that called execute().
///
/// push never waits for the handler. The consumer takes what is there in one go and looks again after at most a
/// millisecond, so that a busy run wakes it a thousand times a second, not once a node.
/// Thread safety: push and close from any thread, deliver from one.
#ifndef WEFT_PIPELINE_RUN_EVENT_QUEUE_H
#define WEFT_PIPELINE_RUN_EVENT_QUEUE_H

#include <condition_variable>
#include <mutex>
#include <vector>

#include "pipeline/run/events.h"

namespace weft {

class EventQueue {
 public:
  /// Without a handler nothing is queued.
  explicit EventQueue(const EventHandler& handler) : handler_(handler) {}

  bool wanted() const { return static_cast<bool>(handler_); }
  void push(Event event);
  /// No event comes any more.
  void close();
  /// Hands events to the handler until the queue is closed and empty.
  void deliver();

 private:
  const EventHandler& handler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  enum class State { kOpen, kClosed } state_ = State::kOpen;
  enum class Consumer { kAwake, kWaiting } consumer_ = Consumer::kAwake;
};

}  // namespace weft
#endif
