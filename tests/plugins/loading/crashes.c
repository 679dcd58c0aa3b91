/* Follows a wild pointer when it is asked for its descriptor. */
#include "../plain_plugin.h"

static const int* volatile nowhere = (const int*)16;

const weft_plugin* weft_plugin_entry(uint32_t host) { return *nowhere == (int)host ? &plain_plugin : NULL; }
