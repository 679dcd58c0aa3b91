// The plot plugin's descriptor and its one exported symbol.
#include <weft/sdk/plugin.h>

#include "plugins/plot/plot_nodes.h"

namespace weft::plot {
namespace {

const weft_node_type kNodes[] = {kLineNode, kHeatmapNode, kMapNode};

const weft_plugin kPlugin =
    sdk::plugin({.name = "plot",
                 .version = "0.1.0",
                 .license = "Apache-2.0",
                 .help = "Plots of fields and tensors: lines, heat maps, maps; as pictures and SVG.",
                 .nodes = kNodes});

}  // namespace
}  // namespace weft::plot

extern "C" const weft_plugin* weft_plugin_entry(uint32_t /*host_abi_version*/) {
  return &weft::plot::kPlugin;
}
