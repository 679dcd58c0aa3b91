/// The values of pipeline inputs from the command line: --set name=value, name=@file, name=- for standard input.
#ifndef WEFT_PIPELINE_CLI_INPUT_VALUES_H
#define WEFT_PIPELINE_CLI_INPUT_VALUES_H

#include <weft/sdk/status.h>

#include <map>
#include <string>
#include <vector>

#include "pipeline/graph/graph.h"
#include "pipeline/run/run.h"

namespace weft::cli {

/// What the program takes from a file or standard input for one value, at most.
inline constexpr size_t kMaxInputBytes = size_t{256} << 20;

/// Reads each "name=..." of `settings`, as read_input_values, but without asking for inputs that are missing.
Result<std::map<std::string, InputValue>> read_settings(const Graph& graph,
                                                        const std::vector<std::string>& settings,
                                                        std::map<std::string, InputValue> known = {});

/// Reads each "name=..." of `settings`; a later one replaces an earlier one of that name. "@@" stands for a value that
/// begins with "@". A relative path given to an input of type "path" starts at the current folder, where the user is,
/// if the file is there; else, as in the pipeline, at the pipeline's. known: values of inputs that no setting gives.
/// Errors: kInvalidArgument for a malformed setting, a name that the pipeline does not have (with the nearest), standard
/// input used twice; kNotFound, kIoError, kOutOfRange for what cannot be read; and inputs that are missing, all at once.
Result<std::map<std::string, InputValue>> read_input_values(const Graph& graph,
                                                            const std::vector<std::string>& settings,
                                                            std::map<std::string, InputValue> known = {});

}  // namespace weft::cli
#endif
