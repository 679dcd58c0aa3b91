#include "pipeline/run/testing/test_plugin.h"

#include <weft/sdk/plugin.h>

#include <mutex>
#include <string>
#include <vector>

#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/run/testing/test_nodes.h"

namespace weft::testing {

void Observations::clear() {
  const std::lock_guard lock(mutex);
  failures.clear();
  batch_sizes.clear();
  addresses.clear();
  pure_executions = now_running = most_running = models_loaded = 0;
}

Observations& observations() {
  static Observations seen;
  return seen;
}

const weft_plugin& test_plugin() {
  static const std::vector<weft_node_type> nodes = [] {
    std::vector<weft_node_type> all;
    for (const auto& some : {value_nodes(), failing_nodes(), waiting_nodes(), resource_nodes()})
      all.insert(all.end(), some.begin(), some.end());
    return all;
  }();
  static const weft_plugin plugin = sdk::plugin({.name = "test",
                                                 .version = "0.1.0",
                                                 .license = "Apache-2.0",
                                                 .help = "Nodes for tests.",
                                                 .nodes = nodes,
                                                 .models = test_models()});
  return plugin;
}

const Catalog& test_catalog() {
  static const Catalog catalog = [] {
    PluginDescriptor descriptor = read_descriptor(&test_plugin()).descriptor;
    descriptor.path = "/proc/self/exe";
    descriptor.sha256 = std::string(64, '7');
    return Catalog({descriptor}, {});
  }();
  return catalog;
}

PluginProvider test_provider() {
  return [](const PluginDescriptor&) -> Result<const weft_plugin*> { return &test_plugin(); };
}

}  // namespace weft::testing
