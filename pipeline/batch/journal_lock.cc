#include "pipeline/batch/journal_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "pipeline/files/durable_file.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

fs::path lock_of(const fs::path& journal) { return fs::path(journal).replace_extension(".lock"); }

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

Result<JournalLock> JournalLock::take(const fs::path& journal) {
  const fs::path file = lock_of(journal);
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return io_error("creating the lock of the journal", file, errno);
  JournalLock lock(fd);
  struct flock whole = whole_file();
  if (::fcntl(fd, F_OFD_SETLK, &whole) == 0) return lock;
  if (errno != EAGAIN && errno != EACCES) return io_error("locking the journal", file, errno);
  return Status(StatusCode::kAlreadyExists, "another process runs this batch")
      .at(file.string())
      .hint("`weft status` says how far it is; wait for it or choose another --out");
}

bool JournalLock::is_taken(const fs::path& journal) {
  const int fd = ::open(lock_of(journal).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock other = whole_file();
  const bool taken = ::fcntl(fd, F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK;
  ::close(fd);
  return taken;
}

JournalLock::JournalLock(JournalLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

JournalLock::~JournalLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace weft
