#include "pipeline/loader/descriptor_json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace weft {
namespace {

using Json = nlohmann::json;

// Raised whenever the fields below change, so that a cache entry of an older version is not misread.
constexpr int kFormat = 1;

Json bound_to_json(double bound) { return std::isfinite(bound) ? Json(bound) : Json(nullptr); }

double bound_from_json(const Json& json, double absent) {
  return json.is_null() ? absent : json.get<double>();
}

Json to_json(const std::vector<PortDescriptor>& ports) {
  Json array = Json::array();
  for (const PortDescriptor& port : ports) {
    array.push_back(
        {{"name", port.name}, {"type", port.type}, {"help", port.help}, {"optional", port.optional}});
  }
  return array;
}

std::vector<PortDescriptor> ports_from_json(const Json& array) {
  std::vector<PortDescriptor> ports;
  for (const Json& json : array) {
    ports.push_back({json.at("name"), json.at("type"), json.at("help"), json.at("optional")});
  }
  return ports;
}

Json to_json(const std::vector<ParameterDescriptor>& parameters) {
  Json array = Json::array();
  for (const ParameterDescriptor& parameter : parameters) {
    Json json = {{"name", parameter.name},
                 {"type", parameter.type},
                 {"minimum", bound_to_json(parameter.minimum)},
                 {"maximum", bound_to_json(parameter.maximum)},
                 {"choices", parameter.choices},
                 {"unit", parameter.unit},
                 {"help", parameter.help},
                 {"per_request", parameter.per_request},
                 {"optional", parameter.optional}};
    if (parameter.default_json) json["default_json"] = *parameter.default_json;
    array.push_back(std::move(json));
  }
  return array;
}

std::vector<ParameterDescriptor> parameters_from_json(const Json& array) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<ParameterDescriptor> parameters;
  for (const Json& json : array) {
    ParameterDescriptor parameter;
    parameter.name = json.at("name");
    parameter.type = json.at("type");
    if (json.contains("default_json")) parameter.default_json = json.at("default_json").get<std::string>();
    parameter.minimum = bound_from_json(json.at("minimum"), -kInfinity);
    parameter.maximum = bound_from_json(json.at("maximum"), kInfinity);
    parameter.choices = json.at("choices").get<std::vector<std::string>>();
    parameter.unit = json.at("unit");
    parameter.help = json.at("help");
    parameter.per_request = json.at("per_request");
    parameter.optional = json.at("optional");
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

Json to_json(const PluginDescriptor& plugin) {
  Json nodes = Json::array();
  for (const NodeTypeDescriptor& node : plugin.nodes) {
    nodes.push_back({{"name", node.name},
                     {"version", node.version},
                     {"flags", node.flags},
                     {"help", node.help},
                     {"inputs", to_json(node.inputs)},
                     {"outputs", to_json(node.outputs)},
                     {"parameters", to_json(node.parameters)}});
  }
  Json models = Json::array();
  for (const ModelTypeDescriptor& model : plugin.models) {
    models.push_back({{"name", model.name},
                      {"version", model.version},
                      {"help", model.help},
                      {"parameters", to_json(model.parameters)}});
  }
  const FileIdentity& file = plugin.file;
  return {{"path", plugin.path},
          {"sha256", plugin.sha256},
          {"file", {file.device, file.inode, file.size_bytes, file.modified_ns, file.changed_ns}},
          {"name", plugin.name},
          {"version", plugin.version},
          {"license", plugin.license},
          {"help", plugin.help},
          {"abi_version", plugin.abi_version},
          {"extensions", plugin.extensions},
          {"nodes", std::move(nodes)},
          {"models", std::move(models)}};
}

PluginDescriptor plugin_from_json(const Json& json) {
  PluginDescriptor plugin;
  plugin.path = json.at("path");
  plugin.sha256 = json.at("sha256");
  const Json& file = json.at("file");
  plugin.file = {file.at(0), file.at(1), file.at(2), file.at(3), file.at(4)};
  plugin.name = json.at("name");
  plugin.version = json.at("version");
  plugin.license = json.at("license");
  plugin.help = json.at("help");
  plugin.abi_version = json.at("abi_version");
  plugin.extensions = json.at("extensions").get<std::vector<std::string>>();
  for (const Json& node : json.at("nodes")) {
    plugin.nodes.push_back({node.at("name"), node.at("version"), node.at("flags"), node.at("help"),
                            ports_from_json(node.at("inputs")), ports_from_json(node.at("outputs")),
                            parameters_from_json(node.at("parameters"))});
  }
  for (const Json& model : json.at("models")) {
    plugin.models.push_back({model.at("name"), model.at("version"), model.at("help"),
                             parameters_from_json(model.at("parameters"))});
  }
  return plugin;
}

Json to_json(const std::vector<Error>& problems) {
  Json array = Json::array();
  for (const Error& error : problems) {
    array.push_back(
        {static_cast<int>(error.code), error.message, error.where, error.expected, error.got, error.hint});
  }
  return array;
}

std::vector<Error> problems_from_json(const Json& array) {
  std::vector<Error> problems;
  for (const Json& json : array) {
    const int code = json.at(0);
    const bool known = code > WEFT_OK && code <= static_cast<weft_status>(kLastStatusCode);
    problems.push_back({known ? static_cast<StatusCode>(code) : StatusCode::kInternal, json.at(1), json.at(2),
                        json.at(3), json.at(4), json.at(5)});
  }
  return problems;
}

}  // namespace

std::string description_to_json(const Description& description) {
  const Json json = {{"weft_description", kFormat},
                     {"abi_version", WEFT_ABI_VERSION},
                     {"plugin", to_json(description.descriptor)},
                     {"problems", to_json(description.problems)}};
  return json.dump();
}

Result<Description> description_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("weft_description") != kFormat || json.at("abi_version") != WEFT_ABI_VERSION) {
      return Status(StatusCode::kVersionMismatch, "a description written by another version");
    }
    return Description{plugin_from_json(json.at("plugin")), problems_from_json(json.at("problems"))};
  } catch (const Json::exception& exception) {
    return Status(StatusCode::kCorruptData,
                  std::string("not a description of a plugin: ") + exception.what());
  }
}

}  // namespace weft
