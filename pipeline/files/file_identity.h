/// Which file this is, without reading it.
///
/// Two files with equal identity hold equal bytes, unless someone sets clocks back or writes within one tick of the file
/// system's clock (settled_for says how to avoid that). Thread safety: values.
#ifndef WEFT_PIPELINE_FILES_FILE_IDENTITY_H
#define WEFT_PIPELINE_FILES_FILE_IDENTITY_H

#include <weft/sdk/status.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace weft {

struct FileIdentity {
  uint64_t device = 0, inode = 0, size_bytes = 0;
  int64_t modified_ns = 0, changed_ns = 0;  // since 1970; ctime catches what a tool that restores mtime hides
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Follows links. Errors: kNotFound, kPermissionDenied, kIoError; kInvalidArgument if it is not a regular file.
Result<FileIdentity> identify_file(const std::string& path);

/// True if the file was last changed longer ago than `age`: before that, a further write might not change its identity.
bool settled_for(const FileIdentity& identity, std::chrono::nanoseconds age);

}  // namespace weft
#endif
