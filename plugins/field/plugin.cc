// The field plugin's descriptor and its one exported symbol.
#include <weft/sdk/plugin.h>

#include "plugins/field/field_nodes.h"

namespace weft::field {
namespace {

const weft_node_type kNodes[] = {kLoadNode, kSaveNode, kSelectNode, kDescribeNode, kStatisticsNode};

const weft_plugin kPlugin =
    sdk::plugin({.name = "field",
                 .version = "0.1.0",
                 .license = "Apache-2.0",
                 .help = "Fields: named arrays with coordinates and units, from and to files.",
                 .nodes = kNodes});

}  // namespace
}  // namespace weft::field

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::field::kPlugin;
}
