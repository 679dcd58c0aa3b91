#include "pipeline/batch/item_files.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = size_t{1} << 20;

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

/// Syncs the names of `place` and of the folders above it, down from `folder`.
Status sync_above(const fs::path& place, const fs::path& folder, FileSystem& file_system) {
  for (fs::path above = place; above != folder; above = above.parent_path()) {
    if (Status status = sync_folder(file_system, above.parent_path()); !status.ok()) return status;
  }
  return {};
}

}  // namespace

Status bring_item_files(const std::string& item, const std::vector<ItemFile>& files,
                        const std::vector<fs::path>& places, const fs::path& folder,
                        TemporaryFiles& temporaries) {
  for (const ItemFile& file : files) {
    const fs::path relative = fs::path("items") / item / file.path;
    if (is_there(folder / relative, file)) continue;
    const auto place = std::find_if(places.begin(), places.end(),
                                    [&](const fs::path& each) { return is_there(each / relative, file); });
    if (place == places.end()) {
      return Status(StatusCode::kCorruptData, "a file of the batch is not what was recorded")
          .at(((places.empty() ? folder : places.back()) / relative).string())
          .expected("sha256 " + file.sha256)
          .hint("name the folder where it lies, or run its item again with a new --out");
    }
    if (Status status = copy_file(*place / relative, folder / relative, temporaries); !status.ok()) {
      return status;
    }
    if (Status status = sync_above((folder / relative).parent_path(), folder, temporaries.file_system());
        !status.ok()) {
      return status;
    }
  }
  return {};
}

Status move_item_files(const std::string& item, const fs::path& from, const fs::path& folder,
                       FileSystem& file_system) {
  const fs::path source = from / "items" / item, target = folder / "items" / item;
  std::error_code error;
  if (!fs::exists(source, error)) return {};
  fs::create_directories(target.parent_path(), error);
  if (!error) fs::remove_all(target, error);
  if (error) return io_error("making place for the files of an item", target, error.value());
  if (file_system.rename(source.c_str(), target.c_str()) != 0) {
    return io_error("moving the files of an item to", target, errno);
  }
  return sync_above(target, folder, file_system);
}

}  // namespace weft
