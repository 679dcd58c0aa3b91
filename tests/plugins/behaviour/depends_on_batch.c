/* Says how many requests it was given together. */
#include <stdio.h>

#include "../plain_plugin.h"

static weft_status prepare(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                           weft_error* error) {
  const weft_status status = plain_prepare(node, inputs, n_inputs, plan, error);
  plan->max_batch = 8;
  plan->outputs[0].max_bytes = 16;
  return status;
}

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  char text[16];
  (void)execution;
  plain_complete_with_text(request, text, (size_t)snprintf(text, sizeof text, "%d", (int)n));
}

static const weft_node_api api = {sizeof(weft_node_api), 0, plain_create, prepare, plain_execute_answers,
                                  plain_destroy};

const weft_plugin* weft_plugin_entry(uint32_t host) {
  (void)host;
  plain_answer = answer;
  return plain_plugin_with(&api, NULL);
}
