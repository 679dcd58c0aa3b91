#include "pipeline/graph/json_schema.h"

#include <weft/sdk/device.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"
#include "pipeline/graph/parameter_value.h"
#include "pipeline/graph/parse.h"
#include "pipeline/loader/port_type.h"

namespace weft {
namespace {

using Member = std::pair<std::string, std::string>;  // a name and the JSON text of its value
using Members = std::vector<Member>;

std::string object(const Members& members) {
  std::string text = "{";
  for (const Member& member : members) {
    if (text.size() > 1) text += ',';
    text += json_string(member.first) + ":" + member.second;
  }
  return text + "}";
}

std::string array(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) {
    if (text.size() > 1) text += ',';
    text += item;
  }
  return text + "]";
}

std::string strings(const std::vector<std::string>& texts) {
  std::vector<std::string> items;
  for (const std::string& text : texts) items.push_back(json_string(text));
  return array(items);
}

std::string number(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end);
}

std::string type(const char* name) { return object({{"type", json_string(name)}}); }
std::string reference(const char* definition) {
  return object({{"$ref", json_string(std::string("#/$defs/") + definition)}});
}
std::string any_of(const std::vector<std::string>& schemas) { return object({{"anyOf", array(schemas)}}); }

void add_bounds(Members& members, const ParameterDescriptor& parameter) {
  if (std::isfinite(parameter.minimum)) members.emplace_back("minimum", number(parameter.minimum));
  if (std::isfinite(parameter.maximum)) members.emplace_back("maximum", number(parameter.maximum));
}

std::string device_schema() {
  return object({{"type", "\"string\""},
                 {"pattern", "\"^(cpu|(cuda|simt)(:[0-9]+)?)$\""},
                 {"description", json_string(sdk::kDeviceNames)}});
}

// The values of one type, without templates.
std::string constant_schema(std::string_view name, const ParameterDescriptor& parameter) {
  if (name == "bool") return type("boolean");
  if (name == "int" || name == "float") {
    Members members = {{"type", name == "int" ? "\"integer\"" : "\"number\""}};
    add_bounds(members, parameter);
    return object(members);
  }
  if (name == "seed") {
    return object({{"type", "\"integer\""}, {"minimum", "0"}, {"maximum", "9223372036854775807"}});
  }
  if (name == "choice") return object({{"enum", strings(parameter.choices)}});
  if (name == "device") return device_schema();
  if (name == "json") return "true";
  if (const std::string_view element = list_element_type(name); !element.empty()) {
    return object({{"type", "\"array\""}, {"items", constant_schema(element, parameter)}});
  }
  return type("string");
}

std::string value_schema(const ParameterDescriptor& parameter) {
  const std::string& name = parameter.type;
  const bool any_text = name == "text" || name == "path" || name == "json" || name == "model";
  const std::string constant = constant_schema(name, parameter);
  Members members;
  std::string help = parameter.help;
  if (!parameter.unit.empty()) help += help.empty() ? parameter.unit : " (" + parameter.unit + ")";
  if (!help.empty()) members.emplace_back("description", json_string(help));
  if (parameter.default_json) members.emplace_back("default", *parameter.default_json);
  if (any_text) members.emplace_back("allOf", array({constant}));
  else members.emplace_back("anyOf", array({constant, reference("template")}));
  return object(members);
}

ParameterDescriptor as_parameter(const PortDescriptor& port) {
  ParameterDescriptor parameter;
  parameter.name = port.name;
  parameter.type = port.type;
  parameter.minimum = -INFINITY;
  parameter.maximum = INFINITY;
  parameter.help = port.help;
  return parameter;
}

std::string node_members(const NodeTypeDescriptor& node) {
  Members in, with;
  std::vector<std::string> required;
  for (const ParameterDescriptor& parameter : node.parameters) {
    with.emplace_back(parameter.name, value_schema(parameter));
    const bool has_value = parameter.default_json || parameter.optional || parameter.type == "seed";
    if (!has_value) required.push_back(parameter.name);
  }
  for (const PortDescriptor& port : node.inputs) {
    in.emplace_back(port.name, object({{"description", json_string(port.type + ": " + port.help)},
                                       {"allOf", array({reference("link")})}}));
    if (has_literals(port.type)) with.emplace_back(port.name, value_schema(as_parameter(port)));
  }
  const std::string more_inputs = node.has(WEFT_NODE_EXTRA_INPUTS) ? reference("link") : "false";
  Members with_schema = {{"properties", object(with)}, {"additionalProperties", "false"}};
  if (!required.empty()) with_schema.emplace_back("required", strings(required));
  Members schema = {
      {"properties",
       object({{"in", object({{"properties", object(in)}, {"additionalProperties", more_inputs}})},
               {"with", object(with_schema)}})}};
  if (!required.empty()) schema.emplace_back("required", strings({"with"}));
  return object(schema);
}

std::string node_schema(const Catalog& catalog) {
  std::vector<std::string> uses, rules;
  for (const std::string& name : catalog.node_names()) {
    const NodeTypeDescriptor& node = *catalog.find_node(name).node;
    uses.push_back(object({{"const", json_string(name)}, {"description", json_string(node.help)}}));
    const std::string is_this =
        object({{"properties", object({{"uses", object({{"const", json_string(name)}})}})},
                {"required", strings({"uses"})}});
    rules.push_back(object({{"if", is_this}, {"then", node_members(node)}}));
  }
  uses.push_back(object({{"type", "\"string\""},
                         {"pattern", "\"^pipeline:.\""},
                         {"description", "\"another pipeline file as one node\""}}));
  const std::string condition =
      object({{"type", "\"object\""},
              {"properties", object({{"port", reference("link")}, {"equals", "true"}})},
              {"required", strings({"port"})},
              {"additionalProperties", "false"}});
  Members members = {
      {"uses", any_of(uses)},
      {"in", object({{"type", "\"object\""}, {"additionalProperties", reference("link")}})},
      {"with", type("object")},
      {"when", any_of({reference("link"), condition})},
      {"for_each", reference("link")},
      {"retry", object({{"type", "\"integer\""},
                        {"minimum", "0"},
                        {"maximum", "100"},
                        {"description", "\"further attempts after the first\""}})},
      {"timeout_s", object({{"type", "\"number\""}, {"minimum", "0.001"}, {"maximum", "1e9"}})},
      {"device", device_schema()},
      {"help", type("string")},
      {"description", type("string")}};
  Members schema = {{"type", "\"object\""},
                    {"required", strings({"uses"})},
                    {"properties", object(members)},
                    {"additionalProperties", "false"}};
  if (!rules.empty()) schema.emplace_back("allOf", array(rules));
  return object(schema);
}

// An entry does not say its type: it may hold the options of any.
std::string model_schema(const Catalog& catalog) {
  std::vector<std::string> types;
  std::map<std::string, std::vector<std::string>> options;
  for (const PluginDescriptor& plugin : catalog.plugins()) {
    for (const ModelTypeDescriptor& model : plugin.models) {
      types.push_back(model.name);
      for (const ParameterDescriptor& parameter : model.parameters) {
        options[parameter.name].push_back(value_schema(parameter));
      }
    }
  }
  std::sort(types.begin(), types.end());
  for (const char* reserved : {"path", "sha256", "type", "help", "description"}) options.erase(reserved);
  Members members = {{"path", object({{"type", "\"string\""}, {"minLength", "1"}})},
                     {"sha256", object({{"type", "\"string\""}, {"pattern", "\"^[0-9a-fA-F]{64}$\""}})},
                     {"type", types.empty() ? type("string") : object({{"enum", strings(types)}})},
                     {"help", type("string")},
                     {"description", type("string")}};
  for (const auto& [name, schemas] : options) {
    members.emplace_back(name, schemas.size() == 1 ? schemas[0] : any_of(schemas));
  }
  // Options of a model that no node names are not checked, so that others may stand there.
  return object({{"type", "\"object\""}, {"required", strings({"path"})}, {"properties", object(members)}});
}

std::string input_schema() {
  const std::string types =
      object({{"type", "\"string\""},
              {"anyOf",
               array({object({{"enum", strings({"bool", "int", "float", "text", "json", "path", "bytes",
                                                "tensor", "image", "any", "list<text>", "list<int>",
                                                "list<float>", "list<path>", "list<json>", "list<image>"})}}),
                      object({{"pattern", "\"^(list<)?[a-z][a-z0-9_]*(\\\\.[a-z][a-z0-9_]*)*>?$\""}})})}});
  return object({{"type", "\"object\""},
                 {"required", strings({"type"})},
                 {"properties", object({{"type", types},
                                        {"default", "true"},
                                        {"help", type("string")},
                                        {"description", type("string")}})},
                 {"additionalProperties", "false"}});
}

std::string section(const std::string& entry) {
  return object(
      {{"type", "\"object\""}, {"propertyNames", reference("name")}, {"additionalProperties", entry}});
}

void indent(const JsonTree& tree, JsonId id, size_t depth, std::string& out) {
  const JsonNode& node = tree[id];
  const bool is_object = node.kind == JsonKind::kObject;
  if ((!is_object && node.kind != JsonKind::kArray) || node.n_children == 0 || node.end - node.begin <= 100) {
    out += tree.compact(id);
    return;
  }
  out += is_object ? "{\n" : "[\n";
  for (JsonId child = node.first_child; child != kNoJson; child = tree[child].next) {
    out += std::string(2 * (depth + 1), ' ');
    if (is_object) out += json_string(tree[child].key) + ": ";
    indent(tree, child, depth + 1, out);
    out += tree[child].next != kNoJson ? ",\n" : "\n";
  }
  out += std::string(2 * depth, ' ') + (is_object ? "}" : "]");
}

}  // namespace

std::string json_schema(const Catalog& catalog) {
  const std::string name = "[A-Za-z_][A-Za-z0-9_-]{0,127}";
  const std::string definitions =
      object({{"name", object({{"type", "\"string\""}, {"pattern", json_string("^" + name + "$")}})},
              {"link", object({{"type", "\"string\""},
                               {"pattern", json_string("^" + name + "\\." + name + "$")},
                               {"description", "\"node.port, or inputs.name\""}})},
              {"template", object({{"type", "\"string\""},
                                   {"pattern", "\"\\\\$\\\\{.+\\\\}\""},
                                   {"description", "\"text with ${inputs.name}\""}})},
              {"input", input_schema()},
              {"model", model_schema(catalog)},
              {"node", node_schema(catalog)}});
  const std::string version = object({{"type", "\"integer\""},
                                      {"minimum", "0"},
                                      {"maximum", std::to_string(kPipelineVersion)},
                                      {"description", "\"version of the format\""}});
  const std::string properties = object({{"$schema", type("string")},
                                         {"weft", version},
                                         {"name", type("string")},
                                         {"help", type("string")},
                                         {"description", type("string")},
                                         {"device", device_schema()},
                                         {"inputs", section(reference("input"))},
                                         {"models", section(reference("model"))},
                                         {"nodes", section(reference("node"))},
                                         {"outputs", section(reference("link"))}});
  const std::string text = object({{"$schema", "\"https://json-schema.org/draft/2020-12/schema\""},
                                   {"title", "\"Weft pipeline\""},
                                   {"type", "\"object\""},
                                   {"required", strings({"weft", "nodes"})},
                                   {"properties", properties},
                                   {"additionalProperties", "false"},
                                   {"$defs", definitions}});
  constexpr JsonLimits kNone{SIZE_MAX, 1000, SIZE_MAX, SIZE_MAX};
  const auto parsed = JsonTree::parse(text, kNone);
  if (std::holds_alternative<JsonError>(parsed)) return text + "\n";  // a descriptor's default is not JSON
  std::string out;
  indent(std::get<JsonTree>(parsed), 0, 0, out);
  return out + "\n";
}

}  // namespace weft
