#include "pipeline/batch/group_commit.h"

#include <weft/sdk/error.h>

#include <utility>

namespace weft {

GroupCommit::GroupCommit(Journal& journal, OnRecorded on_recorded)
    : journal_(journal), on_recorded_(std::move(on_recorded)), thread_([this] { commit_groups(); }) {}

GroupCommit::~GroupCommit() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    to_commit_.notify_one();
  }
  thread_.join();
}

Status GroupCommit::add(NamedOutcome outcome) {
  std::unique_lock lock(mutex_);
  committed_.wait(lock, [this] { return waiting_.size() < kMaxWaiting || !status_.ok(); });
  if (!status_.ok()) return status_;
  waiting_.push_back(std::move(outcome));
  if (waiting_.size() == 1 || waiting_.size() == kMaxWaiting) to_commit_.notify_one();
  return {};
}

Status GroupCommit::flush() {
  std::unique_lock lock(mutex_);
  flushing_ = true;
  to_commit_.notify_one();
  committed_.wait(lock, [this] { return (waiting_.empty() && committing_ == 0) || !status_.ok(); });
  flushing_ = false;
  return status_;
}

void GroupCommit::commit_groups() {
  std::vector<NamedOutcome> group;
  std::unique_lock lock(mutex_);
  for (;;) {
    to_commit_.wait(lock, [this] { return !waiting_.empty() || closed_; });
    if (waiting_.empty() || !status_.ok()) return;
    to_commit_.wait_for(lock, kGatherTime,
                        [this] { return closed_ || flushing_ || waiting_.size() >= kMaxWaiting; });
    group.swap(waiting_);
    committing_ = group.size();
    lock.unlock();
    committed_.notify_all();
    Status status = sdk::guarded([&] {
      if (Status recorded = journal_.record(group); !recorded.ok()) return recorded;
      if (on_recorded_) on_recorded_(group);
      return Status();
    });
    group.clear();
    lock.lock();
    committing_ = 0;
    if (!status.ok()) status_ = std::move(status);
    committed_.notify_all();
  }
}

}  // namespace weft
