/* Linked to a library that is not there when it is loaded. */
#include "../plain_plugin.h"

extern int departed(void);

const weft_plugin* weft_plugin_entry(uint32_t host) {
  return (void)host, departed() != 0 ? &plain_plugin : NULL;
}
