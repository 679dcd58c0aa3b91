/// weft nodes: node types with ports, parameters, types, ranges, defaults and units, from the plugins' descriptors.
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "pipeline/cli/commands/commands.h"
#include "pipeline/cli/exit_code.h"
#include "pipeline/cli/report.h"
#include "pipeline/cli/terminal.h"
#include "pipeline/graph/diagnostic.h"
#include "pipeline/loader/scan.h"

namespace weft::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Flag {
  uint32_t bit;
  const char* name;
};
constexpr Flag kFlags[] = {{WEFT_NODE_PURE, "pure"},
                           {WEFT_NODE_READS_FILES, "reads files"},
                           {WEFT_NODE_WRITES_FILES, "writes files"},
                           {WEFT_NODE_USES_NETWORK, "uses the network"},
                           {WEFT_NODE_NONDETERMINISTIC, "not deterministic"},
                           {WEFT_NODE_EXTRA_INPUTS, "takes further inputs of any name"},
                           {WEFT_NODE_EXTRA_OUTPUTS, "makes further outputs that a pipeline names"}};

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, std::floor(value) == value && std::fabs(value) < 1e15 ? "%.0f" : "%.10g",
                value);
  return text;
}

/// "0 to 1", "at least 1", "" for no bounds.
std::string range(const ParameterDescriptor& parameter) {
  const bool low = std::isfinite(parameter.minimum), high = std::isfinite(parameter.maximum);
  if (parameter.type != "int" && parameter.type != "float" && parameter.type != "list<int>" &&
      parameter.type != "list<float>")
    return "";
  if (low && high) return number(parameter.minimum) + " to " + number(parameter.maximum);
  if (low) return "at least " + number(parameter.minimum);
  if (high) return "at most " + number(parameter.maximum);
  return "";
}

std::string parameter_facts(const ParameterDescriptor& parameter) {
  std::string text = parameter.type;
  if (!parameter.unit.empty()) text += " in " + parameter.unit;
  if (const std::string bounds = range(parameter); !bounds.empty()) text += ", " + bounds;
  if (!parameter.choices.empty()) {
    text += parameter.type == "model" ? " of type" : ":";
    for (size_t i = 0; i < parameter.choices.size(); ++i)
      text += (i > 0 ? " | " : " ") + parameter.choices[i];
  }
  if (parameter.default_json) return text + ", default " + *parameter.default_json;
  return text + (parameter.optional ? ", optional" : ", required");
}

void print_entry(const std::string& name, const std::string& facts, const std::string& help, size_t width) {
  std::string left = "  " + name;
  left.resize(std::max<size_t>(left.size() + 2, 22), ' ');
  print(wrap(left + facts + (help.empty() ? "" : ". " + help), width, 24) + "\n");
}

void print_node(const Catalog::NodeEntry& entry, size_t width) {
  const NodeTypeDescriptor& node = *entry.node;
  print(wrap(node.name + ": " + node.help, width, 2) + "\n");
  std::string flags;
  for (const Flag& flag : kFlags) {
    if (node.has(flag.bit)) flags += (flags.empty() ? "" : ", ") + std::string(flag.name);
  }
  print(wrap("  plugin " + entry.plugin->name + " " + entry.plugin->version + ", version " +
                 std::to_string(node.version) + (flags.empty() ? "" : "; " + flags),
             width, 2) +
        "\n");
  if (!node.inputs.empty()) print("\nInputs:\n");
  for (const PortDescriptor& port : node.inputs)
    print_entry(port.name, port.type + (port.optional ? ", optional" : ""), port.help, width);
  if (!node.outputs.empty()) print("\nOutputs:\n");
  for (const PortDescriptor& port : node.outputs) print_entry(port.name, port.type, port.help, width);
  if (!node.parameters.empty()) print("\nParameters:\n");
  for (const ParameterDescriptor& parameter : node.parameters) {
    print_entry(parameter.name, parameter_facts(parameter), parameter.help, width);
  }
}

Json port_json(const PortDescriptor& port) {
  return {{"name", port.name}, {"type", port.type}, {"optional", port.optional}, {"help", port.help}};
}

Json parameter_json(const ParameterDescriptor& parameter) {
  Json json{{"name", parameter.name},
            {"type", parameter.type},
            {"required", !parameter.optional && !parameter.default_json}};
  if (parameter.default_json) json["default"] = Json::parse(*parameter.default_json, nullptr, false);
  if (!range(parameter).empty()) {
    if (std::isfinite(parameter.minimum)) json["minimum"] = parameter.minimum;
    if (std::isfinite(parameter.maximum)) json["maximum"] = parameter.maximum;
  }
  if (!parameter.choices.empty())
    json[parameter.type == "model" ? "model_types" : "choices"] = parameter.choices;
  if (!parameter.unit.empty()) json["unit"] = parameter.unit;
  json["per_request"] = parameter.per_request;
  json["help"] = parameter.help;
  return json;
}

Json node_json(const Catalog::NodeEntry& entry) {
  const NodeTypeDescriptor& node = *entry.node;
  Json json{{"name", node.name},        {"plugin", entry.plugin->name}, {"version", node.version},
            {"help", node.help},        {"flags", Json::array()},       {"inputs", Json::array()},
            {"outputs", Json::array()}, {"parameters", Json::array()}};
  for (const Flag& flag : kFlags) {
    if (node.has(flag.bit)) json["flags"].push_back(flag.name);
  }
  for (const PortDescriptor& port : node.inputs) json["inputs"].push_back(port_json(port));
  for (const PortDescriptor& port : node.outputs) json["outputs"].push_back(port_json(port));
  for (const ParameterDescriptor& parameter : node.parameters)
    json["parameters"].push_back(parameter_json(parameter));
  return json;
}

struct Options {
  std::vector<std::string> names;
  bool as_json = false;
};

int nodes(const Options& options) {
  std::vector<std::string> warnings;
  const Catalog catalog = scan_plugins(default_scan_options(), &warnings);
  for (const std::string& warning : warnings) report_warning(warning);
  for (const PluginProblem& problem : catalog.problems())
    report_warning("left out: " + problem.path + ": " + problem.reason);

  const std::vector<std::string> known = catalog.node_names();
  for (const std::string& name : options.names) {
    if (catalog.find_node(name).node != nullptr) continue;
    const std::string near = nearest_name(name, known);
    return report_error(Error{StatusCode::kNotFound,
                              "no plugin has a node type '" + name + "'",
                              {},
                              {},
                              {},
                              near.empty() ? "weft nodes lists them all" : "did you mean " + near + "?"});
  }
  const Terminal terminal(STDOUT_FILENO);
  const size_t width = terminal.interactive() ? terminal.width() : 100;
  if (options.as_json) {
    Json json = Json::array();
    for (const std::string& name : options.names.empty() ? known : options.names)
      json.push_back(node_json(catalog.find_node(name)));
    print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (options.names.empty()) {
    for (const std::string& name : known) {
      std::string left = name;
      left.resize(std::max<size_t>(left.size() + 2, 22), ' ');
      print(wrap(left + catalog.find_node(name).node->help, width, 22) + "\n");
    }
  } else {
    for (size_t i = 0; i < options.names.size(); ++i) {
      if (i > 0) print("\n");
      print_node(catalog.find_node(options.names[i]), width);
    }
  }
  return kSuccess;
}

std::function<int()> declare(Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.positionals("NODE", options->names, 0, "Node types to describe in full; none: a list of all");
  arguments.flag("--json", options->as_json, "Print a JSON array, always in full");
  return [options] { return nodes(*options); };
}

}  // namespace

const Command kNodesCommand = {
    "nodes", "node types: ports, parameters, ranges, defaults, units", "",
    "weft nodes\nweft nodes text.generate\nweft nodes text.generate text.choose --json", declare};

}  // namespace weft::cli
