#include "pipeline/batch/record_json.h"

#include <map>
#include <variant>

#include "pipeline/batch/item_inputs.h"
#include "pipeline/graph/json_tree.h"
#include "pipeline/graph/literal.h"

namespace weft {

std::string error_json(const Error& error) {
  return json_object({{"code", json_string(to_string(error.code))},
                      {"message", json_string(error.message)},
                      {"where", json_string(error.where)},
                      {"expected", json_string(error.expected)},
                      {"got", json_string(error.got)},
                      {"hint", json_string(error.hint)}});
}

Error error_from_json(const std::string& json) {
  Error error;
  const auto parsed = JsonTree::parse(json, {json.size(), 8, json.size(), 64});
  const auto* tree = std::get_if<JsonTree>(&parsed);
  if (!tree) return error;
  const auto member = [&](const char* name) {
    const JsonId id = tree->find(0, name);
    return id == kNoJson ? std::string() : std::string((*tree)[id].text);
  };
  const std::string code = member("code");
  for (auto known = StatusCode::kOk; known <= kLastStatusCode;
       known = static_cast<StatusCode>(static_cast<weft_status>(known) + 1)) {
    if (code == to_string(known)) error.code = known;
  }
  error.message = member("message");
  error.where = member("where");
  error.expected = member("expected");
  error.got = member("got");
  error.hint = member("hint");
  return error;
}

std::string seeds_json(const std::vector<DrawnSeed>& seeds) {
  std::map<std::string, std::map<std::string, std::string>> by_node;
  for (const DrawnSeed& seed : seeds) by_node[seed.node][seed.parameter] = std::to_string(seed.value);
  std::map<std::string, std::string> nodes;
  for (const auto& [node, values] : by_node) nodes[node] = json_object(values);
  return json_object(nodes);
}

std::string timings_json(const std::vector<NodeTiming>& timings) {
  std::map<std::string, std::string> nodes;
  for (const NodeTiming& timing : timings) nodes[timing.node] = std::to_string(timing.seconds);
  return json_object(nodes);
}

}  // namespace weft
