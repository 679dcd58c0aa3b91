#include "pipeline/loader/plugin_library.h"

#include <utility>

#include "pipeline/files/content_hash.h"
#include "pipeline/loader/descriptor_reader.h"
#include "pipeline/loader/library_loading.h"

namespace weft {
namespace {

Status changed(const PluginDescriptor& descriptor, std::string message) {
  return Status(StatusCode::kVersionMismatch, std::move(message))
      .at(descriptor.path)
      .hint("it was replaced while Weft was running; start again");
}

Status verify_file(const PluginDescriptor& descriptor) {
  Result<FileIdentity> identity = identify_file(descriptor.path);
  if (!identity.ok()) return identity.status();
  if (*identity == descriptor.file) return {};
  Result<std::string> sha256 = sha256_of_file(descriptor.path);
  if (!sha256.ok()) return sha256.status();
  if (*sha256 == descriptor.sha256) return {};
  return changed(descriptor, "the plugin's file is not the one that was described")
      .expected("sha256 " + descriptor.sha256)
      .got(*sha256);
}

// What the reader does not know of.
PluginDescriptor with_file_of(PluginDescriptor read, const PluginDescriptor& descriptor) {
  read.path = descriptor.path;
  read.sha256 = descriptor.sha256;
  read.file = descriptor.file;
  return read;
}

}  // namespace

Result<PluginLibrary> PluginLibrary::open(const PluginDescriptor& descriptor) {
  if (Status status = verify_file(descriptor); !status.ok()) return status;
  Result<const weft_plugin*> plugin = load_and_enter(descriptor.path);
  if (!plugin.ok()) return plugin.status();
  DescriptorReading reading = read_descriptor(*plugin);
  if (!reading.problems.empty()) return Status(std::move(reading.problems.front())).at(descriptor.path);
  if (with_file_of(std::move(reading.descriptor), descriptor) != descriptor) {
    return changed(descriptor, "the loaded plugin describes itself differently than before");
  }
  return PluginLibrary(*plugin);
}

const weft_node_type* PluginLibrary::node_type(std::string_view name) const {
  for (size_t i = 0; i < plugin_->n_nodes; ++i) {
    if (name == plugin_->nodes[i].name) return &plugin_->nodes[i];
  }
  return nullptr;
}

const weft_model_type* PluginLibrary::model_type(std::string_view name) const {
  for (size_t i = 0; i < plugin_->n_models; ++i) {
    if (name == plugin_->models[i].name) return &plugin_->models[i];
  }
  return nullptr;
}

}  // namespace weft
