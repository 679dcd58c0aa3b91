#include "modalities/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

namespace weft {
namespace {

StatusCode code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return StatusCode::kNotFound;
    case EACCES:
    case EPERM: return StatusCode::kPermissionDenied;
    case ENOMEM: return StatusCode::kOutOfMemory;
    default: return StatusCode::kIoError;
  }
}

Status failure(const char* what, int error, const std::filesystem::path& path) {
  return Status(code_of(error), std::string(what) + ": " + std::strerror(error)).at(path.string());
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe without a writer must fail below, not wait for one.
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return failure("cannot open the file", errno, path);
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return failure("cannot examine the file", errno, path);
  if (!S_ISREG(info.st_mode))
    return Status(StatusCode::kInvalidArgument, "not a regular file")
        .at(path.string())
        .expected("a model file");
  if (static_cast<uint64_t>(info.st_size) > std::numeric_limits<size_t>::max())
    return Status(StatusCode::kOutOfMemory, "the file is larger than the address space").at(path.string());

  MappedFile file;
  file.path_ = path;
  file.size_ = static_cast<size_t>(info.st_size);
  if (file.size_ == 0) return file;  // mmap refuses empty mappings
  void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    const int error = errno;
    file.size_ = 0;
    return failure("cannot map the file", error, path)
        .hint("ulimit -v, or the machine's address space, may be too small for " +
              std::to_string(info.st_size) + " bytes");
  }
  file.data_ = static_cast<const std::byte*>(data);
  file.fd_ = fd.release();
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fd_(std::exchange(other.fd_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(); }

void MappedFile::unmap() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  data_ = nullptr;
  size_ = 0;
}

void MappedFile::will_read(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data()) & ~(page - 1);
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size());
  ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_WILLNEED);
}

void MappedFile::drop_pages(std::span<const std::byte> part) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) & ~(page - 1);
  auto end = reinterpret_cast<uintptr_t>(part.data() + part.size());
  // The file's last page is ours alone, although the file ends within it.
  if (part.data() + part.size() != data_ + size_) end &= ~(page - 1);
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::copy(std::span<const std::byte> part, std::byte* to) const {
  size_t done = 0;
  while (done < part.size()) {
    const off_t offset = part.data() + done - data_;
    const ssize_t count = ::pread(fd_, to + done, part.size() - done, offset);
    if (count > 0) {
      done += static_cast<size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      std::memcpy(to + done, part.data() + done, part.size() - done);  // the mapping has the same bytes
      return;
    }
  }
}

}  // namespace weft
