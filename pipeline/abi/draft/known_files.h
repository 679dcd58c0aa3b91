/* Extension "weft.known_files/1": files whose paths are known before the run.
 *
 * A node that reads a file, and whose path is among its parameters in create, can look at the file's header there and give
 * prepare's bounds by it: the size of one picture, not of the largest allowed. The file counts as read by the run only once a
 * request opens it, and may be another one by then: the node checks the bounds that it gave.
 * Thread safety: [main], within create and prepare and on the thread that they were called on; elsewhere, and under a host
 * that runs a node alone, WEFT_NOT_FOUND. */
#ifndef WEFT_ABI_DRAFT_KNOWN_FILES_H
#define WEFT_ABI_DRAFT_KNOWN_FILES_H

#include "../node.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_KNOWN_FILES_ID "weft.known_files/1"

typedef struct weft_known_files_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;
  /* What resolve_input of a request will say of this path, under the same rules, for a file that is there already: writes the
   * absolute path, NUL-terminated, into `resolved`. Errors: those of resolve_input. A file that is missing is no error of the
   * node yet: it may be written, or the node skipped. [main] */
  weft_status (*resolve)(void* self, const char* path, char* resolved, size_t capacity, weft_error* error);
} weft_known_files_api;

#ifdef __cplusplus
}
#endif
#endif
