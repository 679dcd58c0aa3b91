// The rules of the contract that a descriptor's data must keep (docs/abi.md lists them).

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "pipeline/loader/describe.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

using Json = nlohmann::json;

constexpr const char* kPortTypes =
    "bool, int, float, text, json, path, bytes, tensor, image, any, 'plugin.name', or list<one of them>";
constexpr const char* kParameterTypes =
    "bool, int, float, text, path, choice, json, seed, model, device, list<text>, list<int> or list<float>";
constexpr const char* kIdentifier = "lower-case letters, digits and '_', a letter first";
constexpr const char* kDottedName = "a group, a dot, a name, such as 'text.generate'";

class Validator {
 public:
  std::vector<Error> problems;

  void report(const std::string& where, std::string message, std::string expected = {},
              std::string got = {}) {
    problems.push_back(
        {StatusCode::kInvalidArgument, std::move(message), where, std::move(expected), std::move(got), {}});
  }

  void require_text(const std::string& text, const std::string& where, const char* field) {
    if (text.empty()) report(where, std::string(field) + " is missing", "text");
  }

  void plugin(const PluginDescriptor& plugin) {
    const std::string where = "plugin";
    if (!is_identifier(plugin.name))
      report(where, "the name is malformed or missing", kIdentifier, "'" + plugin.name + "'");
    if (!is_version(plugin.version))
      report(where, "the version is malformed or missing", "1.2.3 or 1.2.3-suffix",
             "'" + plugin.version + "'");
    require_text(plugin.license, where, "license");
    require_text(plugin.help, where, "help");
    if (plugin.nodes.empty() && plugin.models.empty()) report(where, "offers no node and no model");
    std::set<std::string> seen;
    for (const NodeTypeDescriptor& type : plugin.nodes) {
      if (!seen.insert(type.name).second) report("node '" + type.name + "'", "is there twice");
      node(type);
    }
    seen.clear();
    for (const ModelTypeDescriptor& type : plugin.models) {
      if (!seen.insert(type.name).second) report("model '" + type.name + "'", "is there twice");
      model(type);
    }
    own_port_types(plugin);
  }

 private:
  static bool is_version(const std::string& version) {
    int dots = 0;
    size_t i = 0;
    for (bool digit = false; i < version.size() && version[i] != '-' && version[i] != '+'; ++i) {
      if (version[i] >= '0' && version[i] <= '9') {
        digit = true;
      } else if (version[i] == '.' && digit && ++dots <= 2) {
        digit = false;
      } else {
        return false;
      }
    }
    return dots == 2 && i > 0 && version[i - 1] != '.' && version.size() <= 64;
  }

  void node(const NodeTypeDescriptor& node) {
    const std::string where = "node '" + node.name + "'";
    if (!is_dotted_name(node.name)) report(where, "the name is malformed", kDottedName);
    if (node.version == 0) report(where, "version is missing", "1 or more", "0");
    require_text(node.help, where, "help");
    flags(node, where);
    std::set<std::string> inputs, outputs, names;
    for (const PortDescriptor& port : node.inputs) {
      if (!inputs.insert(port.name).second) report(where + ", input '" + port.name + "'", "is there twice");
      this->port(port, where + ", input '" + port.name + "'");
    }
    for (const PortDescriptor& port : node.outputs) {
      if (!outputs.insert(port.name).second) report(where + ", output '" + port.name + "'", "is there twice");
      this->port(port, where + ", output '" + port.name + "'");
    }
    parameters(node.parameters, where);
    for (const ParameterDescriptor& parameter : node.parameters) {
      if (inputs.count(parameter.name) != 0) {
        report(where + ", parameter '" + parameter.name + "'", "has the name of an input port",
               "one of the two: an input can be given as a parameter anyway");
      }
    }
  }

  void flags(const NodeTypeDescriptor& node, const std::string& where) {
    constexpr uint32_t kKnown = WEFT_NODE_PURE | WEFT_NODE_READS_FILES | WEFT_NODE_WRITES_FILES |
                                WEFT_NODE_USES_NETWORK | WEFT_NODE_NONDETERMINISTIC | WEFT_NODE_EXTRA_INPUTS |
                                WEFT_NODE_EXTRA_OUTPUTS;
    if ((node.flags & ~kKnown) != 0) report(where, "unknown flags", {}, std::to_string(node.flags & ~kKnown));
    if (!node.has(WEFT_NODE_PURE)) return;
    const auto contradicts = [&](uint32_t flag, const char* what) {
      if (node.has(flag)) report(where, std::string("declared pure, but it ") + what);
    };
    contradicts(WEFT_NODE_READS_FILES, "reads files");
    contradicts(WEFT_NODE_WRITES_FILES, "writes files");
    contradicts(WEFT_NODE_USES_NETWORK, "uses the network");
    contradicts(WEFT_NODE_NONDETERMINISTIC, "is declared non-deterministic");
  }

  void port(const PortDescriptor& port, const std::string& where) {
    if (!is_identifier(port.name)) report(where, "the name is malformed", kIdentifier);
    if (!is_port_type(port.type))
      report(where, "there is no such port type", kPortTypes, "'" + port.type + "'");
    require_text(port.help, where, "help");
  }

  // A type of the plugin's own exists if one of its nodes makes it: this finds misspelt ones.
  void own_port_types(const PluginDescriptor& plugin) {
    const std::string prefix = plugin.name + ".";
    const auto own = [&](const std::string& type) {
      const std::string_view element = list_element_type(type);
      const std::string name(element.empty() ? std::string_view(type) : element);
      return name.starts_with(prefix) ? name : std::string();
    };
    std::set<std::string> made;
    for (const NodeTypeDescriptor& node : plugin.nodes) {
      for (const PortDescriptor& port : node.outputs) made.insert(own(port.type));
    }
    for (const NodeTypeDescriptor& node : plugin.nodes) {
      for (const PortDescriptor& port : node.inputs) {
        const std::string type = own(port.type);
        if (!type.empty() && made.count(type) == 0) {
          report("node '" + node.name + "', input '" + port.name + "'", "there is no such port type",
                 "a type that a node of this plugin makes", "'" + type + "'");
        }
      }
    }
  }

  void model(const ModelTypeDescriptor& model) {
    const std::string where = "model '" + model.name + "'";
    if (!is_dotted_name(model.name)) report(where, "the name is malformed", kDottedName);
    if (model.version == 0) report(where, "version is missing", "1 or more", "0");
    require_text(model.help, where, "help");
    parameters(model.parameters, where);
  }

  void parameters(const std::vector<ParameterDescriptor>& parameters, const std::string& owner) {
    std::set<std::string> names;
    for (const ParameterDescriptor& parameter : parameters) {
      const std::string where = owner + ", parameter '" + parameter.name + "'";
      if (!names.insert(parameter.name).second) report(where, "is there twice");
      if (!is_identifier(parameter.name)) report(where, "the name is malformed", kIdentifier);
      require_text(parameter.help, where, "help");
      type_and_default(parameter, where);
    }
  }

  void type_and_default(const ParameterDescriptor& parameter, const std::string& where) {
    static const std::set<std::string> kTypes = {"bool",       "int",       "float",      "text",  "path",
                                                 "choice",     "json",      "seed",       "model", "device",
                                                 "list<text>", "list<int>", "list<float>"};
    if (kTypes.count(parameter.type) == 0) {
      report(where, "there is no such parameter type", kParameterTypes, "'" + parameter.type + "'");
      return;
    }
    if (std::isnan(parameter.minimum) || std::isnan(parameter.maximum) ||
        parameter.minimum > parameter.maximum) {
      report(where, "the range is empty", "minimum <= maximum",
             std::to_string(parameter.minimum) + " to " + std::to_string(parameter.maximum));
    }
    const bool named = parameter.type == "choice" || parameter.type == "model";
    if (named && parameter.choices.empty()) {
      report(where, parameter.type == "model" ? "names no model type that it accepts" : "has no choices");
    }
    if (!named && !parameter.choices.empty())
      report(where, "has choices, but is no choice", "type choice", parameter.type);
    if (parameter.type == "model") {
      for (const std::string& type : parameter.choices) {
        if (!is_dotted_name(type))
          report(where, "names a malformed model type", kDottedName, "'" + type + "'");
      }
    }
    if (parameter.default_json) default_value(parameter, where);
  }

  void default_value(const ParameterDescriptor& parameter, const std::string& where) {
    const Json value = Json::parse(*parameter.default_json, nullptr, false);
    if (value.is_discarded()) {
      report(where, "the default is not JSON", "JSON text, such as \"\\\"a text\\\"\"",
             *parameter.default_json);
      return;
    }
    const std::string_view element = list_element_type(parameter.type);
    if (element.empty()) {
      one_value(value, parameter.type, parameter, where);
      return;
    }
    if (!value.is_array()) {
      report(where, "the default has the wrong type", parameter.type, *parameter.default_json);
      return;
    }
    for (const Json& item : value) one_value(item, std::string(element), parameter, where);
  }

  void one_value(const Json& value, const std::string& type, const ParameterDescriptor& parameter,
                 const std::string& where) {
    const bool number = type == "int" || type == "float" || type == "seed";
    bool right = value.is_string();  // text, path, choice, model, device
    if (type == "bool") right = value.is_boolean();
    if (type == "int" || type == "seed") right = value.is_number_integer();
    if (type == "float") right = value.is_number();
    if (type == "json") right = true;
    if (!right) {
      report(where, "the default has the wrong type", type, value.dump());
    } else if (number &&
               !(value.get<double>() >= parameter.minimum && value.get<double>() <= parameter.maximum)) {
      report(where, "the default is out of range",
             std::to_string(parameter.minimum) + " to " + std::to_string(parameter.maximum), value.dump());
    } else if (type == "choice" && std::find(parameter.choices.begin(), parameter.choices.end(),
                                             value.get<std::string>()) == parameter.choices.end()) {
      report(where, "the default is none of the choices", {}, value.dump());
    }
  }
};

}  // namespace

std::vector<Error> validate_descriptor(const PluginDescriptor& descriptor) {
  Validator validator;
  validator.plugin(descriptor);
  return std::move(validator.problems);
}

}  // namespace weft
