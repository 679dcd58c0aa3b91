#include "pipeline/batch/merge.h"

#include <utility>

#include "pipeline/batch/folder_layout.h"
#include "pipeline/batch/identity.h"
#include "pipeline/batch/item_files.h"
#include "pipeline/batch/tables.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

/// A journal to take in, and the folder that its files lie in.
struct Part {
  fs::path journal, folder;
};

Result<std::vector<Part>> find_parts(const fs::path& folder, const std::vector<fs::path>& others) {
  std::vector<Part> parts;
  for (const fs::path& journal : find_journals(folder)) {
    if (journal.stem() != "journal") parts.push_back({journal, folder});
  }
  for (const fs::path& other : others) {
    const std::vector<fs::path> journals = find_journals(other);
    if (journals.empty())
      return Status(StatusCode::kNotFound, "there is no batch in this folder").at(other.string());
    for (const fs::path& journal : journals) parts.push_back({journal, other});
  }
  if (!parts.empty()) return parts;
  return Status(StatusCode::kNotFound, "there are no shards to merge")
      .at(folder.string())
      .expected("journals of the form journal-1-of-4.sqlite")
      .hint("name the output folders of the shards");
}

Status check_same(const Facts& first, const Facts& facts, const fs::path& journal) {
  const std::string changes = changes_text(first, facts);
  if (changes.empty()) return {};
  return Status(StatusCode::kVersionMismatch, "the shards are not of one batch")
      .at(journal.string())
      .got(changes);
}

}  // namespace

Result<MergedBatch> merge_shards(const fs::path& named, const std::vector<fs::path>& others,
                                 TemporaryFiles& temporaries) {
  const fs::path folder = batch_folder(named);
  Result<std::vector<Part>> parts = find_parts(folder, others);
  if (!parts.ok()) return parts.status();
  Result<Journal> whole = Journal::open(folder, "journal", temporaries.file_system());
  if (!whole.ok()) return whole.status();
  Result<Facts> facts = whole->facts();
  if (!facts.ok()) return facts.status();
  for (const Part& part : *parts) {
    if (is_running(part.journal)) {
      return Status(StatusCode::kAlreadyExists, "a shard still runs")
          .at(part.journal.string())
          .hint("`weft status` says how far it is");
    }
    Result<Journal> shard = Journal::open_to_read(part.journal);
    if (!shard.ok()) return shard.status();
    Result<Facts> of_shard = shard->facts();
    if (!of_shard.ok()) return of_shard.status();
    of_shard->erase(kLayoutFact);
    if (facts->empty()) *facts = *of_shard;
    if (Status same = check_same(*facts, *of_shard, part.journal); !same.ok()) return same;
    for (const auto& [name, value] : *of_shard) facts->emplace(name, value);
    const Status brought = shard->for_each_record([&](const RecordedItem& item) {
      return bring_item_files(item.item.name, item.files, {part.folder}, folder, temporaries);
    });
    if (!brought.ok()) return brought;
    if (Status status = whole->import(part.journal); !status.ok()) return status;
  }
  facts->emplace(kLayoutFact, kJoinedLayout);
  if (Status status = whole->set_facts(*facts); !status.ok()) return status;
  if (Status status = write_tables(*whole, folder, "", temporaries); !status.ok()) return status;
  Result<BatchCounts> counts = whole->counts();
  if (!counts.ok()) return counts.status();
  return MergedBatch{*counts, parts->size()};
}

}  // namespace weft
