/// A loaded plugin. Only the C descriptor crosses; the library stays loaded until the process ends.
///
/// open() verifies that the file is the one that was described: first its bytes (identity, else SHA-256), then, once
/// loaded, that its descriptor says the same. Code of the plugin runs in this process from then on.
/// Ownership: a value; copies refer to the same library, which nothing unloads. Thread safety: const members, any thread.
///
///   Catalog::NodeEntry entry = catalog.find_node("text.generate");
///   Result<PluginLibrary> library = PluginLibrary::open(*entry.plugin);
///   const weft_node_type* type = library->node_type(entry.node->name);
#ifndef WEFT_PIPELINE_LOADER_PLUGIN_LIBRARY_H
#define WEFT_PIPELINE_LOADER_PLUGIN_LIBRARY_H

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include <string_view>

#include "pipeline/loader/catalog.h"

namespace weft {

class PluginLibrary {
 public:
  /// Errors: kNotFound, kIoError (the system's loader refused it, with its message), kVersionMismatch (the file or its
  /// descriptor is not what was described).
  static Result<PluginLibrary> open(const PluginDescriptor& descriptor);

  const weft_plugin& plugin() const { return *plugin_; }
  /// NULL if the plugin has none of that name.
  const weft_node_type* node_type(std::string_view name) const;
  const weft_model_type* model_type(std::string_view name) const;

 private:
  explicit PluginLibrary(const weft_plugin* plugin) : plugin_(plugin) {}
  const weft_plugin* plugin_;
};

}  // namespace weft
#endif
