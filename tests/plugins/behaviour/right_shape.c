/* Gives the two numbers that it promised: nothing is wrong with this one. */
#include "../plain_tensor.h"

static void answer(weft_request* request, const weft_execution* execution, size_t n) {
  weft_buffer* buffer = tensor_buffer(execution, 2);
  (void)n;
  complete_with_tensor(request, buffer, 2);
  plain_host->memory->release(buffer, execution->stream);
}

const weft_plugin* weft_plugin_entry(uint32_t host) { return (void)host, tensor_plugin_answering(answer); }
