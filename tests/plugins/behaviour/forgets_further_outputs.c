/* Says that it makes further outputs, accepts any name, and makes none. */
#include "../plain_plugin.h"

const weft_plugin* weft_plugin_entry(uint32_t host) {
  static weft_node_type node;
  static weft_plugin plugin;
  (void)host;
  node = plain_nodes[0];
  node.flags |= WEFT_NODE_EXTRA_OUTPUTS;
  plugin = plain_plugin;
  plugin.nodes = &node;
  return &plugin;
}
