/// Files that appear complete or not at all: written under a temporary name beside the final place, synced,
/// renamed, and the folder synced. A temporary never outlives its writer: it is removed by the destructor,
/// and by TemporaryFiles::remove_all_and_close() when the process has to end at once.
///
/// Every call to the system goes through a FileSystem, so that tests can fail the Nth one.
/// Ownership: DurableFile is move-only and refers to a TemporaryFiles and a FileSystem that outlive it.
/// Thread safety: TemporaryFiles and FileSystem from any thread; a DurableFile from one thread at a time.
///
///   Result<DurableFile> file = DurableFile::create(temporaries, "out/poem.txt");
///   if (file.ok()) status = file->write(text); if (status.ok()) status = file->commit();
#ifndef WEFT_PIPELINE_FILES_DURABLE_FILE_H
#define WEFT_PIPELINE_FILES_DURABLE_FILE_H

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include <weft/sdk/status.h>

namespace weft {

/// kNo: after a power failure the file may be there with other content. For caches whose entries carry a checksum: a
/// sync takes milliseconds.
enum class Sync { kYes, kNo };

/// The system calls that writing needs. Each returns what the call returns and sets errno.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual int open(const char* path, int flags, mode_t mode);
  virtual ssize_t write(int fd, const void* data, size_t size);
  virtual int fsync(int fd);
  virtual int close(int fd);
  virtual int rename(const char* from, const char* to);
  virtual int unlink(const char* path);
};

/// The temporaries that exist now.
class TemporaryFiles {
 public:
  explicit TemporaryFiles(FileSystem& file_system) : file_system_(file_system) {}
  ~TemporaryFiles();
  TemporaryFiles(const TemporaryFiles&) = delete;
  TemporaryFiles& operator=(const TemporaryFiles&) = delete;

  struct Opened {
    std::filesystem::path path;
    int fd = -1;
  };
  /// Creates an empty file with a free name beside `final_path`, mode 0666 less the umask. The caller closes
  /// fd. Errors: kIoError; kCancelled once closed.
  Result<Opened> open_beside(const std::filesystem::path& final_path);
  /// Renames a temporary of this registry to its final place and, for kYes, syncs the folder. Errors: kIoError (the
  /// temporary is removed), kCancelled once closed.
  Status publish(const std::filesystem::path& temporary, const std::filesystem::path& final_path,
                 Sync sync = Sync::kYes);
  /// A file at its final place that is to go with this process: a temporary from now on.
  void adopt(const std::filesystem::path& file);
  /// Removes a temporary; nothing if it is not one of these.
  void remove(const std::filesystem::path& temporary) noexcept;
  /// Removes every temporary and refuses new ones: for a process that is about to end. Never waits for a
  /// write.
  void remove_all_and_close() noexcept;
  size_t count() const;
  FileSystem& file_system() { return file_system_; }

 private:
  FileSystem& file_system_;
  mutable std::mutex mutex_;
  std::set<std::string> paths_;
  uint64_t next_ = 0;
  enum class State { kOpen, kClosed } state_ = State::kOpen;
};

class DurableFile {
 public:
  /// The folder must exist. Errors: kIoError, kCancelled.
  static Result<DurableFile> create(TemporaryFiles& temporaries, std::filesystem::path final_path);
  DurableFile(DurableFile&& other) noexcept;
  DurableFile& operator=(DurableFile&& other) noexcept;
  ~DurableFile();

  const std::filesystem::path& temporary() const { return temporary_; }
  /// Appends all of `data`. Errors: kIoError, naming the file and what the system said.
  Status write(std::string_view data);
  /// Syncs, closes and renames; the file is at its final place when this succeeds. Errors: kIoError,
  /// kCancelled; the temporary is then removed. Precondition: not committed before.
  Status commit(Sync sync = Sync::kYes);

 private:
  DurableFile(TemporaryFiles& temporaries, std::filesystem::path temporary, std::filesystem::path final_path,
              int fd);
  void discard() noexcept;

  TemporaryFiles* temporaries_;
  std::filesystem::path temporary_, final_path_;
  int fd_ = -1;
};

/// Writes `data` at `path` in one go, as a DurableFile.
Status write_durably(TemporaryFiles& temporaries, const std::filesystem::path& path, std::string_view data);

/// Makes the names in a folder durable: of files created, renamed or removed there. Errors: kIoError.
Status sync_folder(FileSystem& file_system, const std::filesystem::path& folder);

/// kIoError with the file, the operation and the system's words for `error_number`; a full disk gets a hint.
Status io_error(const std::string& operation, const std::filesystem::path& path, int error_number);

}  // namespace weft
#endif
