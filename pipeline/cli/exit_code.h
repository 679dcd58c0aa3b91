/// What the program's exit code says; docs/exit_codes.md lists them for users. Never above 125 except kInterrupted,
/// which is the shell's convention for SIGINT, so that `timeout`, `env` and `xargs` are not mistaken for Weft.
#ifndef WEFT_PIPELINE_CLI_EXIT_CODE_H
#define WEFT_PIPELINE_CLI_EXIT_CODE_H

#include <weft/sdk/status.h>

namespace weft::cli {

enum ExitCode : int {
  kSuccess = 0,
  kFailure = 1,          // a node failed, or anything that has no code of its own
  kUsage = 2,            // unknown command or option, a value that the option cannot take
  kInvalidPipeline = 3,  // the pipeline file has errors
  kNotFound = 4,         // a file, model, plugin or name that does not exist
  kDoesNotFit = 5,       // more memory than --max-memory or the machine has
  kBadData = 6,          // a file that is corrupt or of a kind that this build does not read
  kRefused = 7,          // a path outside the output folder, missing rights
  kInputOutput = 8,      // reading or writing failed: full disk, closed pipe
  kTimedOut = 9,
  kMismatch = 10,      // verify: not what the manifest says; check: the plugin breaks the contract
  kDeviceLost = 11,    // a GPU that ended its work with a fault
  kInternal = 70,      // a bug in Weft
  kInterrupted = 130,  // Ctrl-C
};

ExitCode exit_code_for(StatusCode code);
/// The same before a run: an invalid argument is then a value that was given on the command line, since the pipeline
/// itself has been checked.
ExitCode exit_code_before_run(StatusCode code);

}  // namespace weft::cli
#endif
