/* Device memory: reference-counted buffers, stream-ordered. The host owns every pool; plugins see handles only.
 *
 * Work is queued on a stream. A buffer is valid for work queued on the stream that it was allocated on from the call
 * on; another stream calls acquire first, which makes it wait for the producer. release never blocks: the memory is
 * recycled behind every recorded use. On the CPU a stream runs its work at once, so that waits cost nothing, but the
 * same calls are required: the same plugin runs on both.
 * Thread safety: buffers and the pool from any thread; one stream from one thread at a time. */
#ifndef WEFT_ABI_MEMORY_H
#define WEFT_ABI_MEMORY_H

#include <stdint.h>

#include "status.h"
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_buffer weft_buffer;
typedef struct weft_stream weft_stream;

typedef struct weft_allocation {
  uint32_t struct_size;
  uint32_t alignment; /* bytes, a power of two; 0: the device's own, at least 64 */
  weft_device device;
  uint64_t size_bytes;
  const char* tag; /* names the buffer in traces and reports; copied */
} weft_allocation;

typedef struct weft_memory_statistics {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t live_bytes;
  uint64_t peak_bytes;
  uint64_t allocation_count;
  uint64_t copied_bytes; /* between stages; 0 on one device is the promise */
} weft_memory_statistics;

typedef struct weft_memory_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;

  /* Contents are undefined. Errors: WEFT_OUT_OF_MEMORY (limit or device), WEFT_UNSUPPORTED (device). [stream-ordered] */
  weft_status (*allocate)(void* self, const weft_allocation* request, weft_stream* stream, weft_buffer** out,
                          weft_error* error);
  void (*retain)(weft_buffer* buffer);                         /* [no-alloc] */
  void (*release)(weft_buffer* buffer, weft_stream* last_use); /* [no-alloc] NULL buffer is allowed */
  void* (*data)(const weft_buffer* buffer);                    /* [no-alloc] device address */
  uint64_t (*size_bytes)(const weft_buffer* buffer);           /* [no-alloc] */
  weft_device (*device)(const weft_buffer* buffer);            /* [no-alloc] */
  /* The contents are complete at this point of `producer`. [stream-ordered] */
  weft_status (*ready)(weft_buffer* buffer, weft_stream* producer);
  /* Makes `consumer` wait until the contents are ready, and for_write != 0: until all readers are done. [stream-ordered] */
  weft_status (*acquire)(weft_buffer* buffer, weft_stream* consumer, int32_t for_write);
  weft_device (*stream_device)(const weft_stream* stream);
  /* cudaStream_t on CUDA, NULL on the CPU. */
  void* (*native_stream)(const weft_stream* stream);
  /* Waits until all work queued so far is done; the host does it, nodes rarely need to. */
  weft_status (*synchronize)(weft_stream* stream);
  weft_status (*statistics)(void* self, weft_device device, weft_memory_statistics* out);
} weft_memory_api;

#ifdef __cplusplus
}
#endif
#endif
