/// One item of a batch, and how it ended.
///
/// Thread safety: plain values.
#ifndef WEFT_PIPELINE_BATCH_ITEM_H
#define WEFT_PIPELINE_BATCH_ITEM_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/run/run.h"

namespace weft {

/// What a run of the pipeline is given, checked and named.
struct Item {
  int64_t id = 0;           // in the journal, from 1; stays when items are added before it
  std::string name;         // unique in the batch; its files are in out/items/NAME/
  std::string inputs_json;  // an object: the inputs that the item sets, by name
  std::string place;        // where it comes from: "items.jsonl:17"
};

struct ItemFile {
  std::string path;  // relative to the item's folder
  uint64_t size_bytes = 0;
  std::string sha256;
};

struct ItemOutcome {
  enum class State { kDone, kFailed };
  int64_t item = 0;  // Item::id
  State state = State::kDone;
  std::optional<Error> error;                       // of a failed one
  std::map<std::string, std::string> outputs_json;  // of a done one, by name
  std::vector<ItemFile> files;                      // of a done one, by path
  std::vector<DrawnSeed> seeds;
  std::vector<NodeTiming> timings;
  double seconds = 0;
};

/// What was at work when a device was lost: an item, or others too.
enum class AtWork : uint8_t { kAlone, kWithOthers };

struct NamedOutcome {
  Item item;
  ItemOutcome outcome;
};

}  // namespace weft
#endif
