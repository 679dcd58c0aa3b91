/// The commands, one source file each.
#ifndef WEFT_PIPELINE_CLI_COMMANDS_COMMANDS_H
#define WEFT_PIPELINE_CLI_COMMANDS_COMMANDS_H

#include "pipeline/cli/command.h"

namespace weft::cli {

extern const Command kBatchCommand;
extern const Command kBenchCommand;
extern const Command kCacheCommand;
extern const Command kCancelCommand;
extern const Command kChatCommand;
extern const Command kCheckCommand;
extern const Command kDoctorCommand;
extern const Command kGraphCommand;
extern const Command kMergeCommand;
extern const Command kModelsCommand;
extern const Command kNewPluginCommand;
extern const Command kNodesCommand;
extern const Command kPlanCommand;
extern const Command kPluginsCommand;
extern const Command kReportCommand;
extern const Command kRunCommand;
extern const Command kSchemaCommand;
extern const Command kStatusCommand;
extern const Command kSubmitCommand;
extern const Command kValidateCommand;
extern const Command kVerifyCommand;
extern const Command kWorkerCommand;

}  // namespace weft::cli
#endif
