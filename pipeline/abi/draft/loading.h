/* Extension "weft.loading/1": whether a model that is being loaded is still wanted, and how much memory models may take.
 *
 * Reading and packing gigabytes takes seconds. A model's load() asks between two tensors, at least every 50 ms, and returns
 * WEFT_CANCELLED once the answer is not 0; the host may call load() again later. Packed weights (packed_weights.h) that load()
 * gets meanwhile end with the same status. Thread safety: asked on the thread that load() was called on; elsewhere the answer
 * is 0. */
#ifndef WEFT_ABI_DRAFT_LOADING_H
#define WEFT_ABI_DRAFT_LOADING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_LOADING_ID "weft.loading/1"

typedef struct weft_loading_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;
  int32_t (*cancelled)(void* self);
  /* Bytes that the weights of all models may take together; 0: no limit. A model that can do with less, by keeping only parts
   * of itself in memory, asks in open() and says so in estimate(). [any thread] */
  uint64_t (*limit_bytes)(void* self);
} weft_loading_api;

#ifdef __cplusplus
}
#endif
#endif
