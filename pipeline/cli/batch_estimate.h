/// What `weft batch --dry-run` prints.
#ifndef WEFT_PIPELINE_CLI_BATCH_ESTIMATE_H
#define WEFT_PIPELINE_CLI_BATCH_ESTIMATE_H

#include <string>

#include "pipeline/batch/estimate.h"

namespace weft::cli {

/// Lines of a table, at most 80 columns wide.
std::string estimate_text(const BatchEstimate& estimate);
/// One JSON object with its line feed.
std::string estimate_line(const BatchEstimate& estimate);

}  // namespace weft::cli
#endif
