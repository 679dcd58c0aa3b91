/// The process's compute threads, behind the executor contract (weft/abi/executor.h).
///
/// A pool of n threads has n - 1 workers; the thread that calls run() is the n-th. Callers share the pool:
/// each gets a team of itself and the workers that are idle at that moment, never more than n threads in all,
/// except that a caller that finds the pool full runs alone rather than wait. Workers spin for a while after
/// a team, so that the next one starts within a microsecond or two, then park; an idle pool costs nothing.
/// Teams do not nest: run() inside a body gets a team of one. Ownership: the pool outlives every Executor
/// made from it; the destructor joins the workers, no run() may be under way. Thread safety: executor() and
/// run() may be called by any thread. How many threads make sense: available_cpus() of
/// kernels/threads/cpu_limits.h.
///
///   ThreadPool pool(available_cpus());
///   Executor(pool.executor()).parallel_for(rows, 64, [&](int64_t begin, int64_t end) { ... });
#ifndef WEFT_KERNELS_THREADS_THREAD_POOL_H
#define WEFT_KERNELS_THREADS_THREAD_POOL_H

#include <weft/abi/executor.h>

#include <cstdint>
#include <memory>

namespace weft {

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

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
#endif
