/* Read access to the parameters of a node, a request or a model. The host has checked every value against the
 * descriptor (type, range, choice) and filled in defaults, so that reading cannot fail: a name or type that the
 * descriptor does not have is a bug of the plugin and returns zero, NULL or the empty text.
 * Lifetime: pointers live as long as the weft_parameters, which lives as long as what it was passed with. */
#ifndef WEFT_ABI_PARAMETERS_H
#define WEFT_ABI_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_parameters weft_parameters;

typedef struct weft_parameter_api {
  uint32_t struct_size;
  uint32_t reserved;
  /* 1 if the user or a default gave a value, 0 for an optional parameter without one. */
  int32_t (*is_set)(const weft_parameters* parameters, const char* name);
  int32_t (*get_bool)(const weft_parameters* parameters, const char* name);
  int64_t (*get_int)(const weft_parameters* parameters, const char* name);
  double (*get_float)(const weft_parameters* parameters, const char* name);
  /* text, choice, path, device: the UTF-8 text, NUL-terminated. json and lists: their JSON text. */
  const char* (*get_text)(const weft_parameters* parameters, const char* name, size_t* size);
} weft_parameter_api;

#ifdef __cplusplus
}
#endif
#endif
