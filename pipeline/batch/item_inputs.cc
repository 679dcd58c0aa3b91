#include "pipeline/batch/item_inputs.h"

#include "pipeline/graph/find_input.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"
#include "pipeline/memory/value.h"
#include "pipeline/memory/value_json.h"

namespace weft {
namespace {

constexpr JsonLimits kLimits{size_t{1} << 30, 64, size_t{1} << 30, 50'000'000};

bool is_text(const std::string& type) { return type == "text" || type == "path" || type == "any"; }

Result<std::string> checked_json(const InputValue& given, const PipelineInput& input, Pool& pool) {
  const bool as_text = given.json.empty();
  Result<Value> value = as_text ? value_from_argument(given.text, input.type, pool)
                                : value_from_json(given.json, input.type, pool);
  if (!value.ok()) return value.status().at("input '" + input.name + "'");
  if (!as_text) return given.json;
  return is_text(input.type) ? json_string(given.text) : value_to_json(*value, UINT64_MAX);
}

}  // namespace

Result<std::map<std::string, std::string>> check_item_inputs(const Graph& graph,
                                                             const std::map<std::string, InputValue>& inputs,
                                                             const std::map<std::string, InputValue>& shared,
                                                             Pool& pool) {
  for (const auto& [name, value] : inputs) {
    if (!find_input(graph, name)) return unknown_input(graph, name, "");
  }
  std::map<std::string, std::string> result;
  for (const PipelineInput& input : graph.inputs) {
    const auto own = inputs.find(input.name), common = shared.find(input.name);
    const InputValue* given = own != inputs.end()      ? &own->second
                              : common != shared.end() ? &common->second
                                                       : nullptr;
    if (given) {
      Result<std::string> json = checked_json(*given, input, pool);
      if (!json.ok()) return json.status();
      result[input.name] = *std::move(json);
    } else if (!input.default_json) {
      return Status(StatusCode::kInvalidArgument,
                    "the input '" + input.name + "' (" + input.type + ") has no value")
          .hint("let the item set it, or all items with --set " + input.name + "=...");
    }
  }
  return result;
}

std::string json_object(const std::map<std::string, std::string>& members) {
  std::string json = "{";
  for (const auto& [name, text] : members)
    json += (json.size() > 1 ? "," : "") + json_string(name) + ":" + text;
  return json + "}";
}

Result<std::map<std::string, std::string>> json_members(const std::string& object) {
  const auto parsed = JsonTree::parse(object, kLimits);
  const auto* tree = std::get_if<JsonTree>(&parsed);
  if (!tree || tree->kind(0) != JsonKind::kObject) {
    return Status(StatusCode::kCorruptData, "the journal holds something that is no JSON object");
  }
  std::map<std::string, std::string> members;
  for (const JsonId id : tree->children(0)) members[std::string((*tree)[id].key)] = tree->compact(id);
  return members;
}

}  // namespace weft
