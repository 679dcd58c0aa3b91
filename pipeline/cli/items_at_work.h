/// What the items at work are making just now, for whoever looks: the end of the text that is being written, or how far
/// the node is.
///
/// Thread safety: any thread.
///
///   ItemsAtWork at_work;
///   callbacks.on_event = [&](const Item& item, const Event& event) { at_work.on_event(item.name, event); };
///   (void)write_items_at_work(at_work.list(), temporaries, "out/journal.at_work.json");    // now and then
#ifndef WEFT_PIPELINE_CLI_ITEMS_AT_WORK_H
#define WEFT_PIPELINE_CLI_ITEMS_AT_WORK_H

#include <weft/sdk/status.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/files/durable_file.h"
#include "pipeline/run/events.h"

namespace weft::cli {

struct ItemAtWork {
  std::string name;
  double seconds = 0;  // since it began
  std::string node;    // that was heard of last
  std::string text;    // the end of what that node writes, valid UTF-8; empty if it writes none
  int64_t done = 0, total = 0;
  std::string unit;
  std::string previews;  // folder of its pictures; empty if there are none
};

class ItemsAtWork {
 public:
  void on_event(const std::string& item, const Event& event);
  /// The item is at work no more.
  void ended(const std::string& item);
  /// Those that began first come first, at most `limit`.
  std::vector<ItemAtWork> list(size_t limit = SIZE_MAX) const;
  size_t count() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    ItemAtWork item;
    Clock::time_point began;
    std::string port;  // of the text
    uint64_t number = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> items_;
  uint64_t n_begun_ = 0;
};

/// Beside the journal of the same name: "journal.at_work.json".
std::filesystem::path items_at_work_file(const std::filesystem::path& journal_file);
/// Errors: kIoError.
Status write_items_at_work(const std::vector<ItemAtWork>& items, TemporaryFiles& temporaries,
                           const std::filesystem::path& file);
/// Empty if there is no such file, or if it holds something else.
std::vector<ItemAtWork> read_items_at_work(const std::filesystem::path& file);
/// {"event": "at_work", "items": [{"name": ..., "seconds": ..., "node": ...}, ...]} with its line feed.
std::string at_work_event(const std::vector<ItemAtWork>& items);
/// The array alone.
std::string items_at_work_json(const std::vector<ItemAtWork>& items);

}  // namespace weft::cli
#endif
