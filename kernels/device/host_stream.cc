#include "kernels/device/host_stream.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "kernels/device/lost_device.h"

namespace weft {
namespace {

void merge(StreamClock& into, const StreamClock& from) {
  for (const auto& [timeline, ticket] : from) {
    uint64_t& known = into[timeline];
    known = std::max(known, ticket);
  }
}

Status run_guarded(const HostStream::Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    return Status(StatusCode::kInternal, std::string("work of a device threw: ") + error.what());
  }
}

}  // namespace

Status DeviceHealth::status() const {
  const std::lock_guard lock(mutex_);
  return first_;
}

void DeviceHealth::lose(const Status& error) {
  const std::lock_guard lock(mutex_);
  if (first_.ok()) first_ = lost_device(error);
}

uint64_t Timeline::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Timeline::advance() {
  const std::lock_guard lock(mutex_);
  ++done_;
  moved_.notify_all();
}

void Timeline::wait_until(uint64_t ticket) const {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] { return done_ >= ticket; });
}

HostStream::HostStream(DeviceHealth& health, uint32_t delay_seed)
    : health_(health), random_(delay_seed), delays_(delay_seed != 0), thread_([this] { run(); }) {}

HostStream::~HostStream() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void HostStream::begin_capture() {
  const std::lock_guard lock(mutex_);
  captured_.emplace();
}

std::vector<HostStream::Work> HostStream::end_capture() {
  const std::lock_guard lock(mutex_);
  std::vector<Work> kept = std::move(captured_).value_or(std::vector<Work>());
  captured_.reset();
  return kept;
}

bool HostStream::captured() const {
  const std::lock_guard lock(mutex_);
  return captured_.has_value();
}

void HostStream::enqueue(Work work) {
  const std::lock_guard lock(mutex_);
  if (captured_) captured_->push_back(std::move(work));
  else enqueue_locked(std::move(work));
}

void HostStream::enqueue_locked(Work work) {
  ++queued_;
  queue_.push_back(std::move(work));
  changed_.notify_one();
}

Mark HostStream::mark() const {
  const std::lock_guard lock(mutex_);
  return {timeline_, queued_, waited_for_};
}

void HostStream::wait(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  if (follows_locked(mark)) return;
  enqueue_locked([timeline = mark.timeline, ticket = mark.ticket]() -> Status {
    timeline->wait_until(ticket);
    return {};
  });
  merge(waited_for_, mark.before);
  uint64_t& known = waited_for_[mark.timeline];
  known = std::max(known, mark.ticket);
}

bool HostStream::follows(const Mark& mark) const {
  const std::lock_guard lock(mutex_);
  return follows_locked(mark);
}

bool HostStream::follows_locked(const Mark& mark) const {
  if (!mark.timeline || mark.timeline == timeline_) return true;
  const auto known = waited_for_.find(mark.timeline);
  return known != waited_for_.end() && known->second >= mark.ticket;
}

void HostStream::synchronize() { timeline_->wait_until(mark().ticket); }

void HostStream::run() {
  for (;;) {
    Work work;
    uint32_t delay = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ends_ || !queue_.empty(); });
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
      if (delays_) delay = random_();
    }
    if (delay % 4 == 1) std::this_thread::sleep_for(std::chrono::microseconds(delay / 4 % 500));
    if (health_.status().ok()) {
      if (Status status = run_guarded(work); !status.ok()) health_.lose(status);
    }
    work = nullptr;  // before anybody who waits goes on
    timeline_->advance();
  }
}

}  // namespace weft
