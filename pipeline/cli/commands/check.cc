/// weft check: the conformance suite for plugins.
#include "pipeline/check/check.h"

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"

namespace weft::cli {
namespace {

struct Options {
  std::vector<std::string> plugins, models;
  bool as_json = false;
};

int check(const Options& options) {
  CheckOptions settings = default_check_options();
  settings.models = options.models;
  int code = kSuccess;
  for (const std::string& path : options.plugins) {
    const CheckReport report = check_plugin(path, settings);
    print(options.as_json ? to_json(report) + "\n" : to_text(report));
    if (!report.passed()) code = kMismatch;
  }
  return code;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positionals("PLUGIN", options->plugins, 1, "Shared libraries");
  arguments.option("--model", options->models, "MODEL",
                   "A model file to try nodes with; may be given several times");
  arguments.flag("--json", options->as_json, "Print one JSON object a plugin");
  return [options] { return check(*options); };
}

}  // namespace

const Command kCheckCommand = {
    "check", "check a plugin against the contract",
    "Tries every node with inputs and parameters made up from its description, in child processes: wrong "
    "versions and "
    "metadata, exceptions, shapes, writes outside buffers, leaks, cancellation. Exit code 10 if something "
    "fails.",
    "weft check build/cpu/lib/weft/plugins/template.so\nweft check my_plugin.so --json", declare};

}  // namespace weft::cli
