/// A folder in the system's place for temporary files, removed with what it holds when its owner goes.
///
/// Ownership: move-only. Thread safety: none. A process that is killed leaves it behind.
///
///   Result<ScratchFolder> scratch = ScratchFolder::create("estimate");   // /tmp/weft-estimate-a1b2c3
#ifndef WEFT_PIPELINE_FILES_SCRATCH_FOLDER_H
#define WEFT_PIPELINE_FILES_SCRATCH_FOLDER_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <string>
#include <utility>

namespace weft {

class ScratchFolder {
 public:
  /// purpose: part of the name. Errors: kIoError.
  static Result<ScratchFolder> create(const std::string& purpose);
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder(const ScratchFolder&) = delete;
  ~ScratchFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace weft
#endif
