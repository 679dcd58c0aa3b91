/* Extension "weft.run_record/1": how the values of a run are made, as a text that a node may keep with a file.
 *
 * text gives a JSON object with the pipeline, the values of its inputs and its drawn seeds: all that `weft run FILE`
 * needs to make the file again, if FILE is a picture that holds it. It has no time and no path of this machine, and is
 * the same for equal runs. Inputs of type "path" are left out: whoever runs the file names them.
 * Thread safety: any thread. */
#ifndef WEFT_ABI_DRAFT_RUN_RECORD_H
#define WEFT_ABI_DRAFT_RUN_RECORD_H

#include "../node.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_RUN_RECORD_ID "weft.run_record/1"

typedef struct weft_run_record_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* UTF-8 of *size bytes, NUL-terminated; the empty text where no pipeline runs (a test of one node). Lives until the
   * request is complete. [worker] */
  const char* (*text)(const weft_request* request, size_t* size);
} weft_run_record_api;

#ifdef __cplusplus
}
#endif
#endif
