#include "pipeline/loader/catalog.h"

#include <algorithm>
#include <map>
#include <utility>

namespace weft {
namespace {

// Names of one kind of type -> the plugins (by index) that offer it.
using Offers = std::map<std::string, std::vector<size_t>>;

Offers offers_of_nodes(const std::vector<PluginDescriptor>& plugins) {
  Offers offers;
  for (size_t i = 0; i < plugins.size(); ++i) {
    for (const NodeTypeDescriptor& node : plugins[i].nodes) offers[node.name].push_back(i);
  }
  return offers;
}

Offers offers_of_models(const std::vector<PluginDescriptor>& plugins) {
  Offers offers;
  for (size_t i = 0; i < plugins.size(); ++i) {
    for (const ModelTypeDescriptor& model : plugins[i].models) offers[model.name].push_back(i);
  }
  return offers;
}

// Why each plugin that shares a name with another one is refused; one reason a plugin is enough.
void find_clashes(const Offers& offers, const char* what, const std::vector<PluginDescriptor>& plugins,
                  std::map<size_t, std::string>& reasons) {
  for (const auto& [name, owners] : offers) {
    if (owners.size() < 2) continue;
    for (size_t owner : owners) {
      const size_t other = owner == owners[0] ? owners[1] : owners[0];
      reasons.emplace(owner, std::string("offers the ") + what + " type '" + name + "', and so does " +
                                 plugins[other].path + "; remove one of the two");
    }
  }
}

}  // namespace

Catalog::Catalog(std::vector<PluginDescriptor> plugins, std::vector<PluginProblem> problems)
    : problems_(std::move(problems)) {
  std::map<size_t, std::string> refused;
  find_clashes(offers_of_nodes(plugins), "node", plugins, refused);
  find_clashes(offers_of_models(plugins), "model", plugins, refused);
  for (size_t i = 0; i < plugins.size(); ++i) {
    if (auto reason = refused.find(i); reason != refused.end()) {
      problems_.push_back({plugins[i].path, reason->second});
    } else {
      plugins_.push_back(std::move(plugins[i]));
    }
  }
  for (uint32_t i = 0; i < plugins_.size(); ++i) {
    const PluginDescriptor& plugin = plugins_[i];
    for (uint32_t j = 0; j < plugin.nodes.size(); ++j) nodes_.push_back({plugin.nodes[j].name, i, j});
    for (uint32_t j = 0; j < plugin.models.size(); ++j) models_.push_back({plugin.models[j].name, i, j});
  }
  const auto by_name = [](const Index& a, const Index& b) { return a.name < b.name; };
  std::sort(nodes_.begin(), nodes_.end(), by_name);
  std::sort(models_.begin(), models_.end(), by_name);
}

Catalog::NodeEntry Catalog::find_node(const std::string& name) const {
  const auto found =
      std::lower_bound(nodes_.begin(), nodes_.end(), name,
                       [](const Index& index, const std::string& key) { return index.name < key; });
  if (found == nodes_.end() || found->name != name) return {};
  return {&plugins_[found->plugin], &plugins_[found->plugin].nodes[found->item]};
}

Catalog::ModelEntry Catalog::find_model(const std::string& name) const {
  const auto found =
      std::lower_bound(models_.begin(), models_.end(), name,
                       [](const Index& index, const std::string& key) { return index.name < key; });
  if (found == models_.end() || found->name != name) return {};
  return {&plugins_[found->plugin], &plugins_[found->plugin].models[found->item]};
}

std::vector<std::string> Catalog::node_names() const {
  std::vector<std::string> names;
  names.reserve(nodes_.size());
  for (const Index& index : nodes_) names.push_back(index.name);
  return names;
}

}  // namespace weft
