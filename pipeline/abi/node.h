/* A node: created from checked parameters, prepared with the bounds of its inputs, executed on batches of requests.
 *
 * create and prepare run before anything loads, so that the host can plan memory and refuse a run that cannot fit.
 * execute gets n independent requests, and may take more while it works; it completes each one, in any order, exactly
 * once; a single run is n = 1. The result of a request must not depend on the others in the batch.
 * Ownership: the `void* node` is the plugin's; destroy is called exactly once. Requests live until they are completed.
 * Thread safety: the host never calls two functions of one node at once. */
#ifndef WEFT_ABI_NODE_H
#define WEFT_ABI_NODE_H

#include <stddef.h>

#include "memory.h"
#include "parameters.h"
#include "status.h"
#include "types.h"
#include "value.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_host;

/* Bounds of a value before it exists. Extents and sizes are exact or upper bounds; WEFT_UNBOUNDED where none is known,
 * which the plan reports. */
#define WEFT_UNBOUNDED (-1)
typedef struct weft_spec {
  uint32_t struct_size;
  weft_kind kind;     /* 0: unknown */
  weft_dtype dtype;   /* tensors; 0: any */
  weft_device device; /* tensors */
  int32_t rank;
  int64_t shape[WEFT_MAX_RANK];
  int64_t max_bytes;       /* bytes, and the elements of a list: each */
  int64_t max_count;       /* lists */
  const weft_value* value; /* the value itself where it is known before the run, else NULL; not retained */
} weft_spec;

typedef struct weft_named_model {
  const char* parameter; /* the parameter that names it */
  void* model;           /* what the model type's open returned */
} weft_named_model;

typedef struct weft_node_config {
  uint32_t struct_size;
  uint32_t max_requests; /* most requests that one execute can have at a time: 1 for a plain run, the bound of
                                        the for_each lists around it or of a batch, 0 where that is not known */
  const char* name;      /* the node's name in the pipeline, for messages */
  const weft_parameters* parameters; /* those known before the run; per-request ones hold their defaults */
  const weft_named_model* models;
  size_t n_models;
  const char* const*
      inputs; /* names of all inputs by index: the declared ones, then extra ones in file order */
  size_t n_inputs;
  const uint8_t* input_connected; /* [n_inputs] 1 if something will arrive */
  void* self;                     /* the host's; passed to today */
  /* The day of the run where it runs: seconds from 1970-01-01T00:00:00 to its first moment, both in local time. Asking is
   * what makes results depend on it: the day is recorded like a drawn seed, repeated by `weft verify --rerun`, and part of
   * the keys of kept results. Within create only; NULL: the host has no days. [main] */
  int64_t (*today)(void* self);
  const char* const* outputs; /* names of all outputs by index: the declared ones, then extra ones. One that
                                 the node cannot make is an error of create */
  size_t n_outputs;
} weft_node_config;

typedef struct weft_node_plan {
  uint32_t struct_size;
  uint32_t max_batch; /* most requests that one execute has at a time; at least 1 */
  weft_spec* outputs; /* [n_outputs] to fill */
  size_t n_outputs;
  uint64_t workspace_bytes; /* given to execute, once per call; 0: none */
  uint64_t state_bytes;     /* what the node holds between calls (a KV cache); 0: none */
  weft_device device;
  double cost_seconds; /* rough, on one core; 0: negligible */
  /* Requests at once from which on more of them save nothing; the host tries to have as many ready. 0: max_batch, 1 where
   * that has no bound. */
  uint32_t useful_batch;
  uint32_t reserved;
} weft_node_plan;

typedef struct weft_request weft_request;

typedef struct weft_execution {
  uint32_t struct_size;
  uint32_t reserved;
  weft_stream* stream;
  void* workspace; /* workspace_bytes of the plan, 64-byte aligned, undefined contents */
  uint64_t workspace_bytes;
  void* self; /* the host's; passed to more */
  /* Takes over requests that have become ready since execute was called: writes at most `capacity` of them and returns how
   * many. They belong to this call from then on, like its first ones. Those that a call has and has not completed are never
   * more than max_batch of its plan and max_requests of its weft_node_config. A node that works in steps calls it between
   * two of them, so that requests join while others are under way. Never waits. During execute, by one thread at a time;
   * NULL: none will come. [worker] [no-alloc] */
  size_t (*more)(void* self, weft_request** requests, size_t capacity);
} weft_execution;

typedef struct weft_node_api {
  uint32_t struct_size;
  uint32_t reserved;
  weft_status (*create)(const struct weft_host* host, const weft_node_config* config, void** node,
                        weft_error* error); /* [main] */
  weft_status (*prepare)(void* node, const weft_spec* inputs, size_t n_inputs, weft_node_plan* plan,
                         weft_error* error); /* [main] */
  /* A status other than WEFT_OK fails every request not yet completed. [worker] [stream-ordered] */
  weft_status (*execute)(void* node, weft_request* const* requests, size_t n, const weft_execution* execution,
                         weft_error* error);
  void (*destroy)(void* node); /* [main] */
} weft_node_api;

/* What a node does with a request. Port indices follow the descriptor (and, for extra ports, weft_node_config). */
typedef struct weft_request_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* NULL if nothing is connected or its producer was skipped. Not retained: lives until complete. */
  const weft_value* (*input)(weft_request* request, size_t port);
  const weft_parameters* (*parameters)(
      weft_request* request); /* all of the node's, with this request's values */
  /* Streams a part of an output while it is made: the concatenation of the parts is the output. Never blocks. */
  weft_status (*emit)(weft_request* request, size_t port, const weft_value* part);
  /* Retains the value. Errors: WEFT_INVALID_ARGUMENT (wrong type), WEFT_OUT_OF_RANGE (beyond the prepared bound). */
  weft_status (*set_output)(weft_request* request, size_t port, const weft_value* value);
  void (*progress)(weft_request* request, int64_t done, int64_t total, const char* unit);
  /* 1 once the request was cancelled: stop within 100 ms and complete with WEFT_CANCELLED. [no-alloc] */
  int32_t (*cancelled)(weft_request* request);
  /* The last call for a request. error may be NULL. */
  void (*complete)(weft_request* request, weft_status status, const weft_error* error);

  /* Opens an existing file for reading, or lists a folder (a path that ends with "/"): writes the absolute path, NUL-terminated, into
   * `resolved`. Relative paths start at the pipeline file's folder. Errors: WEFT_NOT_FOUND, WEFT_PERMISSION_DENIED. */
  weft_status (*resolve_input)(weft_request* request, const char* path, char* resolved, size_t capacity,
                               weft_error* error);
  /* Reserves an output file below the output folder: writes the path of a temporary file beside the final place. The node
   * writes it and calls commit_output, which syncs and renames it and writes the final path; without it the host removes
   * the temporary. Absolute paths, ".." and links out of the folder are refused with WEFT_PERMISSION_DENIED. */
  weft_status (*begin_output)(weft_request* request, const char* path, char* temporary, size_t capacity,
                              weft_error* error);
  weft_status (*commit_output)(weft_request* request, const char* temporary, char* final_path,
                               size_t capacity, weft_error* error);
} weft_request_api;

#ifdef __cplusplus
}
#endif
#endif
