#include "pipeline/loader/file_identity.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

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

class OpenFile {
 public:
  explicit OpenFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

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

Result<std::string> sha256_of_file(const std::string& path) {
  const OpenFile file(path);
  if (file.fd() < 0) return system_error(path, "cannot open the file");
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return Status(StatusCode::kInternal, "OpenSSL has no SHA-256");
  }
  std::vector<unsigned char> block(1 << 20);
  for (;;) {
    const ssize_t got = ::read(file.fd(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "cannot read the file");
    if (got == 0) break;
    EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(got));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context.get(), digest, &size);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

}  // namespace weft
