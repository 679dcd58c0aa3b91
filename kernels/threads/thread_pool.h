/// The process's compute threads, behind the executor contract (weft/abi/executor.h).
///
/// A pool of n threads has n - 1 workers; the thread that calls run() is the n-th. Callers share the pool:
/// each gets a team of itself and the workers that are idle at that moment, never more than n threads in all,
/// except that a caller that finds the pool full runs alone rather than wait; the next teams of others leave it a core
/// until it has not come back for a while. Workers spin for a while after
/// a team, so that the next one starts within a microsecond or two, then park; an idle pool costs nothing.
/// Teams do not nest: run() inside a body gets a team of one. Ownership: the pool outlives every Executor
/// made from it; the destructor joins the workers, no run() may be under way. Thread safety: executor() and
/// run() may be called by any thread. How many threads make sense: available_cpus() of
/// kernels/threads/cpu_limits.h.
///
/// Libraries with threads of their own borrow cores: while a lease lives, teams have as many threads fewer.
///
///   ThreadPool pool(available_cpus());
///   Executor(pool.executor()).parallel_for(rows, 64, [&](int64_t begin, int64_t end) { ... });
#ifndef WEFT_KERNELS_THREADS_THREAD_POOL_H
#define WEFT_KERNELS_THREADS_THREAD_POOL_H

#include <weft/abi/executor.h>

#include <cstdint>
#include <memory>

namespace weft {

class ThreadPool;

/// Cores of a pool that something else computes on. Move-only; gives them back when destroyed, before the pool is.
class CoreLease {
 public:
  CoreLease(CoreLease&& other) noexcept;
  CoreLease& operator=(CoreLease&& other) noexcept;
  ~CoreLease();
  /// Threads that may compute, the borrower's own among them: at least 1.
  uint32_t cores() const { return cores_; }

 private:
  friend class ThreadPool;
  CoreLease(ThreadPool* pool, uint32_t cores) : pool_(pool), cores_(cores) {}
  ThreadPool* pool_;
  uint32_t cores_;
};

class ThreadPool {
 public:
  /// Starts n_threads - 1 workers; 0 counts as 1, more than kMaxThreads as kMaxThreads. If the system refuses
  /// a thread, the pool has those that could be started: max_threads of the executor says how many.
  explicit ThreadPool(uint32_t n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr uint32_t kMaxThreads = 256;

  const weft_executor* executor() const;

  /// Cores for up to `most` threads of the caller's and of a library's, of those that are free now; never waits. A caller that
  /// finds none free gets 1: itself. Thread safety: any thread, outside of a team's body.
  CoreLease borrow(uint32_t most);
  /// The same without an object, for the extension weft.cores/1; give_back() takes what it returned.
  uint32_t borrow_cores(uint32_t most);
  void give_back(uint32_t cores);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
