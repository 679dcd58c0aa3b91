/* Built for a version of the contract that does not exist. */
#include "../plain_plugin.h"

static weft_plugin spoilt;

const weft_plugin* weft_plugin_entry(uint32_t host) {
  (void)host;
  spoilt = plain_plugin;
  spoilt.abi_version = (uint32_t)7 << 16 | 3;
  spoilt.nodes = (const weft_node_type*)64; /* who reads on, crashes */
  return &spoilt;
}
