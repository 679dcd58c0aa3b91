#include "pipeline/queue/submit.h"

#include <filesystem>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/journal.h"
#include "pipeline/files/scratch_folder.h"
#include "pipeline/queue/files_read.h"
#include "pipeline/queue/queue_identity.h"
#include "pipeline/run/host.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPendingAtOnce = 256;
constexpr size_t kMaxProbes = 3;

/// The first of the items that can be prepared says what all depend on.
Result<QueueSetup> describe(const BatchSetup& setup, const SubmitOptions& options, Journal& journal) {
  uint64_t position = 0;
  Result<std::vector<Item>> items = journal.pending(0, kMaxProbes, position);
  if (!items.ok()) return items.status();
  Result<Facts> facts = journal.facts();
  if (!facts.ok()) return facts.status();
  std::error_code error;
  QueueSetup made;
  made.pipeline = fs::absolute(options.pipeline, error).lexically_normal().string();
  made.facts = *std::move(facts);
  made.tries = options.tries;
  made.silence_ms = static_cast<uint64_t>(options.silence.count());
  Status failed;
  for (const Item& item : *items) {
    Result<QueueProbe> probe = probe_item(setup, item.inputs_json, 1);
    if (probe.ok()) {
      made.identity = std::move(probe->identity);
      made.probe_inputs = item.inputs_json;
      return made;
    }
    if (failed.ok()) failed = probe.status().at(item.place);
  }
  return failed;
}

Status check_same(const QueueSetup& known, const QueueSetup& made, const QueueAddress& address) {
  const std::string changes = changes_text(known.identity, made.identity);
  if (changes.empty()) return {};
  return Status(StatusCode::kVersionMismatch, "the queue was made for something else")
      .at(address.shown)
      .got("changed: " + changes)
      .hint("submit to a queue of another name, or remove this one with weft cancel --remove");
}

/// What is wrong with an item that the journal takes, but a queue does not.
std::optional<Error> prepare(const BatchSetup& setup, QueuedItem& item) {
  Status size = check_content_size(item.item.inputs_json, "the inputs of the item");
  if (!size.ok()) {
    item.item.inputs_json = "{}";
    return std::move(size).at(item.item.place).error();
  }
  Result<std::vector<ItemFile>> read =
      find_files_read(setup.graph, item.item.inputs_json, setup.host.hashes());
  if (!read.ok()) return read.status().at(item.item.place).error();
  item.read = *std::move(read);
  return std::nullopt;
}

class Submission {
 public:
  Submission(const BatchSetup& setup, Queue& queue, const CancelToken* cancel)
      : setup_(setup), queue_(queue), cancel_(cancel) {}

  Status add(QueuedItem item) {
    if (cancel_ && cancel_->cancelled()) return Status(StatusCode::kCancelled, "submitting was cancelled");
    item.item.id = 0;
    if (!item.error) {
      item.error = prepare(setup_, item);
      if (item.error && submitted_.invalid.size() < Batch::kMaxInvalidItems) {
        submitted_.invalid.push_back({item.item.place, *item.error});
      }
    }
    const Result<bool> fresh = queue_.add(item);
    if (!fresh.ok()) return fresh.status();
    ++(*fresh ? submitted_.added : submitted_.known);
    return {};
  }
  SubmittedItems& submitted() { return submitted_; }

 private:
  const BatchSetup& setup_;
  Queue& queue_;
  const CancelToken* cancel_;
  SubmittedItems submitted_;
};

Status add_all(Journal& journal, Submission& submission) {
  for (uint64_t position = 0;;) {
    const uint64_t after = position;
    Result<std::vector<Item>> items = journal.pending(after, kPendingAtOnce, position);
    if (!items.ok()) return items.status();
    if (items->empty()) break;
    for (Item& item : *items) {
      QueuedItem queued;
      queued.position = static_cast<uint64_t>(item.id);  // a new journal numbers them in the source's order
      queued.item = std::move(item);
      if (Status status = submission.add(std::move(queued)); !status.ok()) return status;
    }
  }
  return journal.for_each_record([&](const RecordedItem& wrong) {
    QueuedItem queued{wrong.item, wrong.position, wrong.error, {}};
    return submission.add(std::move(queued));
  });
}

}  // namespace

Result<SubmittedItems> submit_items(const BatchSetup& setup, const SubmitOptions& options, Queue& queue,
                                    const CancelToken* cancel) {
  Result<ScratchFolder> scratch = ScratchFolder::create("submit");
  if (!scratch.ok()) return scratch.status();
  BatchOptions batch;
  batch.folder = scratch->path();
  batch.items = options.items;
  batch.matrix = options.matrix;
  batch.name_template = options.name_template;
  batch.concurrency = 1;
  Submission submission(setup, queue, cancel);
  {
    Result<Batch> checked = Batch::open(setup, batch);
    if (!checked.ok()) return checked.status();
    submission.submitted().invalid = checked->invalid_items();
  }
  Result<Journal> journal = Journal::open_to_read(scratch->path() / "journal.sqlite");
  if (!journal.ok()) return journal.status();
  Result<QueueSetup> made = describe(setup, options, *journal);
  if (!made.ok()) return made.status();
  Result<QueueSetup> known = queue.create(*made);
  if (!known.ok()) return known.status();
  if (Status same = check_same(*known, *made, queue.address()); !same.ok()) return same;
  const Result<bool> cancelled = queue.is_cancelled();
  if (!cancelled.ok()) return cancelled.status();
  if (*cancelled) {
    return Status(StatusCode::kAlreadyExists, "the queue was cancelled")
        .at(queue.address().shown)
        .hint("submit to a queue of another name, or remove this one with weft cancel --remove");
  }
  if (Status status = add_all(*journal, submission); !status.ok()) return status;
  if (Status status = queue.mark_submitted(); !status.ok()) return status;
  return std::move(submission.submitted());
}

Result<uint64_t> cancel_items(Queue& queue) {
  // What is stored while this runs comes from workers that have not seen yet that it ends; theirs goes first.
  if (const Result<QueueSetup> setup = queue.setup(); !setup.ok()) return setup.status();
  if (Status status = queue.mark_cancelled(); !status.ok()) return status;
  std::unordered_set<std::string> ended;
  Status status = queue.for_each_record([&](const QueueRecord& record) {
    ended.insert(record.name);
    return Status();
  });
  if (!status.ok()) return status;
  uint64_t n_cancelled = 0;
  status = queue.for_each_item([&](const QueuedItem& item) -> Status {
    if (ended.count(item.item.name) > 0) return {};
    QueueRecord record;
    record.name = item.item.name;
    record.outcome.state = ItemOutcome::State::kFailed;
    record.outcome.error = Status(StatusCode::kCancelled, "the queue was cancelled").error();
    record.worker = "cancelled";
    const Result<bool> first = queue.put_record(record);
    if (!first.ok()) return first.status();
    if (*first) ++n_cancelled;
    return {};
  });
  if (!status.ok()) return status;
  return n_cancelled;
}

}  // namespace weft
