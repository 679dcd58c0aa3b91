/// Whether a folder's batch is run as a whole or in shards, so that no item is run by both, and what may lie in it besides.
///
/// A batch begins as one or the other; `weft merge` makes a whole of shards, which may still go on until the whole does.
/// Thread safety: no shared state; two processes that begin at the same moment do not see each other.
#ifndef WEFT_PIPELINE_BATCH_FOLDER_LAYOUT_H
#define WEFT_PIPELINE_BATCH_FOLDER_LAYOUT_H

#include <weft/sdk/status.h>

#include <filesystem>

#include "pipeline/batch/shard.h"

namespace weft {

/// A fact of the whole's journal, and its values: it runs items itself, or it only holds those of shards.
inline constexpr const char* kLayoutFact = "layout";
inline constexpr const char* kWholeLayout = "whole";
inline constexpr const char* kJoinedLayout = "joined";

/// Errors: kInvalidArgument for a shard of a batch that is run as a whole or in another number of shards, and for the whole
/// of shards that were not joined; kAlreadyExists for the whole while a shard runs.
Status check_layout(const std::filesystem::path& folder, const Shard& shard);

/// Errors: kInvalidArgument if pictures of items at work would come among the files of items. previews: empty for none.
Status check_preview_folder(const std::filesystem::path& previews, const std::filesystem::path& folder);

}  // namespace weft
#endif
