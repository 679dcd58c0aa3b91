/* Fails without a word. */
#include "../plain_plugin.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  (void)execution, (void)n;
  plain_host->requests->complete(request, WEFT_INTERNAL, NULL);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_answering(answer); }
