/// What the installed plugins offer: descriptors as plain C++ data, read in a child process or from the descriptor
/// cache, so that looking at plugins never loads one.
///
/// The graph is checked against a Catalog alone; only a run loads libraries (plugin_library.h).
/// Ownership: plain values. Thread safety: const access from any thread.
#ifndef WEFT_PIPELINE_LOADER_CATALOG_H
#define WEFT_PIPELINE_LOADER_CATALOG_H

#include <weft/abi/plugin.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/files/file_identity.h"

namespace weft {

struct PortDescriptor {
  std::string name;
  std::string type;  // "text", "list<text>", "any" ...: see plugin.h
  std::string help;
  bool optional = false;
  friend bool operator==(const PortDescriptor&, const PortDescriptor&) = default;
};

struct ParameterDescriptor {
  std::string name;
  std::string type;
  std::optional<std::string> default_json;
  double minimum = 0, maximum = 0;   // inclusive; infinite where there is no bound
  std::vector<std::string> choices;  // "choice": the values; "model": the accepted model types
  std::string unit;
  std::string help;
  bool per_request = false;
  bool optional = false;
  friend bool operator==(const ParameterDescriptor&, const ParameterDescriptor&) = default;
};

struct NodeTypeDescriptor {
  std::string name;
  uint32_t version = 0;
  uint32_t flags = 0;  // WEFT_NODE_*
  std::string help;
  std::vector<PortDescriptor> inputs;
  std::vector<PortDescriptor> outputs;
  std::vector<ParameterDescriptor> parameters;

  bool has(uint32_t flag) const { return (flags & flag) != 0; }
  friend bool operator==(const NodeTypeDescriptor&, const NodeTypeDescriptor&) = default;
};

struct ModelTypeDescriptor {
  std::string name;
  uint32_t version = 0;
  std::string help;
  std::vector<ParameterDescriptor> parameters;
  friend bool operator==(const ModelTypeDescriptor&, const ModelTypeDescriptor&) = default;
};

/// Where its weights are and its nodes compute: the parameter of type "device". Null: on the CPU.
inline const ParameterDescriptor* find_device_parameter(const ModelTypeDescriptor& type) {
  for (const ParameterDescriptor& parameter : type.parameters) {
    if (parameter.type == "device") return &parameter;
  }
  return nullptr;
}

struct PluginDescriptor {
  std::string path;    // of the shared library, absolute
  std::string sha256;  // of the library's content
  FileIdentity file;   // of the library when it was described
  std::string name;
  std::string version;
  std::string license;
  std::string help;
  uint32_t abi_version = 0;
  std::vector<std::string> extensions;
  std::vector<NodeTypeDescriptor> nodes;
  std::vector<ModelTypeDescriptor> models;

  friend bool operator==(const PluginDescriptor&, const PluginDescriptor&) = default;
};

/// A library in a plugin folder that is not used, and why.
struct PluginProblem {
  std::string path;
  std::string reason;
};

class Catalog {
 public:
  Catalog() = default;
  /// Two plugins that offer the same node or model type are both left out and reported as problems.
  Catalog(std::vector<PluginDescriptor> plugins, std::vector<PluginProblem> problems);

  const std::vector<PluginDescriptor>& plugins() const { return plugins_; }
  const std::vector<PluginProblem>& problems() const { return problems_; }

  struct NodeEntry {
    const PluginDescriptor* plugin = nullptr;
    const NodeTypeDescriptor* node = nullptr;
  };
  struct ModelEntry {
    const PluginDescriptor* plugin = nullptr;
    const ModelTypeDescriptor* model = nullptr;
  };
  /// Null members if there is none. Logarithmic in the number of types.
  NodeEntry find_node(const std::string& name) const;
  ModelEntry find_model(const std::string& name) const;
  /// All node type names, sorted.
  std::vector<std::string> node_names() const;

 private:
  std::vector<PluginDescriptor> plugins_;
  std::vector<PluginProblem> problems_;
  struct Index {
    std::string name;
    uint32_t plugin = 0, item = 0;
  };
  std::vector<Index> nodes_, models_;  // sorted by name
};

}  // namespace weft
#endif
