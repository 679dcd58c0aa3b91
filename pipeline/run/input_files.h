/// Which input files a run may read, and where they are: for requests, and for nodes that look at a file before the run.
///
/// Thread safety: free functions from any thread; of KnownFiles, each thread sees the scope that it opened itself.
#ifndef WEFT_PIPELINE_RUN_INPUT_FILES_H
#define WEFT_PIPELINE_RUN_INPUT_FILES_H

#include <weft/abi/draft/known_files.h>
#include <weft/sdk/status.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

namespace weft {

/// The canonical path of an existing file, or of a folder where `path` ends with "/". Relative paths start at `folder`.
/// Errors: kInvalidArgument, kNotFound, kPermissionDenied.
Result<std::filesystem::path> find_input(const std::string& path, const std::filesystem::path& folder);
/// readable: of RunOptions. Errors: kPermissionDenied.
Status check_readable(const std::optional<std::set<std::string>>& readable,
                      const std::filesystem::path& canonical);

/// The extension weft.known_files/1 of a host.
class KnownFiles {
 public:
  KnownFiles();
  KnownFiles(const KnownFiles&) = delete;
  KnownFiles& operator=(const KnownFiles&) = delete;

  const weft_known_files_api* api() const { return &api_; }

  /// While it lives, nodes that this thread creates and prepares find files as a run from `folder` will. What it refers to
  /// outlives it.
  class Scope {
   public:
    Scope(KnownFiles& files, const std::filesystem::path& folder,
          const std::optional<std::set<std::string>>& readable);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    friend class KnownFiles;
    KnownFiles& files_;
    const std::filesystem::path& folder_;
    const std::optional<std::set<std::string>>& readable_;
    const Scope* around_;  // of the same thread; null: none
  };

 private:
  Result<std::filesystem::path> resolve(const char* path) const;

  weft_known_files_api api_{};
  mutable std::mutex mutex_;
  std::map<std::thread::id, const Scope*> scopes_;
};

/// Into a plugin's buffer, NUL-terminated. Errors: kOutOfRange.
Status copy_path(const std::filesystem::path& path, char* to, size_t capacity);

}  // namespace weft
#endif
