/// weft plugins: the plugins found, and those that were left out, with the reason.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/terminal.h"
#include "pipeline/loader/scan.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

void print_json(const Catalog& catalog) {
  Json json{{"plugins", Json::array()}, {"problems", Json::array()}};
  for (const PluginDescriptor& plugin : catalog.plugins()) {
    Json nodes = Json::array(), models = Json::array();
    for (const NodeTypeDescriptor& node : plugin.nodes) nodes.push_back(node.name);
    for (const ModelTypeDescriptor& model : plugin.models) models.push_back(model.name);
    json["plugins"].push_back({{"name", plugin.name},
                               {"version", plugin.version},
                               {"license", plugin.license},
                               {"help", plugin.help},
                               {"path", plugin.path},
                               {"sha256", plugin.sha256},
                               {"nodes", nodes},
                               {"models", models}});
  }
  for (const PluginProblem& problem : catalog.problems()) {
    json["problems"].push_back({{"path", problem.path}, {"reason", problem.reason}});
  }
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void print_text(const Catalog& catalog, const std::vector<std::string>& folders) {
  const Terminal terminal(STDOUT_FILENO);
  const size_t width = terminal.interactive() ? terminal.width() : 100;
  for (const PluginDescriptor& plugin : catalog.plugins()) {
    print(plugin.name + " " + plugin.version + "  (" + plugin.license + ")\n");
    if (!plugin.help.empty()) print(wrap("  " + plugin.help, width, 2) + "\n");
    print("  " + plugin.path + "\n");
    std::string names;
    for (const NodeTypeDescriptor& node : plugin.nodes) names += " " + node.name;
    print(wrap("  nodes:" + names, width, 9) + "\n");
  }
  if (catalog.plugins().empty()) {
    print("No plugins found in:\n");
    for (const std::string& folder : folders) print("  " + folder + "\n");
  }
  for (const PluginProblem& problem : catalog.problems()) {
    print("\nleft out: " + problem.path + "\n");
    print_wrapped("  " + problem.reason, 4);
  }
}

std::function<int()> declare(Arguments& arguments) {
  auto as_json = std::make_shared<bool>(false);
  arguments.flag("--json", *as_json, "Print one JSON object");
  return [as_json] {
    const ScanOptions options = default_scan_options();
    std::vector<std::string> warnings;
    const Catalog catalog = scan_plugins(options, &warnings);
    for (const std::string& warning : warnings) report_warning(warning);
    if (*as_json) {
      print_json(catalog);
    } else {
      print_text(catalog, options.folders);
    }
    return kSuccess;
  };
}

}  // namespace

const Command kPluginsCommand = {"plugins", "the plugins found, and those left out with the reason",
                                 "Folders, in order: those in WEFT_PLUGINS, "
                                 "${XDG_DATA_HOME:-~/.local/share}/weft/plugins, and lib/weft/plugins beside "
                                 "the program. A broken plugin is left out; the others work.",
                                 "weft plugins\nweft plugins --json\nWEFT_PLUGINS=$PWD/build weft plugins",
                                 declare};

}  // namespace weft::cli
