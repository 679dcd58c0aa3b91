/* Extension "weft.previews/1": pictures of what is being made, for whoever watches a run.
 *
 * A preview is a thing to look at, not a result: it is in no output, no manifest and no key, and none may come where nobody
 * asked. Making one may take time and memory, so nodes ask wanted() first, in prepare too, where what it takes is planned.
 * Thread safety: any thread. */
#ifndef WEFT_ABI_DRAFT_PREVIEWS_H
#define WEFT_ABI_DRAFT_PREVIEWS_H

#include "../node.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_PREVIEWS_ID "weft.previews/1"

typedef struct weft_previews_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;
  /* 1 if somebody looks; the same as long as the host lives. */
  int32_t (*wanted)(void* self);
  /* A whole file of type "image/png"; it replaces the request's last one. Not retained. Where the request tells its progress
   * too, the preview comes first. Within execute only. [worker] */
  void (*show)(void* self, const weft_request* request, const char* media_type, const void* bytes,
               size_t size);
} weft_previews_api;

#ifdef __cplusplus
}
#endif
#endif
