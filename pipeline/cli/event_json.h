/// A run's events as JSON, one object a line: what `weft run --json` prints. Format: docs/events.md.
#ifndef WEFT_PIPELINE_CLI_EVENT_JSON_H
#define WEFT_PIPELINE_CLI_EVENT_JSON_H

#include <string>

#include "pipeline/run/events.h"
#include "pipeline/run/run.h"

namespace weft::cli {

/// One line with its line feed. Text that is not valid UTF-8 has its bad bytes replaced.
std::string event_line(const Event& event);
/// The last line of a run that succeeded, with every output whole.
std::string finished_line(const RunResult& result);
/// The last line of a run that did not.
std::string failed_line(const Error& error, int exit_code);

}  // namespace weft::cli
#endif
