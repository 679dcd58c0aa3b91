// Rows of elements: conversions, scales. Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/ops/gemm/dense_rows.h"

#include "kernels/cpu/vector_f32.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

typedef uint32_t U32 __attribute__((vector_size(kLanes * 4)));
typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));

WEFT_INLINE F32 widen_lanes(U16 half) { return (F32)(__builtin_convertvector(half, U32) << 16); }

WEFT_INLINE U16 narrow_lanes(F32 x) {
  const U32 bits = (U32)x;
  const U32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const U32 quiet = bits >> 16 | 0x40;  // a NaN stays one
  const U32 is_nan = (U32)(x != x);
  return __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), U16);
}

void widen(const uint16_t* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    U16 half;
    __builtin_memcpy(&half, from + i, sizeof(half));
    store(to + i, widen_lanes(half));
  }
  for (; i < count; ++i) {
    const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    __builtin_memcpy(to + i, &bits, sizeof(bits));
  }
}

void narrow(const float* from, uint16_t* to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const U16 half = narrow_lanes(load(from + i));
    __builtin_memcpy(to + i, &half, sizeof(half));
  }
  if (i == count) return;
  const U16 half = narrow_lanes(load_first(from + i, count - i));
  for (int64_t lane = 0; lane < count - i; ++lane) to[i + lane] = half[lane];
}

template <typename Operation>
WEFT_INLINE void change(float* x, int64_t count, const Operation& operation) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    store(x + i, operation(load(x + i), [i](const float* p) { return load(p + i); }));
  if (i == count) return;
  const int64_t n = count - i;
  store_first(x + i, operation(load_first(x + i, n), [i, n](const float* p) { return load_first(p + i, n); }),
              n);
}

void scale_shift(float* x, const float* scale, const float* shift, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return multiply_add(v, at(scale), at(shift)); });
}

void add(float* x, const float* y, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return v + at(y); });
}

void multiply(float* x, const float* y, int64_t count) {
  change(x, count, [=](F32 v, auto at) { return v * at(y); });
}

}  // namespace

extern const DenseRowBodies kDenseRowBodies;
const DenseRowBodies kDenseRowBodies = {widen, narrow, scale_shift, add, multiply};

}  // namespace weft::WEFT_ISA_NAMESPACE
