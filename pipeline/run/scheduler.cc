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
  for (;;) {
    Task* task = nullptr;
    {
      std::unique_lock lock(mutex_);
      if (queue_.empty()) {
        ++idle_;
        ready_.wait(lock, [this] { return !queue_.empty() || state_ == State::kClosing; });
        --idle_;
      }
      task = queue_.pop();
      if (!task) return;  // closing
    }
    while (task) task = task->run(worker);
  }
}

}  // namespace weft
