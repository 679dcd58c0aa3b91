/* What flows through ports: immutable, reference-counted values behind opaque handles.
 *
 * A value is a scalar, bytes with a media type (text is UTF-8 bytes, "text/plain"), a tensor, or a list of values of
 * one type. Its type string is the port type that it satisfies: "text", "image", "list<text>" ... (plugin.h). A tensor
 * or bytes value shares the buffer that it was made from; nothing is copied unless a function says so.
 * Ownership: make_* returns a value with one reference, the caller's. Pointers obtained from a value live as long as it.
 * Thread safety: values are immutable; every function may be called from any thread. */
#ifndef WEFT_ABI_VALUE_H
#define WEFT_ABI_VALUE_H

#include <stddef.h>

#include "memory.h"
#include "status.h"
#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weft_value weft_value;

typedef int32_t weft_kind;
enum {
  WEFT_KIND_BOOL = 1,
  WEFT_KIND_INT = 2,   /* 64-bit signed */
  WEFT_KIND_FLOAT = 3, /* double */
  WEFT_KIND_BYTES = 4,
  WEFT_KIND_TENSOR = 5,
  WEFT_KIND_LIST = 6
};

typedef struct weft_value_api {
  uint32_t struct_size;
  uint32_t reserved;

  weft_status (*make_bool)(int32_t value, weft_value** out);
  weft_status (*make_int)(int64_t value, weft_value** out);
  weft_status (*make_float)(double value, weft_value** out);
  /* Copies `size` bytes. type: "text", "json", "path" or "bytes"; text-like types must be valid UTF-8.
   * media_type may be NULL for the type's own. Errors: WEFT_INVALID_ARGUMENT, WEFT_OUT_OF_MEMORY. */
  weft_status (*make_bytes)(const void* data, uint64_t size, const char* type, const char* media_type,
                            weft_value** out);
  /* Shares `buffer` (retained); view->data points into it. type: "tensor", "image" ... attributes: JSON object text that
   * says what shape and dtype do not ({"color_space":"srgb"}), or NULL. Errors: WEFT_INVALID_ARGUMENT, WEFT_OUT_OF_RANGE. */
  weft_status (*make_tensor)(weft_buffer* buffer, const weft_tensor* view, const char* type,
                             const char* attributes, weft_value** out);
  /* Retains the items. element_type: the port type of each, for example "text". */
  weft_status (*make_list)(const weft_value* const* items, size_t count, const char* element_type,
                           weft_value** out);

  void (*retain)(const weft_value* value);
  void (*release)(const weft_value* value); /* NULL is allowed */

  weft_kind (*kind)(const weft_value* value);
  const char* (*type)(const weft_value* value);
  int32_t (*get_bool)(const weft_value* value);
  int64_t (*get_int)(const weft_value* value);
  double (*get_float)(const weft_value* value); /* of an int too */
  const void* (*get_bytes)(const weft_value* value, uint64_t* size, const char** media_type);
  /* Fills view->struct_size first: the callee writes no field beyond it. */
  weft_status (*get_tensor)(const weft_value* value, weft_tensor* view, weft_buffer** buffer,
                            const char** attributes);
  size_t (*list_size)(const weft_value* value);
  const weft_value* (*list_item)(const weft_value* value, size_t index); /* not retained */
} weft_value_api;

#ifdef __cplusplus
}
#endif
#endif
