/* A plugin in plain C with one node, "plain.echo", that passes its text on. The broken plugins of this folder start from
 * it and spoil one thing each. */
#ifndef WEFT_TESTS_PLUGINS_PLAIN_PLUGIN_H
#define WEFT_TESTS_PLUGINS_PLAIN_PLUGIN_H

#include <weft/abi/plugin.h>

static const weft_host* plain_host;

static weft_status plain_create(const weft_host* host, const weft_node_config* config, void** node,
                                weft_error* error) {
  (void)config, (void)error;
  plain_host = host;
  *node = &plain_host;
  return WEFT_OK;
}

static weft_status plain_prepare(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                                 weft_error* error) {
  (void)node, (void)n_inputs, (void)error;
  plan->max_batch = 1;
  plan->outputs[0].kind = WEFT_KIND_BYTES;
  plan->outputs[0].max_bytes = inputs[0].max_bytes < 0 ? WEFT_UNBOUNDED : inputs[0].max_bytes + 16;
  return WEFT_OK;
}

static weft_status plain_execute(void* node, weft_request* const* requests, size_t n,
                                 const weft_execution* execution, weft_error* error) {
  (void)node, (void)execution, (void)error;
  const weft_request_api* api = plain_host->requests;
  for (size_t i = 0; i < n; ++i) {
    const weft_status status = api->set_output(requests[i], 0, api->input(requests[i], 0));
    api->complete(requests[i], status, NULL);
  }
  return WEFT_OK;
}

static void plain_destroy(void* node) { (void)node; }

static const weft_node_api plain_api = {sizeof(weft_node_api), 0, plain_create, plain_prepare, plain_execute,
                                        plain_destroy};
static const weft_port plain_inputs[] = {{sizeof(weft_port), 0, "text", "text", "What to pass on."}};
static const weft_port plain_outputs[] = {{sizeof(weft_port), 0, "text", "text", "The input."}};

#define PLAIN_NODE                                                                                      \
  {                                                                                                     \
    sizeof(weft_node_type), 1, WEFT_NODE_PURE, 0, "plain.echo", "Passes its text on.", plain_inputs, 1, \
        plain_outputs, 1, NULL, 0, &plain_api                                                           \
  }
static const weft_node_type plain_nodes[] = {PLAIN_NODE};
static const weft_plugin plain_plugin = {sizeof(weft_plugin),
                                         WEFT_ABI_VERSION,
                                         "plain",
                                         "0.1.0",
                                         "Apache-2.0",
                                         "For tests.",
                                         plain_nodes,
                                         1,
                                         NULL,
                                         0,
                                         NULL};

/* The plain plugin with other functions; outputs: NULL for its own port. */
static inline const weft_plugin* plain_plugin_with(const weft_node_api* api, const weft_port* outputs) {
  static weft_node_type node = PLAIN_NODE;
  static weft_plugin plugin;
  node.api = api;
  if (outputs != NULL) node.outputs = outputs;
  plugin = plain_plugin;
  plugin.nodes = &node;
  return &plugin;
}

/* The plain plugin whose requests are each answered by `answer`, which also completes them. */
static void (*plain_answer)(weft_request* request, const weft_execution* execution, size_t n);

static weft_status plain_execute_answers(void* node, weft_request* const* requests, size_t n,
                                         const weft_execution* execution, weft_error* error) {
  (void)node, (void)error;
  for (size_t i = 0; i < n; ++i) plain_answer(requests[i], execution, n);
  return WEFT_OK;
}

static inline const weft_plugin* plain_plugin_answering(void (*answer)(weft_request*, const weft_execution*,
                                                                       size_t)) {
  static const weft_node_api api = {
      sizeof(weft_node_api), 0, plain_create, plain_prepare, plain_execute_answers, plain_destroy};
  plain_answer = answer;
  return plain_plugin_with(&api, NULL);
}

/* Answers with a text. */
static inline void plain_complete_with_text(weft_request* request, const char* text, size_t size) {
  weft_value* value = NULL;
  weft_status status = plain_host->values->make_bytes(text, size, "text", NULL, &value);
  if (status == WEFT_OK) status = plain_host->requests->set_output(request, 0, value);
  plain_host->values->release(value);
  plain_host->requests->complete(request, status, NULL);
}

#endif
