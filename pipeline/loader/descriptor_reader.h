/// Copies a plugin's C descriptor into plain data, distrusting every pointer that can be distrusted.
///
/// NULL pointers, wrong struct sizes, absurd counts and texts that are not UTF-8 become problems; wild pointers crash,
/// which is why this first runs in a child process (describe.h). Thread safety: no shared state.
#ifndef WEFT_PIPELINE_LOADER_DESCRIPTOR_READER_H
#define WEFT_PIPELINE_LOADER_DESCRIPTOR_READER_H

#include <weft/abi/plugin.h>
#include <weft/sdk/status.h>

#include <vector>

#include "pipeline/loader/catalog.h"

namespace weft {

struct DescriptorReading {
  PluginDescriptor descriptor;  // without path, sha256 and file; holds what could be read
  std::vector<Error> problems;  // kVersionMismatch alone if the ABI differs: nothing else can be read then
};

/// plugin: what weft_plugin_entry returned; NULL is a problem too.
DescriptorReading read_descriptor(const weft_plugin* plugin);

/// Whether this host serves a plugin of that version; the error says what to rebuild.
Status check_abi_version(uint32_t plugin_version);

/// "0.1" for WEFT_ABI_VERSION.
std::string abi_version_text(uint32_t version);

}  // namespace weft
#endif
