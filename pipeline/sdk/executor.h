/// Parallel loops over the host's threads.
///
/// An Executor is a non-owning reference to a weft_executor; whoever made it outlives its users. Work is split by index
/// only, so the result of a loop whose iterations are independent is the same for every number of threads.
///
///   executor.parallel_for(rows, 64, [&](int64_t begin, int64_t end) { normalize(x, begin, end); });
#ifndef WEFT_SDK_EXECUTOR_H
#define WEFT_SDK_EXECUTOR_H

#include <weft/abi/executor.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace weft {

/// One thread's part in a team.
class Team {
 public:
  explicit Team(const weft_team* team) : team_(team) {}
  uint32_t thread() const { return team_->thread; }
  uint32_t n_threads() const { return team_->n_threads; }
  void barrier() const { team_->barrier(team_); }

 private:
  const weft_team* team_;
};

class Executor {
 public:
  explicit Executor(const weft_executor* executor) : executor_(executor) {}
  uint32_t max_threads() const { return executor_->max_threads; }

  /// Calls body(Team) once on every thread of a team and waits for all. `body` must not throw.
  template <typename Body>
  void run(Body&& body) const {
    using Callable = std::remove_reference_t<Body>;
    executor_->run(
        executor_->self, [](void* arg, const weft_team* team) { (*static_cast<Callable*>(arg))(Team(team)); },
        const_cast<void*>(static_cast<const void*>(&body)));
  }

  /// Calls body(begin, end) over disjoint ranges that cover [0, count), each at least `grain` long except the last.
  /// A count of at most `grain` runs on the calling thread alone.
  template <typename Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) const {
    if (count <= 0) return;
    grain = std::max<int64_t>(grain, 1);
    if (count <= grain || max_threads() == 1) {
      body(int64_t{0}, count);
      return;
    }
    run([&](Team team) {
      const int64_t parts = std::min<int64_t>(team.n_threads(), (count + grain - 1) / grain);
      const int64_t part = team.thread();
      if (part < parts) body(count * part / parts, count * (part + 1) / parts);
    });
  }

 private:
  const weft_executor* executor_;
};

}  // namespace weft
#endif
