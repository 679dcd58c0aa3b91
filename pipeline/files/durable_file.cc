#include "pipeline/files/durable_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

namespace weft {

int FileSystem::open(const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); }
ssize_t FileSystem::write(int fd, const void* data, size_t size) { return ::write(fd, data, size); }
int FileSystem::fsync(int fd) { return ::fsync(fd); }
int FileSystem::close(int fd) { return ::close(fd); }
int FileSystem::rename(const char* from, const char* to) { return ::rename(from, to); }
int FileSystem::unlink(const char* path) { return ::unlink(path); }

Status io_error(const std::string& operation, const std::filesystem::path& path, int error_number) {
  Status status(StatusCode::kIoError,
                operation + " failed: " + std::generic_category().message(error_number));
  if (error_number == ENOSPC || error_number == EDQUOT) {
    return std::move(status).at(path.string()).hint("free some space or choose another folder");
  }
  if (error_number == EACCES || error_number == EROFS) {
    return std::move(status).at(path.string()).hint("choose a folder that you may write");
  }
  return std::move(status).at(path.string());
}

namespace {

Status ending() { return Status(StatusCode::kCancelled, "the process is ending; no new files are begun"); }

}  // namespace

Status sync_folder(FileSystem& file_system, const std::filesystem::path& folder) {
  const std::string name = folder.empty() ? "." : folder.string();
  const int fd = file_system.open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return io_error("opening the folder", folder, errno);
  // Some file systems cannot sync a folder and say EINVAL: the rename is then as durable as they make it.
  const int result = file_system.fsync(fd) != 0 && errno != EINVAL ? errno : 0;
  file_system.close(fd);
  return result ? io_error("syncing the folder", folder, result) : Status();
}

TemporaryFiles::~TemporaryFiles() {
  for (const std::string& path : paths_) file_system_.unlink(path.c_str());
}

Result<TemporaryFiles::Opened> TemporaryFiles::open_beside(const std::filesystem::path& final_path) {
  // A long name is cut so that the temporary's name stays within the 255 bytes of a file system.
  const std::string stem = final_path.filename().string().substr(0, 200);
  const std::lock_guard lock(mutex_);
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (state_ == State::kClosed) return ending();
    const std::string name =
        "." + stem + "." + std::to_string(::getpid()) + "-" + std::to_string(next_++) + ".tmp";
    std::filesystem::path path = final_path.parent_path() / name;
    // Entered first and opened under the lock, so that no file is ever without its entry.
    const auto entry = paths_.insert(path.string()).first;
    const int fd =
        file_system_.open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd >= 0) return Opened{std::move(path), fd};
    const int error_number = errno;
    paths_.erase(entry);
    if (error_number != EEXIST) return io_error("creating a temporary file", path, error_number);
  }
  return Status(StatusCode::kIoError, "no free name for a temporary file").at(final_path.string());
}

Status TemporaryFiles::publish(const std::filesystem::path& temporary,
                               const std::filesystem::path& final_path, Sync sync) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kClosed) return ending();
    if (paths_.erase(temporary.native()) == 0) {
      return Status(StatusCode::kInvalidArgument, "not a temporary file of this run").at(temporary.string());
    }
    if (file_system_.rename(temporary.c_str(), final_path.c_str()) != 0) {
      const int error_number = errno;
      file_system_.unlink(temporary.c_str());
      return io_error("renaming the temporary file", final_path, error_number);
    }
  }
  return sync == Sync::kYes ? sync_folder(file_system_, final_path.parent_path()) : Status();
}

void TemporaryFiles::adopt(const std::filesystem::path& file) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kClosed) file_system_.unlink(file.c_str());
  else paths_.insert(file.string());
}

void TemporaryFiles::remove(const std::filesystem::path& temporary) noexcept {
  const std::lock_guard lock(mutex_);
  if (paths_.erase(temporary.native()) != 0) file_system_.unlink(temporary.c_str());
}

void TemporaryFiles::remove_all_and_close() noexcept {
  const std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  for (const std::string& path : paths_) file_system_.unlink(path.c_str());
  paths_.clear();
}

size_t TemporaryFiles::count() const {
  const std::lock_guard lock(mutex_);
  return paths_.size();
}

DurableFile::DurableFile(TemporaryFiles& temporaries, std::filesystem::path temporary,
                         std::filesystem::path final_path, int fd)
    : temporaries_(&temporaries),
      temporary_(std::move(temporary)),
      final_path_(std::move(final_path)),
      fd_(fd) {}

DurableFile::DurableFile(DurableFile&& other) noexcept
    : temporaries_(other.temporaries_),
      temporary_(std::exchange(other.temporary_, {})),
      final_path_(std::move(other.final_path_)),
      fd_(std::exchange(other.fd_, -1)) {}

DurableFile& DurableFile::operator=(DurableFile&& other) noexcept {
  if (this != &other) {
    discard();
    temporaries_ = other.temporaries_;
    temporary_ = std::exchange(other.temporary_, {});
    final_path_ = std::move(other.final_path_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

DurableFile::~DurableFile() { discard(); }

void DurableFile::discard() noexcept {
  if (fd_ >= 0) temporaries_->file_system().close(std::exchange(fd_, -1));
  if (!temporary_.empty()) temporaries_->remove(temporary_);
  temporary_.clear();
}

Result<DurableFile> DurableFile::create(TemporaryFiles& temporaries, std::filesystem::path final_path) {
  auto opened = temporaries.open_beside(final_path);
  if (!opened.ok()) return opened.status();
  return DurableFile(temporaries, std::move(opened->path), std::move(final_path), opened->fd);
}

Status DurableFile::write(std::string_view data) {
  while (!data.empty()) {
    const size_t piece =
        std::min<size_t>(data.size(), size_t{1} << 30);  // Linux writes at most 2 GiB at once
    const ssize_t written = temporaries_->file_system().write(fd_, data.data(), piece);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error("writing", final_path_, errno);
    if (written == 0) return io_error("writing", final_path_, ENOSPC);
    data.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status DurableFile::commit(Sync sync) {
  FileSystem& file_system = temporaries_->file_system();
  if (sync == Sync::kYes && file_system.fsync(fd_) != 0) {
    Status status = io_error("syncing", final_path_, errno);
    discard();
    return status;
  }
  if (file_system.close(std::exchange(fd_, -1)) != 0) {
    Status status = io_error("closing", final_path_, errno);
    discard();
    return status;
  }
  Status status = temporaries_->publish(temporary_, final_path_, sync);
  temporary_.clear();
  return status;
}

Status write_durably(TemporaryFiles& temporaries, const std::filesystem::path& path, std::string_view data) {
  auto file = DurableFile::create(temporaries, path);
  if (!file.ok()) return file.status();
  if (Status status = file->write(data); !status.ok()) return status;
  return file->commit();
}

}  // namespace weft
