#include "pipeline/run/output_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "pipeline/files/path_policy.h"

namespace weft {

namespace fs = std::filesystem;

OutputFolder::OutputFolder(fs::path folder, TemporaryFiles& temporaries)
    : folder_(folder.empty() ? fs::path(".") : std::move(folder)), temporaries_(temporaries) {}

Status OutputFolder::make() {
  const std::lock_guard lock(mutex_);
  return make_locked();
}

Status OutputFolder::make_locked() {
  std::error_code error;
  if (fs::is_directory(folder_, error)) return {};
  std::vector<fs::path> missing;  // innermost first
  for (fs::path place = fs::absolute(folder_).lexically_normal(); !place.empty() && !fs::exists(place, error);
       place = place.parent_path()) {
    if (place.has_filename()) missing.push_back(place);
  }
  for (auto place = missing.rbegin(); place != missing.rend(); ++place) {
    if (fs::create_directory(*place, error)) created_.push_back(*place);
    if (error) return io_error("creating the output folder", *place, error.value());
  }
  if (!fs::is_directory(folder_, error)) return io_error("creating the output folder", folder_, ENOTDIR);
  return {};
}

Result<fs::path> OutputFolder::begin(std::string_view relative, const FileWriter& writer) {
  const std::lock_guard lock(mutex_);
  if (Status status = make_locked(); !status.ok()) return status;
  auto place = place_below(folder_, relative, created_);
  if (!place.ok()) return place;
  const auto [owner, fresh] = owners_.try_emplace(place->string(), writer);
  if (!fresh && owner->second != writer) {
    return Status(StatusCode::kAlreadyExists, "two nodes of this run write the same file")
        .at("path '" + std::string(relative) + "'")
        .got("node '" + *owner->second.node + "' and node '" + *writer.node + "'")
        .hint("give each its own path");
  }
  auto opened = temporaries_.open_beside(*place);
  if (!opened.ok()) return opened.status();
  ::close(opened->fd);  // the node opens it by name
  try {
    const fs::path root = fs::canonical(folder_);
    begun_[opened->path] = {*place, place->lexically_relative(root).generic_string(), writer};
  } catch (...) {
    temporaries_.remove(opened->path);
    throw;
  }
  return opened->path;
}

Result<OutputFolder::Committed> OutputFolder::commit(const fs::path& temporary, const FileWriter& writer) {
  Begun begun;
  {
    const std::lock_guard lock(mutex_);
    const auto found = begun_.find(temporary);
    if (found == begun_.end() || found->second.writer != writer) {
      return Status(StatusCode::kInvalidArgument, "not a temporary file that this request began")
          .at(temporary.string());
    }
    begun = std::move(found->second);
    begun_.erase(found);
  }
  struct Removal {  // whatever happens below; nothing is left to remove once it is published
    ~Removal() { temporaries.remove(path); }
    TemporaryFiles& temporaries;
    const fs::path& path;
  } const removal{temporaries_, temporary};
  // The node wrote through a descriptor of its own; what it wrote is synced through any.
  FileSystem& file_system = temporaries_.file_system();
  const int fd = file_system.open(temporary.c_str(), O_RDONLY | O_CLOEXEC, 0);
  Status status;
  if (fd < 0) {
    status = io_error("opening", begun.final_path, errno);
  } else {
    if (file_system.fsync(fd) != 0) status = io_error("syncing", begun.final_path, errno);
    if (file_system.close(fd) != 0 && status.ok()) status = io_error("closing", begun.final_path, errno);
  }
  if (!status.ok()) return status;
  if (status = temporaries_.publish(temporary, begun.final_path); !status.ok()) return status;
  std::error_code error;
  const uint64_t size = fs::file_size(begun.final_path, error);
  const std::lock_guard lock(mutex_);
  written_[begun.relative] = error ? 0 : size;
  return Committed{{begun.relative, error ? 0 : size}, begun.final_path};
}

size_t OutputFolder::discard(const FileWriter& writer) noexcept {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (auto it = begun_.begin(); it != begun_.end();) {
    if (it->second.writer != writer) {
      ++it;
      continue;
    }
    temporaries_.remove(it->first);
    it = begun_.erase(it);
    ++count;
  }
  return count;
}

void OutputFolder::remove_empty() noexcept {
  const std::lock_guard lock(mutex_);
  for (auto folder = created_.rbegin(); folder != created_.rend(); ++folder) ::rmdir(folder->c_str());
}

std::vector<WrittenFile> OutputFolder::written() const {
  const std::lock_guard lock(mutex_);
  std::vector<WrittenFile> files;
  for (const auto& [path, size] : written_) files.push_back({path, size});
  return files;
}

}  // namespace weft
