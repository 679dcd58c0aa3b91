#include "pipeline/run/event_queue.h"

#include <chrono>
#include <utility>

namespace weft {

void EventQueue::push(Event event) {
  if (!handler_) return;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    wake = consumer_ == Consumer::kWaiting;
  }
  if (wake) changed_.notify_one();
}

void EventQueue::close() {
  // Notified under the lock: the consumer may destroy the queue as soon as it sees the state.
  const std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  changed_.notify_one();
}

void EventQueue::deliver() {
  std::vector<Event> batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    consumer_ = Consumer::kWaiting;
    changed_.wait(lock, [this] { return !events_.empty() || state_ == State::kClosed; });
    consumer_ = Consumer::kAwake;
    if (events_.empty()) return;
    batch.swap(events_);
    lock.unlock();
    for (const Event& event : batch) handler_(event);
    batch.clear();
    lock.lock();
    if (events_.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(1), [this] { return state_ == State::kClosed; });
    }
  }
}

}  // namespace weft
