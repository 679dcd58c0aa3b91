/// What the messages of a queue say, as JSON.
///
/// Messages hold inputs, outputs, paths and hashes; what is large lies in files on storage that all machines see. An
/// item's inputs and a record's outputs take at most kMaxContentBytes each; more is refused.
/// Thread safety: plain values.
#ifndef WEFT_PIPELINE_QUEUE_MESSAGES_H
#define WEFT_PIPELINE_QUEUE_MESSAGES_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/item.h"

namespace weft {

inline constexpr size_t kMaxContentBytes = size_t{256} << 10;
/// Of messages that this version of Weft writes and reads.
inline constexpr int64_t kQueueVersion = 1;

/// What every item of a queue has in common: said once, when it is submitted.
struct QueueSetup {
  std::string pipeline;          // absolute path of the file, on storage that all machines see
  Facts identity;                // of pipeline, plugins, models, by names that are the same on all machines
  Facts facts;                   // as a batch notes them in its journal, seed and day among them
  std::string probe_inputs;      // inputs of one item: what a worker prepares, to compare `identity`
  uint32_t tries = 3;            // of an item, before it has failed
  uint64_t silence_ms = 30'000;  // of a worker, after which its items go to others
};

/// An item on its way to a worker. What it is done with is decided by its name alone.
struct QueuedItem {
  Item item;  // id: 0
  uint64_t position = 0;
  std::optional<Error> error;  // it was submitted wrong, and fails without being run
  std::vector<ItemFile>
      read;  // what its inputs of type path name, see files_read.h; it must not have changed
};

/// How an item ended.
struct QueueRecord {
  std::string name;  // of the item
  ItemOutcome outcome;
  std::string worker;    // who recorded it; its files are in items/NAME/ or in workers/WORKER/items/NAME/
  uint64_t attempt = 0;  // of this worker's: it may run an item twice, and the second time is another's then
  uint64_t tries = 0;    // of all workers, as far as the server knows
};

std::string to_json(const QueueSetup& setup);
std::string to_json(const QueuedItem& item);
std::string to_json(const QueueRecord& record);

/// Errors: kCorruptData; kVersionMismatch for a message of another version.
Result<QueueSetup> parse_setup(const std::string& json);
Result<QueuedItem> parse_item(const std::string& json);
Result<QueueRecord> parse_record(const std::string& json);

/// Errors: kOutOfRange if `content`, JSON of the kind that `what` names ("the inputs of an item"), is beyond kMaxContentBytes.
Status check_content_size(const std::string& content, const std::string& what);

}  // namespace weft
#endif
