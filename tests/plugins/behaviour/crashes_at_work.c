/* Follows a wild pointer in execute. */
#include "../plain_plugin.h"

static int* volatile nowhere = (int*)16;

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  (void)execution;
  *nowhere = (int)n;
  plain_host->requests->complete(request, WEFT_OK, NULL);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_answering(answer); }
