/* The plugin contract: a shared library exports one symbol, weft_plugin_entry, which returns its descriptor.
 *
 * The descriptor and everything that it points to is constant for the life of the process. The host checks it; the
 * plugin only states facts. Structs grow at the end only; struct_size is what the plugin was compiled with.
 * Port types: "bool" "int" "float" "text" "json" "path" "bytes" "tensor" "image", a plugin's own name for a tensor with
 * the plugin's name in front ("image.latent"), "list<T>" of one of them, and "any". "path" satisfies "text", "int"
 * satisfies "float", any other pair must be equal; "any" accepts everything. See docs/abi.md. */
#ifndef WEFT_ABI_PLUGIN_H
#define WEFT_ABI_PLUGIN_H

#include "host.h"
#include "model.h"
#include "node.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define WEFT_EXPORT __attribute__((visibility("default")))
#else
#define WEFT_EXPORT
#endif

enum { WEFT_PORT_OPTIONAL = 1 };

typedef struct weft_port {
  uint32_t struct_size;
  uint32_t flags;
  const char* name;
  const char* type;
  const char* help;
} weft_port;

enum {
  WEFT_PARAMETER_PER_REQUEST = 1, /* may differ between requests: templates over node outputs are allowed */
  WEFT_PARAMETER_OPTIONAL = 2     /* has no value unless the user gives one */
};

typedef struct weft_parameter {
  uint32_t struct_size;
  uint32_t flags;
  const char* name;
  const char*
      type; /* "bool" "int" "float" "text" "path" "choice" "json" "seed" "model" "device", "list<text|int|float>" */
  const char* default_json; /* JSON text; NULL: the user must give it, unless optional */
  double minimum, maximum;  /* numbers, inclusive; -INFINITY and INFINITY where there is no bound */
  const char* const*
      choices;      /* "choice": NULL-terminated; "model": names of accepted model types, NULL-terminated */
  const char* unit; /* "tokens", "s", "" */
  const char* help;
} weft_parameter;

enum {
  WEFT_NODE_PURE = 1, /* equal inputs, parameters and models give equal outputs: may be cached */
  WEFT_NODE_READS_FILES = 2,
  WEFT_NODE_WRITES_FILES = 4,
  WEFT_NODE_USES_NETWORK = 8,
  WEFT_NODE_NONDETERMINISTIC = 16,
  WEFT_NODE_EXTRA_INPUTS = 32, /* takes further inputs of any name and type "any" */
  /* Makes further outputs, those that a pipeline refers to: of any name that create accepts, and of type "tensor". */
  WEFT_NODE_EXTRA_OUTPUTS = 64
};

typedef struct weft_node_type {
  uint32_t struct_size;
  uint32_t version; /* changes when results change; part of cache keys */
  uint32_t flags;
  uint32_t reserved;
  const char* name; /* "text.generate": a group, a dot, a verb or noun */
  const char* help;
  const weft_port* inputs;
  size_t n_inputs;
  const weft_port* outputs;
  size_t n_outputs;
  const weft_parameter* parameters;
  size_t n_parameters;
  const weft_node_api* api;
} weft_node_type;

typedef struct weft_plugin {
  uint32_t struct_size;
  uint32_t abi_version; /* WEFT_ABI_VERSION */
  const char* name;     /* "text" */
  const char* version;  /* "0.1.0" */
  const char* license;  /* SPDX expression */
  const char* help;
  const weft_node_type* nodes;
  size_t n_nodes;
  const weft_model_type* models;
  size_t n_models;
  const char* const*
      extensions; /* ids of host extensions that it cannot do without; NULL-terminated, or NULL */
} weft_plugin;

/* The one exported symbol. Must not allocate, start threads or load other libraries. NULL: the plugin cannot work with
 * a host of that version. [main] */
WEFT_EXPORT const weft_plugin* weft_plugin_entry(uint32_t host_abi_version);

#ifdef __cplusplus
}
#endif
#endif
