/// The output folder of one run: who writes what, under which temporary name, and what was completed.
///
/// The folder is made when the first file is begun. A path belongs to the (node, element) that begins it first: another
/// one is refused, since which of the two would win depended on timing; a retry of the same one replaces it.
/// Ownership: refers to a TemporaryFiles that outlives it. Thread safety: any thread.
#ifndef WEFT_PIPELINE_RUN_OUTPUT_FOLDER_H
#define WEFT_PIPELINE_RUN_OUTPUT_FOLDER_H

#include <weft/sdk/status.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/files/durable_file.h"

namespace weft {

/// Who writes a file: an element of a node.
struct FileWriter {
  const std::string* node = nullptr;  // its path in the pipeline; outlives the folder
  uint64_t element = 0;               // with the elements of the subgraphs around it mixed in
  friend bool operator==(const FileWriter&, const FileWriter&) = default;
};

struct WrittenFile {
  std::string path;  // relative to the folder
  uint64_t size_bytes = 0;
};

class OutputFolder {
 public:
  OutputFolder(std::filesystem::path folder, TemporaryFiles& temporaries);

  /// The temporary to write.
  /// Errors: those of place_below; kAlreadyExists if another writer of this run has the path; kIoError.
  Result<std::filesystem::path> begin(std::string_view relative, const FileWriter& writer);
  struct Committed {
    WrittenFile file;
    std::filesystem::path final_path;
  };
  /// Errors: kInvalidArgument if `temporary` was not begun by `writer`, kIoError.
  Result<Committed> commit(const std::filesystem::path& temporary, const FileWriter& writer);
  /// Removes what `writer` began and did not commit; how many they were.
  size_t discard(const FileWriter& writer) noexcept;
  /// Makes the folder, for files that are not a node's. Errors: kIoError.
  Status make();
  /// Removes the folders that this run made and that are still empty.
  void remove_empty() noexcept;

  const std::filesystem::path& path() const { return folder_; }
  std::vector<WrittenFile> written() const;  // by path

 private:
  Status make_locked();

  const std::filesystem::path folder_;
  TemporaryFiles& temporaries_;
  mutable std::mutex mutex_;
  struct Begun {
    std::filesystem::path final_path;
    std::string relative;
    FileWriter writer;
  };
  std::map<std::filesystem::path, Begun> begun_;  // by temporary
  std::map<std::string, FileWriter> owners_;      // final path to writer
  std::map<std::string, uint64_t> written_;       // relative path to size
  std::vector<std::filesystem::path> created_;    // folders, outermost first
};

}  // namespace weft
#endif
