// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/norm/norm_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int kChains = 4;  // hide the latency of additions; their number is part of the result's bits

typedef uint16_t U16 __attribute__((vector_size(kLanes * 2)));

struct F32Row {
  typedef float Element;
  static WEFT_INLINE F32 get(const float* p) { return load(p); }
  static WEFT_INLINE void put(float* p, F32 v) { store(p, v); }
};
struct BF16Row {
  typedef uint16_t Element;
  static WEFT_INLINE F32 get(const uint16_t* p) { return load_bf16(p); }
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
template <typename Row>
WEFT_INLINE void put_first(typename Row::Element* p, F32 v, int64_t n) {
  typename Row::Element whole[kLanes];
  Row::put(whole, v);
  for (int64_t i = 0; i < n; ++i) p[i] = whole[i];
}

// The sum over a row, in chains; term(v, sum) adds what a vector counts for to a chain. The last vector's lanes beyond the row
// hold `beyond`, whose term is 0.
template <typename Row, typename Term>
WEFT_INLINE float sum_over_row(const typename Row::Element* x, int64_t cols, float beyond, Term term) {
  F32 sums[kChains] = {};
  int64_t i = 0;
  for (; i + kChains * kLanes <= cols; i += kChains * kLanes) {
    WEFT_UNROLL
    for (int j = 0; j < kChains; ++j) sums[j] = term(Row::get(x + i + j * kLanes), sums[j]);
  }
  for (; i + kLanes <= cols; i += kLanes) sums[0] = term(Row::get(x + i), sums[0]);
  if (i < cols) {
    const F32 last = get_first<Row>(x + i, cols - i);
    sums[0] = term(choose(mask_of_first(cols - i), last, broadcast(beyond)), sums[0]);
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// y = each(x, weight, bias), vector by vector.
template <typename In, typename Out, typename Each>
WEFT_INLINE void map_row(const float* weight, const float* bias, const typename In::Element* x,
                         typename Out::Element* y, int64_t cols, Each each) {
  int64_t i = 0;
  for (; i + kLanes <= cols; i += kLanes)
    Out::put(y + i, each(In::get(x + i), load(weight + i), bias ? load(bias + i) : F32{}));
  const int64_t n = cols - i;
  if (n > 0)
    put_first<Out>(
        y + i,
        each(get_first<In>(x + i, n), load_first(weight + i, n), bias ? load_first(bias + i, n) : F32{}), n);
}

void rms(const float* weight, float epsilon, const float* x, float* y, int64_t cols) {
  const float squares =
      sum_over_row<F32Row>(x, cols, 0, [](F32 v, F32 sum) { return multiply_add(v, v, sum); });
  const F32 scale = broadcast(1.0f / __builtin_sqrtf(squares / static_cast<float>(cols) + epsilon));
  map_row<F32Row, F32Row>(weight, nullptr, x, y, cols, [=](F32 v, F32 w, F32) { return v * scale * w; });
}

template <typename In, typename Out>
void layer_row(const float* weight, const float* bias, float epsilon, const typename In::Element* x,
               typename Out::Element* y, int64_t cols) {
  const float inverse = 1.0f / static_cast<float>(cols);
  const float mean = sum_over_row<In>(x, cols, 0, [](F32 v, F32 sum) { return sum + v; }) * inverse;
  const F32 centre = broadcast(mean);
  const float squares = sum_over_row<In>(x, cols, mean, [=](F32 v, F32 sum) {
    const F32 d = v - centre;
    return multiply_add(d, d, sum);
  });
  const F32 scale = broadcast(1.0f / __builtin_sqrtf(squares * inverse + epsilon));
  if (bias)
    map_row<In, Out>(weight, bias, x, y, cols,
                     [=](F32 v, F32 w, F32 b) { return multiply_add((v - centre) * scale, w, b); });
  else
    map_row<In, Out>(weight, nullptr, x, y, cols,
                     [=](F32 v, F32 w, F32) { return (v - centre) * scale * w; });
}

void layer(const float* weight, const float* bias, float epsilon, const float* x, float* y, int64_t cols) {
  layer_row<F32Row, F32Row>(weight, bias, epsilon, x, y, cols);
}

void layer_mixed(const float* weight, const float* bias, float epsilon, uint8_t x_bf16, const void* x,
                 uint8_t y_bf16, void* y, int64_t cols) {
  const float* wide = static_cast<const float*>(x);
  const uint16_t* half = static_cast<const uint16_t*>(x);
  if (x_bf16 && y_bf16)
    layer_row<BF16Row, BF16Row>(weight, bias, epsilon, half, static_cast<uint16_t*>(y), cols);
  else if (x_bf16) layer_row<BF16Row, F32Row>(weight, bias, epsilon, half, static_cast<float*>(y), cols);
  else if (y_bf16) layer_row<F32Row, BF16Row>(weight, bias, epsilon, wide, static_cast<uint16_t*>(y), cols);
  else layer_row<F32Row, F32Row>(weight, bias, epsilon, wide, static_cast<float*>(y), cols);
}

}  // namespace

extern const NormBodies kNormBodies;
const NormBodies kNormBodies = {WEFT_ISA_NAME, rms, layer, layer_mixed};

}  // namespace weft::WEFT_ISA_NAMESPACE
