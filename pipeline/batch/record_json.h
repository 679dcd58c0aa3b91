/// The columns of a record that hold JSON.
///
/// Thread safety: no shared state.
#ifndef WEFT_PIPELINE_BATCH_RECORD_JSON_H
#define WEFT_PIPELINE_BATCH_RECORD_JSON_H

#include <string>
#include <vector>

#include "pipeline/batch/item.h"

namespace weft {

/// {"code": "kIoError", "message": ..., "where": ...}, and back; an empty error for anything else.
std::string error_json(const Error& error);
Error error_from_json(const std::string& json);
/// {"node": {"seed": 7}}
std::string seeds_json(const std::vector<DrawnSeed>& seeds);
/// {"node": seconds}
std::string timings_json(const std::vector<NodeTiming>& timings);

}  // namespace weft
#endif
