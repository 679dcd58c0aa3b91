/// SHA-256 of texts, files and folders, and a cache of file hashes, so that a model of gigabytes is read
/// once.
///
/// The cache is a folder of small files named by (device, inode, size, mtime, ctime); an entry that does not
/// parse is a miss, and a folder that cannot be written is no error. Safe for several processes. Thread
/// safety: functions and const members from any thread.
#ifndef WEFT_PIPELINE_FILES_CONTENT_HASH_H
#define WEFT_PIPELINE_FILES_CONTENT_HASH_H

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include <weft/sdk/status.h>

namespace weft {

/// Accumulates bytes into a SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view data);
  /// 64 lower-case hexadecimal digits. Ends the accumulation.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of_text(std::string_view data);
/// Reads the file through. Errors: kNotFound, kIoError.
Result<std::string> sha256_of_file(const std::filesystem::path& path);

class FileHashCache {
 public:
  /// folder: created when first needed; empty: nothing is kept.
  explicit FileHashCache(std::filesystem::path folder);
  /// The hash of a file, from the cache if the file has not changed since. Errors: kNotFound, kIoError.
  Result<std::string> sha256(const std::filesystem::path& file) const;
  /// The hash of a file as above; of a folder, the SHA-256 over its regular files' relative paths and hashes,
  /// in byte order of the paths. Errors: kNotFound, kIoError, kOutOfRange for a folder of more than 10,000
  /// files.
  Result<std::string> sha256_of_tree(const std::filesystem::path& file_or_folder) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace weft
#endif
