/// Requests for one node from several executions of a graph at once, handed to the node in batches.
///
/// Each instance of the node serves what waits, in the order in which it came: as many requests as the node takes. While an
/// instance works, requests wait, or join if the node asks for more. Where a batch saves time and the node cannot be joined,
/// an instance waits for further requests a little before it begins: a small part of what its last batch took.
/// A request whose run was cancelled is completed without the node. Nothing that happens to a request concerns another one.
///
/// Ownership: belongs to the prepared run, like node, host, scheduler and workspace, which outlive it; requests stay their
/// NodeCall's, which submits them and reports each completion. Waiting: nobody waits in submit() or finished(); a worker is
/// busy while the node executes, and while it waits for the batch to grow. Thread safety: any thread.
#ifndef WEFT_PIPELINE_RUN_NODE_QUEUE_H
#define WEFT_PIPELINE_RUN_NODE_QUEUE_H

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "pipeline/run/request.h"
#include "pipeline/run/scheduler.h"

namespace weft {

class Host;
struct CompiledNode;

class NodeQueue {
 public:
  /// arena: where the plan's workspaces lie.
  NodeQueue(const CompiledNode& node, Host& host, Scheduler& scheduler, char* arena);
  ~NodeQueue();
  NodeQueue(const NodeQueue&) = delete;
  NodeQueue& operator=(const NodeQueue&) = delete;

  /// Each request is completed in time, through its host. Returns a task for the calling worker, or null: the short way,
  /// past the scheduler, where no other request can keep the node at work.
  Task* submit(std::span<weft_request* const> requests) noexcept;
  /// The request's host says that it was completed, before it lets go of it. Returns where the task that goes on after it
  /// may be left, instead of pushing it: for the worker that the node ran on. Null: nowhere.
  Task** finished(weft_request& request) noexcept;

 private:
  class Server;
  using Clock = std::chrono::steady_clock;

  /// Both with mutex_ held. stopped: takes requests whose runs were cancelled, for the caller to end without the lock.
  Server* idle_server();
  size_t hand_out(Server& server, weft_request** requests, size_t capacity, RequestList& stopped) noexcept;

  const CompiledNode& node_;
  Host& host_;
  Scheduler& scheduler_;
  const uint32_t most_;    // requests that an instance has at a time
  const uint32_t enough_;  // to begin without waiting for more
  std::mutex mutex_;
  std::condition_variable grown_;
  RequestList waiting_;
  std::vector<std::unique_ptr<Server>> servers_;  // one an instance
  Clock::duration patience_{0};                   // how long a batch may grow before it begins
};

}  // namespace weft
#endif
