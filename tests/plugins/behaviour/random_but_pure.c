/* Declared pure, but counts its calls. */
#include <stdio.h>
#include "../plain_plugin.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  static int calls;
  char text[16];
  (void)execution, (void)n;
  plain_complete_with_text(request, text, (size_t)snprintf(text, sizeof text, "%d", ++calls % 10));
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_answering(answer); }
