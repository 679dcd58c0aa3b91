/* Forgets to release its own reference to a buffer. */
#include "../plain_tensor.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  weft_buffer* buffer = tensor_buffer(execution, 2);
  (void)n;
  complete_with_tensor(request, buffer, 2);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, tensor_plugin_answering(answer); }
