/// The order of top_k.h for kernels: numbers as words that grow with them, -0 as 0.
#ifndef WEFT_KERNELS_OPS_TOP_K_ORDER_DEVICE_H
#define WEFT_KERNELS_OPS_TOP_K_ORDER_DEVICE_H

#include "kernels/simt/target.h"

namespace weft::device {

/// 0 for what is not a number, which comes after all others.
__device__ __forceinline__ uint32_t order_of(float value) {
  if (value != value) return 0;
  const uint32_t bits = __float_as_uint(value + 0.0f);  // -0 becomes 0, its equal
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float value_of(uint32_t order) {
  return __uint_as_float(order >> 31 ? order & 0x7fffffffu : ~order);
}

}  // namespace weft::device
#endif
