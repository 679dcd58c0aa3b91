/// Descriptions of plugins kept between processes, keyed by the identity of the library's file.
///
/// A folder of one small JSON file a library; each appears whole (temporary, rename), so that any number of processes
/// may share it. An entry that does not parse, was written by another version, or is of a file that has changed since is
/// a miss. Thread safety: any thread.
#ifndef WEFT_PIPELINE_LOADER_DESCRIPTOR_CACHE_H
#define WEFT_PIPELINE_LOADER_DESCRIPTOR_CACHE_H

#include <weft/sdk/status.h>

#include <optional>
#include <string>

#include "pipeline/loader/describe.h"

namespace weft {

class DescriptorCache {
 public:
  /// folder: created at the first store; empty: keeps nothing.
  explicit DescriptorCache(std::string folder) : folder_(std::move(folder)) {}

  /// The description of the library at `path`, if it is known and its file has `identity`.
  std::optional<Description> find(const std::string& path, const FileIdentity& identity) const;
  /// Does nothing for a file that was changed a moment ago: its next change might not show in its identity.
  /// Errors: kIoError; the caller goes on without.
  Status store(const Description& description) const;

 private:
  std::string entry_path(const std::string& path) const;
  void trim() const;

  std::string folder_;
};

}  // namespace weft
#endif
