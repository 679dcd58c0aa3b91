#include "pipeline/files/file_identity.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace weft {
namespace {

Status system_error(const std::string& path, const char* action) {
  const int number = errno;
  StatusCode code = StatusCode::kIoError;
  if (number == ENOENT || number == ENOTDIR) code = StatusCode::kNotFound;
  if (number == EACCES || number == EPERM) code = StatusCode::kPermissionDenied;
  return Status(code, std::string(action) + ": " + std::strerror(number)).at(path);
}

int64_t nanoseconds(const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

}  // namespace

Result<FileIdentity> identify_file(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return system_error(path, "cannot look at the file");
  if (!S_ISREG(info.st_mode)) return Status(StatusCode::kInvalidArgument, "not a regular file").at(path);
  FileIdentity identity;
  identity.device = info.st_dev;
  identity.inode = info.st_ino;
  identity.size_bytes = static_cast<uint64_t>(info.st_size);
  identity.modified_ns = nanoseconds(info.st_mtim);
  identity.changed_ns = nanoseconds(info.st_ctim);
  return identity;
}

bool settled_for(const FileIdentity& identity, std::chrono::nanoseconds age) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - identity.changed_ns >
         age.count();
}

}  // namespace weft
