/* Extension "weft.cores/1": cores for libraries that start threads of their own.
 *
 * A node that calls such a library (OpenCV, FFmpeg, an ONNX runtime) borrows cores first, sets the library's number of threads
 * to what it got, and gives them back afterwards. Meanwhile teams of the executor are smaller by as many threads, so
 * that the two together keep to the process's limit. Thread safety: any thread, outside of a team's body.
 *
 *   uint32_t n = cores->borrow(cores->self, 4);
 *   cv::setNumThreads(n);
 *   ...
 *   cores->give_back(cores->self, n); */
#ifndef WEFT_ABI_DRAFT_CORES_H
#define WEFT_ABI_DRAFT_CORES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_CORES_ID "weft.cores/1"

typedef struct weft_cores_api {
  uint32_t struct_size;
  uint32_t reserved;
  void* self;
  /* Cores for up to `most` threads, the caller's own among them: at least 1, and only those that are free now; never waits. */
  uint32_t (*borrow)(void* self, uint32_t most);
  /* Exactly what borrow() returned, once. */
  void (*give_back)(void* self, uint32_t cores);
} weft_cores_api;

#ifdef __cplusplus
}
#endif
#endif
