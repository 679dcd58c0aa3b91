/* Writes behind the end of its output. */
#include "../plain_tensor.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  weft_buffer* buffer = tensor_buffer(execution, 2);
  (void)n;
  memset(plain_host->memory->data(buffer), 0, 2 * sizeof(float) + 4);
  complete_with_tensor(request, buffer, 2);
  plain_host->memory->release(buffer, execution->stream);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, tensor_plugin_answering(answer); }
