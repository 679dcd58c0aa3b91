/* Takes memory without end while it is loaded. */
#include "../plain_plugin.h"

#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void at_load(void) {
  const size_t step = (size_t)256 << 20;
  for (;;) {
    char* block = (char*)malloc(step);
    if (block == NULL) abort();
    memset(block, 1, 4096);
  }
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, &plain_plugin; }
