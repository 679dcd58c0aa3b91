/// Outcomes on their way into the journal: those that come within a few milliseconds, or while a commit is on its way to the
/// disk, make up the next one.
///
/// Nothing is reported before its group is durable. add() waits while the journal is too far behind, so that memory stays
/// bounded. Ownership: the journal outlives it; the destructor commits what is there. Thread safety: add and status from
/// any thread; on_recorded is called on a thread of its own, in the order of add.
#ifndef WEFT_PIPELINE_BATCH_GROUP_COMMIT_H
#define WEFT_PIPELINE_BATCH_GROUP_COMMIT_H

#include <weft/sdk/status.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "pipeline/batch/item.h"
#include "pipeline/batch/journal.h"

namespace weft {

class GroupCommit {
 public:
  using OnRecorded = std::function<void(std::span<const NamedOutcome>)>;

  GroupCommit(Journal& journal, OnRecorded on_recorded);
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;

  /// Errors: that of a commit that failed before; the outcome is then not recorded, nor is any after it.
  Status add(NamedOutcome outcome);
  /// Waits until everything added is durable. Errors: as add.
  Status flush();

 private:
  void commit_groups();

  static constexpr size_t kMaxWaiting = 256;
  static constexpr std::chrono::milliseconds kGatherTime{5};
  Journal& journal_;
  const OnRecorded on_recorded_;
  std::mutex mutex_;
  std::condition_variable to_commit_, committed_;
  std::vector<NamedOutcome> waiting_;
  size_t committing_ = 0;
  Status status_;
  bool closed_ = false, flushing_ = false;
  std::thread thread_;
};

}  // namespace weft
#endif
