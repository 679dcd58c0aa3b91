/// The files of a recorded item, on their way from where a process wrote them into the folder of the batch.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_ITEM_FILES_H
#define WEFT_PIPELINE_BATCH_ITEM_FILES_H

#include <weft/sdk/status.h>

#include <filesystem>
#include <string>
#include <vector>

#include "pipeline/batch/item.h"
#include "pipeline/files/durable_file.h"

namespace weft {

/// Afterwards folder/items/NAME/ has every file with the recorded hash, durably: those that it lacks are copied from the
/// first of `places` whose items/NAME/ has them so.
/// Errors: kCorruptData if none has, naming the last one; kIoError.
Status bring_item_files(const std::string& item, const std::vector<ItemFile>& files,
                        const std::vector<std::filesystem::path>& places, const std::filesystem::path& folder,
                        TemporaryFiles& temporaries);

/// Moves from/items/NAME/, if it is there, to folder/items/NAME/ on the same disk, durably; what was there is replaced.
/// Errors: kIoError.
Status move_item_files(const std::string& item, const std::filesystem::path& from,
                       const std::filesystem::path& folder, FileSystem& file_system);

}  // namespace weft
#endif
