/// A regular file mapped read-only into memory.
///
/// Ownership: move-only; the mapping lives as long as the object, and every view into it dies with it. The
/// file may be renamed, replaced or unlinked while it is mapped. It must not be truncated in place: reading a
/// page that is gone raises SIGBUS, as with every mapped file; replace model files by renaming a new one over
/// them. Thread safety: const members may be called from any thread.
#ifndef WEFT_MODALITIES_WEIGHTS_MAPPED_FILE_H
#define WEFT_MODALITIES_WEIGHTS_MAPPED_FILE_H

#include <weft/sdk/status.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace weft {

class MappedFile {
 public:
  /// Maps the whole of a regular file; reads nothing yet.
  /// Errors: kNotFound, kPermissionDenied, kInvalidArgument (a folder, a pipe, a device), kIoError,
  /// kOutOfMemory (no address space left).
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  /// The file's bytes; empty for an empty file.
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Tells the system that these bytes will be read soon, front to back. Advice only; never fails.
  void will_read(std::span<const std::byte> part) const;
  /// Gives back the memory of the pages that lie wholly within `part`; a later access reads them from the
  /// file again. For weights that have been packed into another form. Advice only; never fails.
  void drop_pages(std::span<const std::byte> part) const;
  /// Copies `part` of bytes() to `to` with a read, so that none of the mapping becomes resident: where single rows of a large
  /// table are wanted, the system would map sixteen pages around each. Thread safety: any thread.
  void copy(std::span<const std::byte> part, std::byte* to) const;

 private:
  MappedFile() = default;
  void unmap();

  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;
};

}  // namespace weft
#endif
