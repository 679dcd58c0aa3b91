/* Nothing is wrong with this one. */
#include "../plain_plugin.h"

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, &plain_plugin; }
