/* Writes behind the end of its workspace. */
#include <string.h>

#include "../plain_plugin.h"

static weft_status prepare(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                           weft_error* error) {
  const weft_status status = plain_prepare(node, inputs, n_inputs, plan, error);
  plan->workspace_bytes = 100;
  return status;
}

static weft_status execute(void* node, weft_request* const* requests, size_t n,
                           const weft_execution* execution, weft_error* error) {
  memset(execution->workspace, 0, 104);
  return plain_execute(node, requests, n, execution, error);
}

static const weft_node_api api = {sizeof(weft_node_api), 0, plain_create, prepare, execute, plain_destroy};

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, plain_plugin_with(&api, NULL); }
