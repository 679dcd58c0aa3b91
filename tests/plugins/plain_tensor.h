/* The plain plugin with a tensor of two f32 numbers as its output. */
#ifndef WEFT_TESTS_PLUGINS_PLAIN_TENSOR_H
#define WEFT_TESTS_PLUGINS_PLAIN_TENSOR_H

#include <string.h>

#include "plain_plugin.h"

static const weft_port tensor_outputs[] = {{sizeof(weft_port), 0, "tensor", "tensor", "Two numbers."}};

static weft_status tensor_prepare(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                                  weft_error* error) {
  (void)node, (void)inputs, (void)n_inputs, (void)error;
  plan->max_batch = 1;
  plan->outputs[0].kind = WEFT_KIND_TENSOR;
  plan->outputs[0].dtype = WEFT_DTYPE_F32;
  plan->outputs[0].device.kind = WEFT_DEVICE_CPU;
  plan->outputs[0].rank = 1;
  plan->outputs[0].shape[0] = 2;
  return WEFT_OK;
}

static const weft_node_api tensor_api = {
    sizeof(weft_node_api), 0, plain_create, tensor_prepare, plain_execute_answers, plain_destroy};

static inline const weft_plugin* tensor_plugin_answering(void (*answer)(weft_request*, const weft_execution*,
                                                                        size_t)) {
  plain_answer = answer;
  return plain_plugin_with(&tensor_api, tensor_outputs);
}

/* `count` zeros. */
static inline weft_buffer* tensor_buffer(const weft_execution* execution, size_t count) {
  weft_allocation request;
  weft_buffer* buffer = NULL;
  memset(&request, 0, sizeof request);
  request.struct_size = sizeof request;
  request.device.kind = WEFT_DEVICE_CPU;
  request.size_bytes = count * sizeof(float);
  request.tag = "numbers";
  if (plain_host->memory->allocate(plain_host->memory->self, &request, execution->stream, &buffer, NULL) !=
      WEFT_OK) {
    return NULL;
  }
  memset(plain_host->memory->data(buffer), 0, count * sizeof(float));
  return buffer;
}

/* Answers with the first `count` numbers of the buffer. */
static inline void complete_with_tensor(weft_request* request, weft_buffer* buffer, size_t count) {
  weft_tensor view;
  weft_value* value = NULL;
  weft_status status;
  memset(&view, 0, sizeof view);
  view.struct_size = sizeof view;
  view.dtype = WEFT_DTYPE_F32;
  view.device.kind = WEFT_DEVICE_CPU;
  view.rank = 1;
  view.data = plain_host->memory->data(buffer);
  view.shape[0] = (int64_t)count;
  view.strides[0] = 1;
  status = plain_host->values->make_tensor(buffer, &view, "tensor", NULL, &value);
  if (status == WEFT_OK) plain_host->requests->set_output(request, 0, value);
  plain_host->values->release(value);
  plain_host->requests->complete(request, status, NULL);
}

#endif
