/// The files that an item's inputs name: messages hold their paths and hashes, their content stays where it is.
///
/// Thread safety: const access from any thread.
#ifndef WEFT_PIPELINE_QUEUE_FILES_READ_H
#define WEFT_PIPELINE_QUEUE_FILES_READ_H

#include <weft/sdk/status.h>

#include <string>
#include <vector>

#include "pipeline/batch/item.h"
#include "pipeline/files/content_hash.h"
#include "pipeline/graph/graph.h"

namespace weft {

/// The files and folders that the item's inputs of type path and list<path> name and that exist, with their hashes; a
/// relative path starts at the pipeline's folder. What does not exist may be the name of something to be written.
/// inputs_json: an object. Errors: those of FileHashCache::sha256_of_tree.
Result<std::vector<ItemFile>> find_files_read(const Graph& graph, const std::string& inputs_json,
                                              const FileHashCache& hashes);

/// Whether they are here as they were. Errors: kNotFound and kVersionMismatch, with the path.
Status check_files_read(const Graph& graph, const std::vector<ItemFile>& files, const FileHashCache& hashes);

}  // namespace weft
#endif
