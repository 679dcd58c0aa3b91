/* A model type: weights that the host loads once, shares between all nodes that name them, counts and evicts.
 *
 * A model goes open -> load -> (evict -> load)* -> close. After open, which reads headers and configuration only, the
 * model can be asked for its size, and nodes can be created and prepared on it; execute happens only while loaded.
 * Ownership: the `void* model` is the plugin's; the host calls close exactly once. Nodes get the pointer in their
 * weft_node_config and do not own it.
 * Thread safety: the host never calls two of these at once on one model, nor evict while a node executes on it. */
#ifndef WEFT_ABI_MODEL_H
#define WEFT_ABI_MODEL_H

#include "memory.h"
#include "parameters.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_host;
struct weft_parameter;

typedef struct weft_model_source {
  uint32_t struct_size;
  uint32_t reserved;
  const char* path;   /* file or folder, found on the search path by the host, absolute */
  const char* sha256; /* lower-case hexadecimal of the file's content; "" for a folder or not known yet */
  const weft_parameters* parameters; /* of the "models" entry, as the model type declares them */
  void* self;                        /* the host's; passed to add_file */
  /* Notes a further file or folder that the model reads: an adapter, another part of split weights, a vocabulary beside
   * them. What is noted belongs to the model's content: it is in the manifest, and in the keys of results that are kept.
   * `path` is absolute. Writes the SHA-256 of the content, NUL-terminated, which may be part of a packed weight's key.
   * Within open only; NULL: the host keeps nothing. Errors: WEFT_NOT_FOUND, WEFT_IO_ERROR. [main] */
  weft_status (*add_file)(void* self, const char* path, char sha256[65], weft_error* error);
} weft_model_source;

typedef struct weft_model_estimate {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t resident_bytes; /* memory that load takes on `device` and holds until evict */
  uint64_t mapped_bytes;   /* file pages that stay mapped and that the system may drop */
  weft_device device;
  uint64_t offloaded_bytes; /* memory of the CPU that load takes besides, where `device` is another */
} weft_model_estimate;

typedef struct weft_model_type {
  uint32_t struct_size;
  uint32_t version; /* changes when results change; part of cache keys */
  const char* name; /* "text.language_model" */
  const char* help;
  const struct weft_parameter* parameters;
  size_t n_parameters;

  /* Reads headers only. Errors: WEFT_NOT_FOUND, WEFT_CORRUPT_DATA, WEFT_UNSUPPORTED; they name file and offset. [main] */
  weft_status (*open)(const struct weft_host* host, const weft_model_source* source, void** model,
                      weft_error* error);
  weft_status (*estimate)(void* model, weft_model_estimate* out, weft_error* error); /* [main] */
  /* Makes the weights usable. May be called again after evict. [worker] [stream-ordered] */
  weft_status (*load)(void* model, weft_stream* stream, weft_error* error);
  void (*evict)(void* model); /* [worker] */
  void (*close)(void* model); /* [main] */
  /* Makes resident_bytes at most `most_bytes`: parts of the model wait in the CPU's memory and come to the device as they are
   * needed. The next estimate says what that takes. The host asks where a plan does not fit, while the model is not loaded; later, with
   * more bytes, where one has room: what fits into them comes back to the device.
   * NULL: the model is there whole or not at all. Errors: WEFT_OUT_OF_MEMORY, WEFT_UNSUPPORTED. [main] */
  weft_status (*offload)(void* model, uint64_t most_bytes, weft_error* error);
} weft_model_type;

#ifdef __cplusplus
}
#endif
#endif
