#include "pipeline/python/background_run.h"

#include <weft/sdk/error.h>

#include <utility>
#include <variant>

namespace weft::python {

BackgroundRun::BackgroundRun(std::shared_ptr<Session> session, std::shared_ptr<const Graph> graph,
                             RunOptions options, Events events)
    : session_(std::move(session)),
      graph_(std::move(graph)),
      options_(std::move(options)),
      wanted_(events),
      thread_([this] { work(); }) {}

BackgroundRun::~BackgroundRun() {
  cancel();
  // A forked child has the object but not the thread.
  if (session_->belongs_to_this_process()) thread_.join();
  else thread_.detach();
}

void BackgroundRun::work() {
  std::optional<Result<RunResult>> result;
  Status failed = sdk::guarded([&] {
    Result<PreparedRun> prepared = session_->prepare(*graph_, options_);
    if (!prepared.ok()) return result.emplace(prepared.status()), Status();
    EventHandler handler;
    if (wanted_ == Events::kKeep) handler = [this](const Event& event) { keep(event); };
    result.emplace(execute(*prepared, options_, handler, &cancel_));
    return Status();
  });
  const std::lock_guard lock(mutex_);
  if (failed.ok()) result_ = std::move(result);
  else result_.emplace(std::move(failed));
  changed_.notify_all();
}

void BackgroundRun::keep(const Event& event) {
  KeptEvent kept{{}, {}, event};
  std::visit([&](const auto& e) { kept.node = e.node; }, event);
  if (const auto* part = std::get_if<TextPart>(&event)) kept.port = part->port;
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(kept));
  changed_.notify_all();
}

std::optional<KeptEvent> BackgroundRun::next_event(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return !events_.empty() || result_; });
  if (events_.empty()) return std::nullopt;
  KeptEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

bool BackgroundRun::drained() const {
  const std::lock_guard lock(mutex_);
  return result_ && events_.empty();
}

bool BackgroundRun::wait(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, at_most, [&] { return result_.has_value(); });
}

}  // namespace weft::python
