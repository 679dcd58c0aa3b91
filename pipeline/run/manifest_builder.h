/// Gathers a Manifest from a run that has succeeded; private to run/.
#ifndef WEFT_PIPELINE_RUN_MANIFEST_BUILDER_H
#define WEFT_PIPELINE_RUN_MANIFEST_BUILDER_H

#include <chrono>
#include <string>
#include <unordered_set>
#include <vector>

#include "pipeline/run/manifest.h"
#include "pipeline/run/run_state.h"

namespace weft {

class OutputFolder;

/// input_files: absolute paths that nodes read. Hashes everything that has not been hashed yet.
/// Errors: kIoError, kNotFound for a file that went away meanwhile.
Result<Manifest> build_manifest(const PreparedRun::State& state, const ItemValues& item,
                                const RunOptions& options, const std::unordered_set<std::string>& input_files,
                                const OutputFolder& folder, const std::vector<Value>& outputs,
                                const RunResult& result, std::chrono::system_clock::time_point started);

}  // namespace weft
#endif
