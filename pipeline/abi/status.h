/* Status codes and the error object of the plugin contract.
 *
 * Every fallible function returns a weft_status and, where it takes a weft_error*, fills it. The error is plain memory
 * that the caller owns: nobody allocates, nobody frees. Text fields are NUL-terminated UTF-8, cut at the field's end.
 * Thread safety: none needed; an error belongs to the caller that passed it. */
#ifndef WEFT_ABI_STATUS_H
#define WEFT_ABI_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t weft_status;

enum {
  WEFT_OK = 0,
  WEFT_INVALID_ARGUMENT = 1, /* a parameter or input has a value that this node cannot take */
  WEFT_INVALID_SHAPE = 2,    /* a tensor's rank or extent is wrong */
  WEFT_UNSUPPORTED = 3,      /* a dtype, format, architecture or option that this build does not serve */
  WEFT_NOT_FOUND = 4,        /* a file, model, tensor or name that does not exist */
  WEFT_ALREADY_EXISTS = 5,
  WEFT_CORRUPT_DATA = 6,  /* a file's content contradicts its format */
  WEFT_OUT_OF_RANGE = 7,  /* a size, index or offset beyond its bound, a declared bound exceeded */
  WEFT_IO_ERROR = 8,      /* the operating system refused a read or a write */
  WEFT_OUT_OF_MEMORY = 9, /* an allocation failed or a memory limit was reached */
  WEFT_CANCELLED = 10,    /* the request was cancelled; not an error of the node */
  WEFT_TIMED_OUT = 11,
  WEFT_VERSION_MISMATCH = 12,  /* ABI, file format or cache written by another version */
  WEFT_PERMISSION_DENIED = 13, /* refused by policy: a path outside the output folder, say */
  WEFT_INTERNAL = 14,          /* a bug in the callee */
  WEFT_DEVICE_LOST = 15        /* a fault of a device, after which it does nothing more for this process */
};

typedef struct weft_error {
  uint32_t struct_size; /* sizeof(weft_error) of the caller; the callee writes no field beyond it */
  weft_status code;
  char message[1024]; /* one sentence: what went wrong */
  char where[512];    /* "model.gguf, offset 1234" or "node 'a', port 'b'"; empty if it adds nothing */
  char expected[512];
  char got[512];
  char hint[512]; /* what the user can do about it */
} weft_error;

#ifdef __cplusplus
}
#endif
#endif
