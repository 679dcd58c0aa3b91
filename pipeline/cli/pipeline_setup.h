/// What `run` and `plan` do alike before they prepare a pipeline: read it, fill in its inputs, make a display and a host.
///
/// Ownership: the Cancellation outlives the setup; options refer to the file's graph. Thread safety: one thread.
///
///   PipelineSetup setup;
///   if (const auto code = set_up(pipeline, settings, host_settings, messages, cancellation, setup)) return *code;
#ifndef WEFT_PIPELINE_CLI_PIPELINE_SETUP_H
#define WEFT_PIPELINE_CLI_PIPELINE_SETUP_H

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/cli/pipeline_file.h"
#include "pipeline/cli/run_display.h"
#include "pipeline/cli/run_session.h"

namespace weft::cli {

struct PipelineSetup {
  PipelineFile file;
  std::optional<RunDisplay> display;
  RunOptions options;
  std::unique_ptr<Host> host;  // logs to the display
};

/// settings: of --set. Returns an exit code, its reason printed, or nothing where all is well.
std::optional<int> set_up(const std::string& pipeline, const std::vector<std::string>& settings,
                          const HostSettings& host_settings, Messages messages, Cancellation& cancellation,
                          PipelineSetup& setup);

}  // namespace weft::cli
#endif
