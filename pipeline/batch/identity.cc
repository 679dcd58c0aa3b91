#include "pipeline/batch/identity.h"

#include <set>
#include <string_view>

#include "pipeline/files/content_hash.h"

namespace weft {
namespace {

constexpr std::string_view kModel = "model ";
constexpr std::string_view kKinds[] = {"pipeline ", "plugin ",          kModel,
                                       "isa level", "numerics profile", "device"};

void add_plugins(const Graph& graph, Facts& facts) {
  for (const Node& node : graph.nodes) {
    if (node.type.plugin) facts["plugin " + node.type.plugin->name] = node.type.plugin->sha256;
    if (node.subgraph) add_plugins(*node.subgraph, facts);
  }
}

bool is_identity(std::string_view name) {
  for (const std::string_view kind : kKinds) {
    if (name.starts_with(kind)) return true;
  }
  return false;
}

/// A value for a person: enough of a hash to tell two apart.
std::string shown(const std::string& value) {
  return value.size() == 64 ? value.substr(0, 8) : value.empty() ? "nothing" : value;
}

std::string described(const std::string& name, const std::string& was, const std::string& is) {
  return name + " (was " + shown(was) + ", is " + shown(is) + ")";
}

}  // namespace

Facts batch_identity(const std::vector<PipelineSource>& sources, const PreparedRun& prepared,
                     const RunOptions& options) {
  Facts facts;
  for (const PipelineSource& source : sources) {
    facts["pipeline " + source.file] = sha256_of_text(source.text);
  }
  add_plugins(prepared.graph(), facts);
  for (const UsedModel& model : prepared.used_models()) facts["model " + model.path] = model.sha256;
  facts["isa level"] = options.isa_level;
  facts["numerics profile"] = options.numerics_profile;
  if (!options.device.empty()) facts["device"] = options.device;
  return facts;
}

std::vector<std::string> changed_facts(const Facts& before, const Facts& now) {
  std::vector<std::string> changes;
  for (const auto& [name, value] : now) {
    if (!is_identity(name)) continue;
    const auto known = before.find(name);
    const bool is_model = name.starts_with(kModel);
    if (known == before.end() ? !is_model : known->second != value) {
      changes.push_back(described(name, known == before.end() ? "" : known->second, value));
    }
  }
  for (const auto& [name, value] : before) {
    const bool gone = is_identity(name) && !name.starts_with(kModel) && now.count(name) == 0;
    if (gone) changes.push_back(described(name, value, ""));
  }
  return changes;
}

std::string changes_text(const Facts& before, const Facts& now) {
  std::string text;
  for (const std::string& change : changed_facts(before, now)) text += (text.empty() ? "" : ", ") + change;
  return text;
}

}  // namespace weft
