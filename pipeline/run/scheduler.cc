#include "pipeline/run/scheduler.h"

#include <algorithm>

namespace weft {

Scheduler::Scheduler(uint32_t max_threads) : max_threads_(std::max(max_threads, 1u)) {
  threads_.reserve(max_threads_);
  threads_.emplace_back([this] { work(0); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    state_ = State::kClosing;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Scheduler::push(Task* task) noexcept {
  TaskList one;
  one.push(task);
  push_all(one);
}

void Scheduler::push_all(TaskList& tasks) noexcept {
  if (tasks.empty()) return;
  const std::lock_guard lock(mutex_);
  queue_.append(tasks);
  wake_threads();
}

void Scheduler::run_as_guest(Task* task) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (at_work_ >= max_threads_) {
      queue_.push(task);  // for whoever ends its chain first
      return;
    }
    ++at_work_;
  }
  while (task) task = task->run(max_threads_);
  const std::lock_guard lock(mutex_);
  --at_work_;
  wake_threads();
}

void Scheduler::wake_threads() noexcept {
  const size_t wake = std::min<size_t>(queue_.size(), idle_);
  try {
    for (size_t served = idle_; served < queue_.size() && threads_.size() < max_threads_; ++served) {
      const auto worker = static_cast<uint32_t>(threads_.size());
      threads_.emplace_back([this, worker] { work(worker); });
    }
  } catch (...) {
    // The system has no more threads, or no memory for one: those that there are do the work.
  }
  // Notified under the lock: once it is given up, the task may run, end the run and with it this scheduler.
  for (size_t i = 0; i < wake; ++i) ready_.notify_one();
}

void Scheduler::work(uint32_t worker) noexcept {
  const auto may_take = [this] { return !queue_.empty() && at_work_ < max_threads_; };
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!may_take()) {
      ++idle_;
      ready_.wait(lock, [&] { return may_take() || state_ == State::kClosing; });
      --idle_;
    }
    if (!may_take()) return;  // closing
    Task* task = queue_.pop();
    ++at_work_;
    lock.unlock();
    while (task) task = task->run(worker);
    lock.lock();
    --at_work_;
  }
}

}  // namespace weft
