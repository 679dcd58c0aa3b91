/// Whether a folder takes files at all, asked after an item has failed to write: if not, the next ones would fail alike.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_DISK_PROBE_H
#define WEFT_PIPELINE_BATCH_DISK_PROBE_H

#include <weft/sdk/status.h>

#include <filesystem>

#include "pipeline/files/durable_file.h"

namespace weft {

/// The beginning of the name of what it writes and removes again.
inline constexpr const char* kDiskProbeName = "disk-probe";

/// Errors: kIoError with what the system says.
Status probe_disk(TemporaryFiles& temporaries, const std::filesystem::path& folder);

}  // namespace weft
#endif
