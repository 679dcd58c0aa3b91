/* Has ports of types that do not exist. */
#include "../plain_plugin.h"

static const weft_port inputs[] = {{sizeof(weft_port), 0, "text", "txet", "Misspelt."}};
static const weft_port outputs[] = {{sizeof(weft_port), 0, "text", "list<list<text>>", "No such type."}};
static weft_node_type node = PLAIN_NODE;
static weft_plugin spoilt;

const weft_plugin* weft_plugin_entry(uint32_t host) {
  (void)host;
  node.inputs = inputs;
  node.outputs = outputs;
  spoilt = plain_plugin;
  spoilt.nodes = &node;
  return &spoilt;
}
