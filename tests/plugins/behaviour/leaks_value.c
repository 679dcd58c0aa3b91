/* Forgets to release a value that it made. */
#include "../plain_plugin.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  weft_value* value = NULL;
  (void)execution, (void)n;
  plain_host->values->make_bytes("left", 4, "text", NULL, &value);
  plain_complete_with_text(request, "right", 5);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_answering(answer); }
