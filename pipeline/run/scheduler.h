/// A queue of ready tasks and the threads that take them.
///
/// Tasks are linked through themselves, so that queueing allocates nothing. Threads start when there is work for them, up
/// to a limit; a task may hand its successor straight back to its thread, so that a chain never touches the queue. A thread
/// of somebody else may run a chain as a guest, so that short work is not handed over; no more than the limit are at work.
/// Ownership: a task outlives its run(); the scheduler joins its threads in the destructor, when no task may be left.
/// Thread safety: push from any thread.
#ifndef WEFT_PIPELINE_RUN_SCHEDULER_H
#define WEFT_PIPELINE_RUN_SCHEDULER_H

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace weft {

class Task {
 public:
  virtual ~Task() = default;
  /// Returns a task to run next on this thread, or null. worker: from 0.
  virtual Task* run(uint32_t worker) noexcept = 0;

 private:
  friend class TaskList;
  Task* next_ = nullptr;
};

/// First in, first out.
class TaskList {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  void push(Task* task) {
    task->next_ = nullptr;
    if (last_) {
      last_->next_ = task;
    } else {
      first_ = task;
    }
    last_ = task;
    ++size_;
  }
  Task* pop() {
    Task* task = first_;
    if (!task) return nullptr;
    first_ = task->next_;
    if (!first_) last_ = nullptr;
    --size_;
    return task;
  }
  /// Takes all of `other`, behind what is here.
  void append(TaskList& other) {
    if (other.empty()) return;
    if (last_) {
      last_->next_ = other.first_;
    } else {
      first_ = other.first_;
    }
    last_ = other.last_;
    size_ += other.size_;
    other = TaskList();
  }

 private:
  Task *first_ = nullptr, *last_ = nullptr;
  size_t size_ = 0;
};

class Scheduler {
 public:
  /// At most max_threads threads; at least one is started at once. Throws std::system_error if the system has none.
  explicit Scheduler(uint32_t max_threads);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  void push(Task* task) noexcept;
  /// Takes all of `tasks` under one lock.
  void push_all(TaskList& tasks) noexcept;
  /// Runs a task and its successors on this thread, as worker max_threads(), if fewer than the limit are at work; else as
  /// push(). A chain that a guest runs has to end soon.
  void run_as_guest(Task* task) noexcept;
  uint32_t max_threads() const { return max_threads_; }

 private:
  void work(uint32_t worker) noexcept;
  void wake_threads() noexcept;  // with mutex_ held

  const uint32_t max_threads_;
  std::mutex mutex_;
  std::condition_variable ready_;
  TaskList queue_;
  std::vector<std::thread> threads_;
  uint32_t idle_ = 0;
  uint32_t at_work_ = 0;  // own threads and guests
  enum class State { kOpen, kClosing } state_ = State::kOpen;
};

}  // namespace weft
#endif
