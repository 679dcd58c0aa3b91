/// The commands, one source file each.
#ifndef WEFT_PIPELINE_CLI_COMMANDS_COMMANDS_H
#define WEFT_PIPELINE_CLI_COMMANDS_COMMANDS_H

#include "pipeline/cli/command.h"

namespace weft::cli {

extern const Command kCacheCommand;
extern const Command kDoctorCommand;
extern const Command kModelsCommand;
extern const Command kNodesCommand;
extern const Command kPluginsCommand;

}  // namespace weft::cli
#endif
