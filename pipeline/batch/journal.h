/// The journal of a batch: which items there are and how each ended, in one SQLite file of the output folder.
///
/// SQLite in WAL mode, synced at each commit (synchronous=FULL): what record() returned for survives a loss of power. An
/// item has one terminal record at most, by a primary key; a second one is an error. Tables:
///   facts    (name, value)                       what the batch depends on, see identity.h; its seed
///   items    (id, position, name, inputs, place) position: among all items of the source, from 1
///   records  (item, state, error, outputs, seeds, timings, seconds, finished)   finished: Unix time, for people only
///   files    (item, path, size_bytes, sha256)    of done items
///   losses   (item, alone)                       items that were at work when a device was lost; how often nothing else was
/// Ownership: holds a lock on the folder, so that two processes do not run one batch. Thread safety: any thread.
///
///   Result<Journal> journal = Journal::open("out", "journal", file_system);
///   journal->record(outcomes);                       // durable when it returns
///   auto items = journal->pending(0, 256);           // the next ones without a record
#ifndef WEFT_PIPELINE_BATCH_JOURNAL_H
#define WEFT_PIPELINE_BATCH_JOURNAL_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/batch/item.h"
#include "pipeline/files/durable_file.h"

namespace weft {

/// An item that has a record, as it is read back. error: empty message for a done one.
struct RecordedItem {
  Item item;
  uint64_t position = 0;
  ItemOutcome::State state = ItemOutcome::State::kDone;
  Error error;
  std::string outputs_json, seeds_json, timings_json;  // objects; seeds: {"node": {"seed": 7}}
  std::vector<ItemFile> files;
  double seconds = 0;
  double finished = 0;  // Unix time when it was recorded, by a clock that may jump
};

struct BatchCounts {
  uint64_t items = 0, done = 0, failed = 0;
  uint64_t pending() const { return items - done - failed; }
};

/// What the items of the source are compared with when a batch goes on.
enum class FailedItems { kKeep, kRetry };
enum class MissingItems { kRefuse, kAccept };

class Journal {
 public:
  /// Creates folder and file where they are missing, and locks them. name: without ".sqlite".
  /// Errors: kAlreadyExists if another process holds the lock, kVersionMismatch for a journal of a newer Weft, kIoError.
  static Result<Journal> open(const std::filesystem::path& folder, const std::string& name,
                              FileSystem& file_system);
  /// To read only, without the lock: while another process writes, or after it. Errors: kNotFound, kIoError.
  static Result<Journal> open_to_read(const std::filesystem::path& file);
  Journal(Journal&&) noexcept;
  Journal& operator=(Journal&&) noexcept;
  ~Journal();

  Result<std::map<std::string, std::string>> facts();
  /// Adds or replaces; in one commit of its own, or within an enrolment.
  Status set_facts(const std::map<std::string, std::string>& facts);

  /// Enters all items of the source, in its order, in one transaction; nothing is kept unless end_enrolment succeeds.
  Status begin_enrolment();
  /// An item of the source; its name is checked against those before it. error: it is invalid and fails at once.
  /// Errors: kAlreadyExists for a name that an earlier item has, naming its place; kInvalidArgument for one that is done with
  /// other inputs.
  Status enrol(const Item& item, uint64_t position, const std::optional<Error>& error, FailedItems failed);
  /// Only checks the name, for an item that another shard runs. Errors: as enrol.
  Status reserve(const std::string& name, const std::string& place);
  /// Items that are no longer in the source and not done are dropped. Errors: kInvalidArgument for done ones, if refused.
  Status end_enrolment(MissingItems missing);
  void cancel_enrolment();

  /// Items without a record, by position, at most `limit` of those behind `after`; not those of losses. Nothing: no more.
  Result<std::vector<Item>> pending(uint64_t after, size_t limit, uint64_t& last_position);
  /// Items without a record that were at work when a device was lost, by position.
  Result<std::vector<Item>> pending_after_loss();
  /// Notes that a device was lost while the item was at work. Gives the number of those times that it was alone, this one included.
  Result<int64_t> note_loss(int64_t item, AtWork at_work);
  /// One commit for all. Errors: kIoError; nothing of the group is then recorded.
  Status record(std::span<const ItemOutcome> outcomes);
  Status record(std::span<const NamedOutcome> outcomes);
  /// Takes in the items and records of a shard's journal, in one commit. A record that is here stays, unless it is of a
  /// failure and the shard's is not. Errors: kAlreadyExists for a name that stands for different items.
  Status import(const std::filesystem::path& shard);
  Result<BatchCounts> counts();
  /// Every item with a record, by position.
  Status for_each_record(const std::function<Status(const RecordedItem&)>& visit);

  /// Only failed items, the latest `limit` of them.
  Status for_each_failure(size_t limit, const std::function<Status(const RecordedItem&)>& visit);
  /// Records a second over the last hundred; 0 while there are fewer than two, or if the clock was set back meanwhile.
  Result<double> recent_rate();

  const std::filesystem::path& file() const;

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The folder as the user named it, without a "/" at its end, "." for nothing.
std::filesystem::path batch_folder(const std::filesystem::path& named);
/// The journals in a batch's folder, those of shards in their order.
std::vector<std::filesystem::path> find_journals(const std::filesystem::path& folder);
/// Whether a process holds the journal's lock.
bool is_running(const std::filesystem::path& journal_file);

}  // namespace weft
#endif
