/// Which paths a pipeline may write: only below its output folder, whatever a template, an item or a model's
/// text says.
///
/// Thread safety: no shared state. A folder that another process swaps for a link between the check and the
/// write is outside what this guards against.
#ifndef WEFT_PIPELINE_FILES_PATH_POLICY_H
#define WEFT_PIPELINE_FILES_PATH_POLICY_H

#include <filesystem>
#include <string_view>
#include <vector>

#include <weft/sdk/status.h>

namespace weft {

/// The place of `relative` below `folder`, an existing folder, with the folders between created; those that
/// were made are appended to `created`, outermost first. Errors: kPermissionDenied for an absolute path, a
/// ".." part, a link that leaves the folder, a final place that is a link or a folder, or a control
/// character; kInvalidArgument for an empty path or a part longer than 255 bytes; kIoError.
Result<std::filesystem::path> place_below(const std::filesystem::path& folder, std::string_view relative,
                                          std::vector<std::filesystem::path>& created);

}  // namespace weft
#endif
