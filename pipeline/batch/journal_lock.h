/// The lock on a journal: one process runs a batch at a time. It ends with the process, however that ends.
///
/// Ownership: holds a file descriptor; the file stays. Thread safety: none.
///
///   Result<JournalLock> lock = JournalLock::take("out/journal.sqlite");   // out/journal.lock
#ifndef WEFT_PIPELINE_BATCH_JOURNAL_LOCK_H
#define WEFT_PIPELINE_BATCH_JOURNAL_LOCK_H

#include <weft/sdk/status.h>

#include <filesystem>

namespace weft {

class JournalLock {
 public:
  /// Errors: kAlreadyExists if another process holds it, kIoError.
  static Result<JournalLock> take(const std::filesystem::path& journal);
  /// Whether a process holds the lock of this journal.
  static bool is_taken(const std::filesystem::path& journal);

  JournalLock(JournalLock&& other) noexcept;
  JournalLock(const JournalLock&) = delete;
  ~JournalLock();

 private:
  explicit JournalLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace weft
#endif
