#include "pipeline/queue/gather.h"

#include <system_error>
#include <unordered_map>
#include <utility>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/item_files.h"
#include "pipeline/batch/tables.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kItemsAtOnce = 256;

Status enrol_items(Queue& queue, Journal& journal, const Facts& facts) {
  if (Status status = journal.begin_enrolment(); !status.ok()) return status;
  Status status = queue.for_each_item([&](const QueuedItem& item) {
    return journal.enrol(item.item, item.position, item.error, FailedItems::kKeep);
  });
  if (status.ok()) status = journal.set_facts(facts);
  if (status.ok()) status = journal.end_enrolment(MissingItems::kAccept);
  if (!status.ok()) journal.cancel_enrolment();
  return status;
}

Result<std::unordered_map<std::string, int64_t>> items_without_record(Journal& journal) {
  std::unordered_map<std::string, int64_t> ids;
  for (uint64_t position = 0;;) {
    const uint64_t after = position;
    Result<std::vector<Item>> items = journal.pending(after, kItemsAtOnce, position);
    if (!items.ok()) return items.status();
    for (const Item& item : *items) ids[item.name] = item.id;
    if (items->empty()) break;
  }
  Result<std::vector<Item>> lost = journal.pending_after_loss();
  if (!lost.ok()) return lost.status();
  for (const Item& item : *lost) ids[item.name] = item.id;
  return ids;
}

/// Where a worker's files may be: moved to their place, or still in the folder in which it made them.
std::vector<fs::path> places_of(const QueueRecord& record, const fs::path& folder,
                                const std::vector<fs::path>& others) {
  std::vector<fs::path> places = {folder / "workers" / record.worker};
  for (const fs::path& other : others) {
    places.push_back(other);
    places.push_back(other / "workers" / record.worker);
  }
  return places;
}

Status check_facts(Journal& journal, const Facts& facts, const fs::path& folder) {
  const Result<Facts> known = journal.facts();
  if (!known.ok()) return known.status();
  const auto seed = known->find("seed"), queue_seed = facts.find("seed");
  const bool same = seed == known->end() || queue_seed == facts.end() || seed->second == queue_seed->second;
  if (known->empty() || same) return {};
  return Status(StatusCode::kVersionMismatch, "the folder is of another batch than the queue")
      .at(folder.string())
      .hint("gather the queue in the folder of its workers, or in a new one");
}

}  // namespace

Result<BatchCounts> gather_records(Queue& queue, const fs::path& named, const std::vector<fs::path>& others,
                                   TemporaryFiles& temporaries) {
  const Result<QueueSetup> setup = queue.setup();
  if (!setup.ok()) return setup.status();
  const fs::path folder = batch_folder(named);
  Result<Journal> journal = Journal::open(folder, "journal", temporaries.file_system());
  if (!journal.ok()) return journal.status();
  if (Status status = check_facts(*journal, setup->facts, folder); !status.ok()) return status;
  if (Status status = enrol_items(queue, *journal, setup->facts); !status.ok()) return status;
  Result<std::unordered_map<std::string, int64_t>> ids = items_without_record(*journal);
  if (!ids.ok()) return ids.status();
  std::vector<ItemOutcome> outcomes;
  Status status = queue.for_each_record([&](const QueueRecord& record) -> Status {
    const auto id = ids->find(record.name);
    if (id == ids->end()) return {};
    Status brought = bring_item_files(record.name, record.outcome.files, places_of(record, folder, others),
                                      folder, temporaries);
    if (!brought.ok()) return brought;
    outcomes.push_back(record.outcome);
    outcomes.back().item = id->second;
    if (outcomes.size() < kItemsAtOnce) return {};
    Status recorded = journal->record(outcomes);
    outcomes.clear();
    return recorded;
  });
  if (status.ok()) status = journal->record(outcomes);
  if (status.ok()) status = write_tables(*journal, folder, "", temporaries);
  if (!status.ok()) return status;
  Result<BatchCounts> counts = journal->counts();
  if (counts.ok() && counts->pending() == 0) {
    // What is left there belongs to attempts whose items have the record of another one.
    std::error_code ignored;
    fs::remove_all(folder / "workers", ignored);
  }
  return counts;
}

}  // namespace weft
