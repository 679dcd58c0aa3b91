/* Element types, devices and the non-owning tensor view. Layout follows DLPack 1.x (dlpack.h of the DLPack project):
 * a data pointer, a byte offset, extents and strides in elements.
 *
 * A view does not own: whoever hands it out says how long the memory lives. Strides are always filled. */
#ifndef WEFT_ABI_TYPES_H
#define WEFT_ABI_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t weft_dtype;
enum {
  WEFT_DTYPE_BOOL = 1, /* one byte, 0 or 1 */
  WEFT_DTYPE_U8 = 2,
  WEFT_DTYPE_I8 = 3,
  WEFT_DTYPE_I16 = 4,
  WEFT_DTYPE_I32 = 5,
  WEFT_DTYPE_I64 = 6,
  WEFT_DTYPE_F16 = 7,
  WEFT_DTYPE_BF16 = 8,
  WEFT_DTYPE_F32 = 9,
  WEFT_DTYPE_F64 = 10
};

typedef int32_t weft_device_kind;
enum {
  WEFT_DEVICE_CPU = 1,  /* DLPack's kDLCPU */
  WEFT_DEVICE_CUDA = 2, /* kDLCUDA */
  WEFT_DEVICE_SIMT = 12 /* kDLExtDev: CUDA's kernels on the CPU, for tests */
};

typedef struct weft_device {
  weft_device_kind kind;
  int32_t index; /* 0 for the CPU */
} weft_device;

#define WEFT_MAX_RANK 8

typedef struct weft_tensor {
  uint32_t struct_size;
  weft_dtype dtype;
  weft_device device;
  int32_t rank; /* 0 to WEFT_MAX_RANK */
  uint32_t reserved;
  void* data;                     /* first element */
  int64_t shape[WEFT_MAX_RANK];   /* extents, in elements */
  int64_t strides[WEFT_MAX_RANK]; /* in elements, never implied */
} weft_tensor;

#ifdef __cplusplus
}
#endif
#endif
