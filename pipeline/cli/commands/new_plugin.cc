/// weft new-plugin: starts a plugin from the template.
#include "pipeline/new_plugin/new_plugin.h"

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

struct Options {
  std::string name, in = ".";
};

int start_plugin(const Options& options) {
  const Result<NewPlugin> plugin = new_plugin(options.name, options.in, default_template_folder());
  if (!plugin.ok()) {
    const int code = report_error(plugin.status());
    return plugin.code() == StatusCode::kInvalidArgument ? kUsage : code;
  }
  print("Made " + plugin->folder.string() + ":\n");
  for (const auto& file : plugin->files) print("  " + file.string() + "\n");
  print("\nNext:\n");
  for (const std::string& step : plugin->next_steps) print("  " + step + "\n");
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positional("NAME", options->name,
                       "Lower-case letters, digits and '_'; its folder, library and nodes are called so");
  arguments.option("--in", options->in, "FOLDER",
                   "Where the plugin's folder is made; default: the current one");
  return [options] { return start_plugin(*options); };
}

}  // namespace

const Command kNewPluginCommand = {"new-plugin", "start a plugin that builds, passes the check and runs",
                                   "See docs/write_a_plugin.md.",
                                   "weft new-plugin sharpen\nweft new-plugin sharpen --in ~/src", declare};

}  // namespace weft::cli
