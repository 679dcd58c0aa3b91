/// A pipeline that runs on a thread of its own, so that the caller can wait for its events, look at other things, and cancel.
///
/// Knows nothing of Python: whoever calls from there releases the interpreter's lock first. Events wait in a queue until they
/// are taken; where nobody wants them none are kept. Ownership: shares the session; the destructor cancels and waits.
/// Thread safety: any thread.
///
///   BackgroundRun run(session, graph, options, BackgroundRun::Events::kKeep);
///   while (!run.drained()) if (auto event = run.next_event(50ms)) show(*event);
///   use(run.result());
#ifndef WEFT_PIPELINE_PYTHON_BACKGROUND_RUN_H
#define WEFT_PIPELINE_PYTHON_BACKGROUND_RUN_H

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "pipeline/python/session.h"
#include "pipeline/run/cancel.h"
#include "pipeline/run/events.h"

namespace weft::python {

/// An event with its own copies of the names that the event only views: read these, not the event's.
struct KeptEvent {
  std::string node, port;
  Event event;
};

class BackgroundRun {
 public:
  enum class Events { kKeep, kDrop };
  BackgroundRun(std::shared_ptr<Session> session, std::shared_ptr<const Graph> graph, RunOptions options,
                Events events);
  ~BackgroundRun();
  BackgroundRun(const BackgroundRun&) = delete;
  BackgroundRun& operator=(const BackgroundRun&) = delete;

  /// Nodes are told at once; the run ends when they have stopped.
  void cancel() { cancel_.cancel(); }
  /// The next event; nothing if none comes within `wait`, or none will come.
  std::optional<KeptEvent> next_event(std::chrono::milliseconds wait);
  /// Whether the run has ended and every event was taken.
  bool drained() const;
  /// Whether the run has ended, after waiting for it.
  bool wait(std::chrono::milliseconds at_most);
  /// Precondition: the run has ended. Errors: those of prepare_run and execute.
  const Result<RunResult>& result() const { return *result_; }
  const std::shared_ptr<Session>& session() const { return session_; }

 private:
  void work();
  void keep(const Event& event);

  const std::shared_ptr<Session> session_;
  const std::shared_ptr<const Graph> graph_;
  const RunOptions options_;
  const Events wanted_;
  CancelToken cancel_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<KeptEvent> events_;
  std::optional<Result<RunResult>> result_;  // set once, when the run has ended
  std::thread thread_;
};

}  // namespace weft::python
#endif
