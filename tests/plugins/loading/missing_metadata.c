/* Says neither its licence nor what its node does. */
#include "../plain_plugin.h"

static weft_node_type node = PLAIN_NODE;
static weft_plugin spoilt;

const weft_plugin* weft_plugin_entry(uint32_t host) {
  (void)host;
  node.help = "";
  spoilt = plain_plugin;
  spoilt.license = NULL;
  spoilt.nodes = &node;
  return &spoilt;
}
