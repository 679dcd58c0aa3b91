/* Extension "weft.packed_weights/1": weights in the layout that a kernel wants, packed once, kept on disk, mapped.
 *
 * get returns the mapping for `key`, calling fill to make it only if no valid entry exists. The bytes are read-only,
 * 64-byte aligned, shared by all processes that map them, and live until release. When the disk is full or read-only
 * the host serves ordinary memory instead and logs a warning: the caller sees no difference.
 * Thread safety: any thread; two callers of one key get one fill. */
#ifndef WEFT_ABI_DRAFT_PACKED_WEIGHTS_H
#define WEFT_ABI_DRAFT_PACKED_WEIGHTS_H

#include "../status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_PACKED_WEIGHTS_ID "weft.packed_weights/1"

typedef struct weft_packed weft_packed;

typedef struct weft_packed_weights_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;
  /* key: what the bytes depend on: content hash of the source, layout id and version; at most 200 characters of
   * [a-zA-Z0-9._-]. fill writes exactly size_bytes at `destination`. Errors: what fill returned, WEFT_OUT_OF_MEMORY.
   * [worker] */
  weft_status (*get)(void* self, const char* key, uint64_t size_bytes,
                     weft_status (*fill)(void* context, void* destination, weft_error* error), void* context,
                     weft_packed** out, weft_error* error);
  const void* (*data)(const weft_packed* packed);
  void (*release)(weft_packed* packed);
} weft_packed_weights_api;

#ifdef __cplusplus
}
#endif
#endif
