#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/command.h"

namespace weft::cli {
namespace {

constexpr const Command* kCommands[] = {
    &kRunCommand,    &kBatchCommand,     &kStatusCommand, &kReportCommand,   &kMergeCommand,
    &kSubmitCommand, &kWorkerCommand,    &kCancelCommand, &kValidateCommand, &kPlanCommand,
    &kGraphCommand,  &kChatCommand,      &kNodesCommand,  &kPluginsCommand,  &kModelsCommand,
    &kSchemaCommand, &kNewPluginCommand, &kCheckCommand,  &kVerifyCommand,   &kBenchCommand,
    &kCacheCommand,  &kDoctorCommand};

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  for (const Command* command : kCommands) {
    if (command->name == name) return command;
  }
  return nullptr;
}

}  // namespace weft::cli
