/// A batch as a page to look at: pictures, texts, parameters and timings of every item, failures with their reasons.
///
/// The page is one HTML file in the output folder that needs nothing from elsewhere: its style is in it, pictures are
/// referred to by relative paths. Beyond kItemsPerPage items it goes on in report-2.html and so on.
/// Thread safety: one thread.
#ifndef WEFT_PIPELINE_BATCH_REPORT_H
#define WEFT_PIPELINE_BATCH_REPORT_H

#include <weft/sdk/status.h>

#include <filesystem>

#include "pipeline/files/durable_file.h"

namespace weft {

inline constexpr size_t kItemsPerPage = 500;

struct WrittenReport {
  std::filesystem::path page;  // the first
  size_t n_pages = 0, n_items = 0;
};

/// folder: of a batch, running or not; of shards, all of them in turn. Errors: kNotFound, kCorruptData, kIoError.
Result<WrittenReport> write_report(const std::filesystem::path& folder, TemporaryFiles& temporaries);

}  // namespace weft
#endif
