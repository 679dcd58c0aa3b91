#include "pipeline/batch/merge.h"

#include <fstream>
#include <system_error>
#include <utility>

#include "pipeline/batch/identity.h"
#include "pipeline/batch/tables.h"
#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = size_t{1} << 20;

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
  const std::vector<std::string> changes = changed_facts(first, facts);
  if (changes.empty()) return {};
  std::string all;
  for (const std::string& change : changes) all += (all.empty() ? "" : ", ") + change;
  return Status(StatusCode::kVersionMismatch, "the shards are not of one batch")
      .at(journal.string())
      .got(all);
}

Status copy_file(const fs::path& from, const fs::path& to, TemporaryFiles& temporaries) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return io_error("creating the folder", to.parent_path(), error.value());
  Result<DurableFile> file = DurableFile::create(temporaries, to);
  if (!file.ok()) return file.status();
  std::ifstream stream(from, std::ios::binary);
  std::string block(kBlockBytes, '\0');
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) || stream.gcount() > 0) {
    const auto size = static_cast<size_t>(stream.gcount());
    if (Status status = file->write(std::string_view(block).substr(0, size)); !status.ok()) return status;
  }
  if (!stream.eof()) return Status(StatusCode::kIoError, "the file cannot be read").at(from.string());
  return file->commit();
}

/// Whether the file is there with the recorded content.
bool is_there(const fs::path& path, const ItemFile& file) {
  const Result<std::string> hash = sha256_of_file(path);
  return hash.ok() && *hash == file.sha256;
}

/// Brings the files of one shard into `folder`, checked and durable.
Status bring_files(Journal& shard, const Part& part, const fs::path& folder, TemporaryFiles& temporaries) {
  return shard.for_each_record([&](const RecordedItem& item) -> Status {
    for (const ItemFile& file : item.files) {
      const fs::path relative = fs::path("items") / item.item.name / file.path;
      if (is_there(folder / relative, file)) continue;
      if (!is_there(part.folder / relative, file)) {
        return Status(StatusCode::kCorruptData, "a file of the batch is not what was recorded")
            .at((part.folder / relative).string())
            .expected("sha256 " + file.sha256)
            .hint("remove its record by running the shard again with a new --out");
      }
      if (Status status = copy_file(part.folder / relative, folder / relative, temporaries); !status.ok()) {
        return status;
      }
      for (fs::path above = (folder / relative).parent_path(); above != folder; above = above.parent_path()) {
        if (Status synced = sync_folder(temporaries.file_system(), above.parent_path()); !synced.ok())
          return synced;
      }
    }
    return {};
  });
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
    if (facts->empty()) *facts = *of_shard;
    if (Status same = check_same(*facts, *of_shard, part.journal); !same.ok()) return same;
    for (const auto& [name, value] : *of_shard) facts->emplace(name, value);
    if (Status status = bring_files(*shard, part, folder, temporaries); !status.ok()) return status;
    if (Status status = whole->import(part.journal); !status.ok()) return status;
  }
  if (Status status = whole->set_facts(*facts); !status.ok()) return status;
  if (Status status = write_tables(*whole, folder, "", temporaries); !status.ok()) return status;
  Result<BatchCounts> counts = whole->counts();
  if (!counts.ok()) return counts.status();
  return MergedBatch{*counts, parts->size()};
}

}  // namespace weft
