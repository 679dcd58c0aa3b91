/* The services of the host, passed to every create and open. They live as long as the process.
 * The struct grows at the end; optional services are asked for by id through extension(). */
#ifndef WEFT_ABI_HOST_H
#define WEFT_ABI_HOST_H

#include "executor.h"
#include "memory.h"
#include "node.h"
#include "parameters.h"
#include "value.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t weft_log_level;
enum { WEFT_LOG_DEBUG = 1, WEFT_LOG_INFO = 2, WEFT_LOG_WARNING = 3, WEFT_LOG_ERROR = 4 };

typedef struct weft_host {
  uint32_t struct_size;
  uint32_t abi_version;
  void* self;
  const weft_memory_api* memory;
  const weft_value_api* values;
  const weft_parameter_api* parameters;
  const weft_request_api* requests;
  const weft_executor* executor;
  /* message: one line of UTF-8. Any thread. */
  void (*log)(void* self, weft_log_level level, const char* message);
  /* The table of an extension, for example "weft.packed_weights/1" (draft/), or NULL. Any thread. */
  const void* (*extension)(void* self, const char* id);
} weft_host;

#ifdef __cplusplus
}
#endif
#endif
