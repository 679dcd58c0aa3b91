/* Never returns its descriptor. */
#include "../plain_plugin.h"

#include <unistd.h>

const weft_plugin* weft_plugin_entry(uint32_t host) {
  (void)host;
  for (;;) pause();
}
