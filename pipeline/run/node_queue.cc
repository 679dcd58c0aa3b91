#include "pipeline/run/node_queue.h"

#include <weft/sdk/error.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <utility>

#include "pipeline/residency/models.h"
#include "pipeline/run/compiled_graph.h"
#include "pipeline/run/host.h"
#include "pipeline/run/node_place.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

// Waiting for a batch to grow may cost this part of what the batch takes, and never more than the limit.
constexpr double kPatience = 0.02;
constexpr Clock::duration kMostPatience = std::chrono::milliseconds(50);
constexpr Clock::duration kLeastPatience = std::chrono::microseconds(200);  // less is not worth a wait

Clock::duration patience_for(double seconds) {
  const auto part = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(std::min(seconds, 1e6) * kPatience));
  return part < kLeastPatience ? Clock::duration(0) : std::min(part, kMostPatience);
}

uint32_t or_endless(uint32_t bound) { return bound == 0 ? std::numeric_limits<uint32_t>::max() : bound; }

/// Ends a request in the host's name. False if somebody else has.
bool claim(weft_request& request) { return !request.completed.exchange(true, std::memory_order_acq_rel); }

void end(weft_request& request, const Status& status) noexcept {
  (void)sdk::guarded([&] { return request.status = status, Status(); });
  request.host->on_complete(request);
}

void end_stopped(RequestList& stopped) noexcept {
  if (stopped.empty()) return;
  const Status cancelled = sdk::guarded([] { return Status(StatusCode::kCancelled, "cancelled"); });
  while (!stopped.empty()) {
    weft_request& request = *stopped.pop_front();
    if (claim(request)) end(request, cancelled);
  }
}

}  // namespace

/// An instance of the node, and what it is at.
class NodeQueue::Server final : public Task {
 public:
  Server(NodeQueue& queue, const NodeInstance& instance, char* workspace)
      : queue_(queue), instance_(instance), place_(queue.host_, *queue.node_.planned, workspace) {}

  Task* run(uint32_t worker) noexcept override;

  // All under the queue's mutex.
  enum class State {
    kIdle,
    kQueued,     // with the scheduler, or waiting for its batch to grow
    kExecuting,  // the node has not returned
    kReturned    // requests are still open
  } state = State::kIdle;
  RequestList open;
  std::thread::id thread;  // that executes
  Task* next = nullptr;    // what goes on there afterwards; touched by that thread alone
  void give_back_models() { models_ = {}; }

 private:
  void begin_batch();
  Status execute();
  void fail_open(const Status& status) noexcept;
  static size_t more(void* self, weft_request** requests, size_t capacity) noexcept;

  NodeQueue& queue_;
  const NodeInstance& instance_;
  std::vector<weft_request*> batch_;
  ModelStore::Use models_;
  NodePlace place_;
  bool joined_ = false;  // the node has asked for more requests
};

NodeQueue::NodeQueue(const CompiledNode& node, Host& host, Scheduler& scheduler, char* arena)
    : node_(node),
      host_(host),
      scheduler_(scheduler),
      most_(std::min(std::max(node.planned->max_batch, 1u), or_endless(node.planned->max_requests))),
      enough_(std::min(most_, node.planned->useful_batch)),
      patience_(patience_for(node.planned->cost_seconds)) {
  const PlannedNode& planned = *node.planned;
  char* workspace = planned.workspace_bytes > 0 && arena ? arena + planned.workspace_offset : nullptr;
  const auto add = [&](const NodeInstance& instance) {
    servers_.push_back(std::make_unique<Server>(*this, instance, workspace));
    if (workspace) workspace += workspace_stride(planned);
  };
  add(planned.instance);
  for (const NodeInstance& sibling : planned.siblings) add(sibling);
}

NodeQueue::~NodeQueue() = default;

NodeQueue::Server* NodeQueue::idle_server() {
  for (const auto& server : servers_) {
    if (server->state == Server::State::kIdle) return server.get();
  }
  return nullptr;
}

Task* NodeQueue::submit(std::span<weft_request* const> requests) noexcept {
  TaskList woken;
  {
    const std::lock_guard lock(mutex_);
    for (weft_request* request : requests) waiting_.push_back(*request);
    for (size_t left = waiting_.size(); left > 0; left -= std::min<size_t>(left, most_)) {
      Server* idle = idle_server();
      if (!idle) break;
      idle->state = Server::State::kQueued;
      woken.push(idle);
    }
  }
  if (most_ > 1) grown_.notify_one();  // nobody waits for requests of a node that takes them one by one
  Task* next = most_ == 1 ? woken.pop() : nullptr;
  scheduler_.push_all(woken);
  return next;
}

Task** NodeQueue::finished(weft_request& request) noexcept {
  auto* server = static_cast<Server*>(std::exchange(request.server, nullptr));
  if (!server) return nullptr;
  {
    const std::lock_guard lock(mutex_);
    server->open.erase(request);
    if (server->state == Server::State::kExecuting) {
      const bool here = most_ == 1 && server->thread == std::this_thread::get_id();
      return here ? &server->next : nullptr;
    }
    if (!server->open.empty()) return nullptr;
    server->state = Server::State::kQueued;
  }
  // The node completed its last request after it had returned.
  server->give_back_models();
  scheduler_.push(server);
  return nullptr;
}

size_t NodeQueue::hand_out(Server& server, weft_request** requests, size_t capacity,
                           RequestList& stopped) noexcept {
  size_t n = 0;
  while (n < capacity && !waiting_.empty() && server.open.size() < most_) {
    weft_request& request = *waiting_.pop_front();
    if (request.host->cancelled(request)) {
      stopped.push_back(request);
      continue;
    }
    request.host->on_start(request);
    request.server = &server;
    server.open.push_back(request);
    requests[n++] = &request;
  }
  return n;
}

// Fills batch_ from what waits.
void NodeQueue::Server::begin_batch() {
  RequestList stopped;
  {
    std::unique_lock lock(queue_.mutex_);
    const bool may_wait = !joined_ && queue_.most_ > 1 && queue_.patience_ > Clock::duration(0);
    if (may_wait && !queue_.waiting_.empty()) {
      queue_.grown_.wait_for(lock, queue_.patience_,
                             [this] { return queue_.waiting_.size() >= queue_.enough_; });
    }
    const size_t wanted = std::min<size_t>(queue_.waiting_.size(), queue_.most_);
    // Without memory for a larger batch it is a smaller one.
    (void)sdk::guarded([&] { return batch_.reserve(wanted), Status(); });
    batch_.resize(std::min(wanted, batch_.capacity()));
    batch_.resize(queue_.hand_out(*this, batch_.data(), batch_.size(), stopped));
    state = batch_.empty() ? State::kIdle : State::kExecuting;
    thread = std::this_thread::get_id();
  }
  end_stopped(stopped);
}

Task* NodeQueue::Server::run(uint32_t) noexcept {
  begin_batch();
  if (batch_.empty()) return nullptr;
  const Clock::time_point start = Clock::now();
  const Status status = execute();
  if (!status.ok()) fail_open(status);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  Task* const after = std::exchange(next, nullptr);
  {
    const std::lock_guard lock(queue_.mutex_);
    queue_.patience_ = patience_for(seconds);
    if (!open.empty()) {
      state = State::kReturned;  // finished() goes on with the last of them
      return after;
    }
  }
  give_back_models();
  {
    const std::lock_guard lock(queue_.mutex_);
    state = queue_.waiting_.empty() ? State::kIdle : State::kQueued;
    if (state == State::kIdle) return after;
  }
  queue_.scheduler_.push(this);  // behind what became ready meanwhile
  return after;
}

Status NodeQueue::Server::execute() {
  const CompiledNode& node = queue_.node_;
  return sdk::guarded([&]() -> Status {
    if (!node.models.empty()) {
      const auto all_stopped = [this] {
        const auto stopped = [](weft_request* request) { return request->host->cancelled(*request); };
        return int32_t{std::all_of(batch_.begin(), batch_.end(), stopped)};
      };
      auto use = queue_.host_.models().use(node.models, all_stopped);
      if (!use.ok()) return use.status();
      models_ = std::move(*use);
    }
    weft_execution execution{};
    execution.struct_size = sizeof(execution);
    execution.self = this;
    execution.more = more;
    if (Status entered = place_.enter(execution); !entered.ok()) return entered;
    Status done = sdk::checked([&](weft_error* error) {
      return instance_.api()->execute(instance_.get(), batch_.data(), batch_.size(), &execution, error);
    });
    place_.leave();
    return done;
  });
}

size_t NodeQueue::Server::more(void* self, weft_request** requests, size_t capacity) noexcept {
  auto& server = *static_cast<Server*>(self);
  server.joined_ = true;
  RequestList stopped;
  size_t n = 0;
  {
    const std::lock_guard lock(server.queue_.mutex_);
    n = server.queue_.hand_out(server, requests, capacity, stopped);
  }
  end_stopped(stopped);
  return n;
}

// What the node has not completed, it was not able to.
void NodeQueue::Server::fail_open(const Status& status) noexcept {
  RequestList failed;
  {
    const std::lock_guard lock(queue_.mutex_);
    for (weft_request* request = open.front(); request;) {
      weft_request* following = request->next;
      if (claim(*request)) {
        open.erase(*request);
        request->server = nullptr;
        failed.push_back(*request);
      }
      request = following;
    }
  }
  while (!failed.empty()) end(*failed.pop_front(), status);
}

}  // namespace weft
