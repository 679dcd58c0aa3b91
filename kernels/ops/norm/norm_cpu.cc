// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/norm/norm_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

// Two accumulators hide the latency of the addition; their number is part of the result's bits.
template <typename Term>
WEFT_INLINE float sum_over_row(const float* x, int64_t cols, Term term) {
  F32 even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= cols; i += 2 * kLanes) {
    even = term(load(x + i), even, kLanes);
    odd = term(load(x + i + kLanes), odd, kLanes);
  }
  for (; i < cols; i += kLanes) {
    const int64_t n = cols - i < kLanes ? cols - i : kLanes;
    even = term(n == kLanes ? load(x + i) : load_first(x + i, n), even, n);
  }
  return sum_lanes(even + odd);
}

void rms(const float* weight, float epsilon, const float* x, float* y, int64_t cols) {
  const float squares =
      sum_over_row(x, cols, [](F32 v, F32 sum, int64_t) { return multiply_add(v, v, sum); });
  const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + epsilon);
  int64_t i = 0;
  for (; i + kLanes <= cols; i += kLanes) store(y + i, load(x + i) * broadcast(scale) * load(weight + i));
  for (; i < cols; ++i) y[i] = x[i] * scale * weight[i];
}

typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));

struct F32Row {
  typedef float Element;
  static WEFT_INLINE F32 get(const float* p) { return load(p); }
  static WEFT_INLINE void put(float* p, F32 v) { store(p, v); }
};
struct BF16Row {
  typedef uint16_t Element;
  static WEFT_INLINE F32 get(const uint16_t* p) {
    U16 bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    return (F32)(__builtin_convertvector(bits, I32) << 16);
  }
  static WEFT_INLINE void put(uint16_t* p, F32 v) {  // to nearest even; a NaN stays one
    const I32 bits = (I32)v;
    const I32 rounded = bits + 0x7fff + ((bits >> 16) & 1);
    const I32 nan = v != v;
    const U16 half =
        __builtin_convertvector((((nan & (bits | 0x400000)) | (~nan & rounded)) >> 16) & 0xffff, U16);
    __builtin_memcpy(p, &half, sizeof half);
  }
};

// The first n lanes, the others 0.
template <typename Row>
WEFT_INLINE F32 get_first(const typename Row::Element* p, int64_t n) {
  typename Row::Element whole[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) whole[i] = p[i];
  return Row::get(whole);
}

template <typename In, typename Out>
void layer_rows(const float* weight, const float* bias, float epsilon, const typename In::Element* x,
                typename Out::Element* y, int64_t cols) {
  F32 even = {}, odd = {};
  int64_t i = 0;
  for (; i + 2 * kLanes <= cols; i += 2 * kLanes) {
    even += In::get(x + i);
    odd += In::get(x + i + kLanes);
  }
  for (; i < cols; i += kLanes) even += cols - i < kLanes ? get_first<In>(x + i, cols - i) : In::get(x + i);
  const float mean = sum_lanes(even + odd) / static_cast<float>(cols);
  even = odd = F32{};
  for (i = 0; i + 2 * kLanes <= cols; i += 2 * kLanes) {
    const F32 a = In::get(x + i) - broadcast(mean), b = In::get(x + i + kLanes) - broadcast(mean);
    even = multiply_add(a, a, even);
    odd = multiply_add(b, b, odd);
  }
  for (; i < cols; i += kLanes) {
    const int64_t n = cols - i < kLanes ? cols - i : kLanes;
    F32 d = (n < kLanes ? get_first<In>(x + i, n) : In::get(x + i)) - broadcast(mean);
    for (int64_t lane = n; lane < kLanes; ++lane) d[lane] = 0;
    even = multiply_add(d, d, even);
  }
  const float scale = 1.0f / __builtin_sqrtf(sum_lanes(even + odd) / static_cast<float>(cols) + epsilon);
  for (i = 0; i < cols; i += kLanes) {
    const int64_t n = cols - i < kLanes ? cols - i : kLanes;
    const bool whole = n == kLanes;
    F32 v = ((whole ? In::get(x + i) : get_first<In>(x + i, n)) - broadcast(mean)) * broadcast(scale);
    v = v * (whole ? load(weight + i) : load_first(weight + i, n));
    if (bias) v = v + (whole ? load(bias + i) : load_first(bias + i, n));
    if (whole) {
      Out::put(y + i, v);
    } else {
      typename Out::Element part[kLanes];
      Out::put(part, v);
      for (int64_t lane = 0; lane < n; ++lane) y[i + lane] = part[lane];
    }
  }
}

void layer(const float* weight, const float* bias, float epsilon, const float* x, float* y, int64_t cols) {
  layer_rows<F32Row, F32Row>(weight, bias, epsilon, x, y, cols);
}

void layer_mixed(const float* weight, const float* bias, float epsilon, uint8_t x_bf16, const void* x,
                 uint8_t y_bf16, void* y, int64_t cols) {
  const float* wide = static_cast<const float*>(x);
  const uint16_t* half = static_cast<const uint16_t*>(x);
  if (x_bf16 && y_bf16)
    layer_rows<BF16Row, BF16Row>(weight, bias, epsilon, half, static_cast<uint16_t*>(y), cols);
  else if (x_bf16) layer_rows<BF16Row, F32Row>(weight, bias, epsilon, half, static_cast<float*>(y), cols);
  else if (y_bf16) layer_rows<F32Row, BF16Row>(weight, bias, epsilon, wide, static_cast<uint16_t*>(y), cols);
  else layer_rows<F32Row, F32Row>(weight, bias, epsilon, wide, static_cast<float*>(y), cols);
}

}  // namespace

extern const NormBodies kNormBodies;
const NormBodies kNormBodies = {WEFT_ISA_NAME, rms, layer, layer_mixed};

}  // namespace weft::WEFT_ISA_NAMESPACE
