#include "pipeline/batch/folder_layout.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/journal.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

/// What a journal says of itself; nothing if there is none, or if its batch has not begun.
Facts facts_of(const fs::path& journal_file) {
  Result<Journal> journal = Journal::open_to_read(journal_file);
  if (!journal.ok()) return {};
  const Result<Facts> facts = journal->facts();
  return facts.ok() ? *facts : Facts();
}

}  // namespace

Status check_layout(const fs::path& folder, const Shard& shard) {
  const fs::path whole = folder / (Shard().journal_name() + ".sqlite");
  const std::vector<fs::path> journals = find_journals(folder);
  const bool alone = std::ranges::all_of(journals, [&](const fs::path& journal) { return journal == whole; });
  if (shard.whole() && alone) return {};
  const Facts before = facts_of(whole);
  const auto layout = before.find(kLayoutFact);
  const bool joined = layout != before.end() && layout->second == kJoinedLayout;
  if (!shard.whole() && !before.empty() && !joined) {
    return Status(StatusCode::kInvalidArgument, "this folder holds a batch that is not in shards")
        .at(folder.string())
        .hint("go on without a shard (--shard, or the variables of a job array), or choose another --out");
  }
  for (const fs::path& journal : journals) {
    if (journal == whole || facts_of(journal).empty()) continue;
    if (shard.whole() && is_running(journal)) {
      return Status(StatusCode::kAlreadyExists, "a shard of this batch is running").at(journal.string());
    }
    if (shard.whole() && before.empty()) {
      return Status(StatusCode::kInvalidArgument, "this folder holds shards of a batch")
          .at(journal.string())
          .hint("`weft merge " + folder.string() + "` joins them; then what is left runs without a shard");
    }
    if (!shard.whole() && !shard.is_sibling(journal.stem().string())) {
      return Status(StatusCode::kInvalidArgument, "this folder holds a batch of another number of shards")
          .at(journal.string())
          .got(std::to_string(shard.index) + "/" + std::to_string(shard.count))
          .hint("keep to the number that it began with, or choose another --out");
    }
  }
  return {};
}

Status check_preview_folder(const fs::path& previews, const fs::path& folder) {
  if (previews.empty()) return {};
  for (const char* name : {"items", "workers"}) {
    std::error_code error;
    const fs::path kept = fs::weakly_canonical(fs::absolute(folder / name, error), error);
    const fs::path shown = fs::weakly_canonical(fs::absolute(previews, error), error);
    if (error || std::mismatch(kept.begin(), kept.end(), shown.begin(), shown.end()).first != kept.end())
      continue;
    return Status(StatusCode::kInvalidArgument, "previews cannot be shown among the files of items")
        .at("--previews " + previews.string())
        .expected("a folder outside of " + (folder / name).string())
        .hint("for example --previews " + (folder / "previews").string());
  }
  return {};
}

}  // namespace weft
