/* Puts a number where it declared a text. */
#include "../plain_plugin.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  weft_value* value = NULL;
  (void)execution, (void)n;
  plain_host->values->make_int(42, &value);
  plain_host->requests->set_output(request, 0, value);
  plain_host->values->release(value);
  plain_host->requests->complete(request, WEFT_OK, NULL);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_answering(answer); }
