/* Calls a function that no library has. */
#include "../plain_plugin.h"

extern int function_that_no_library_has(void);

const weft_plugin* weft_plugin_entry(uint32_t host) {
  return (void)host, function_that_no_library_has() != 0 ? &plain_plugin : NULL;
}
