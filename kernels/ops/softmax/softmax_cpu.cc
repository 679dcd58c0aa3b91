// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/softmax/softmax_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int64_t kSummed = 4096;  // columns added in f32, before double takes over
constexpr int kChains = 4;         // hide the latency of additions; part of the result's bits

float largest(const float* x, int64_t n) {
  F32 most[kChains];  // maximum() keeps its second operand where one is not a number
  for (F32& v : most) v = broadcast(-__builtin_inff());
  int64_t i = 0;
  for (; i + kChains * kLanes <= n; i += kChains * kLanes) {
    WEFT_UNROLL
    for (int j = 0; j < kChains; ++j) most[j] = maximum(load(x + i + j * kLanes), most[j]);
  }
  float result = max_lanes(maximum(maximum(most[0], most[1]), maximum(most[2], most[3])));
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// Sums of what `term` makes of each vector and its place; of the last one only the first n lanes count.
template <typename Term>
WEFT_INLINE double sum_blocks(const float* x, int64_t n, Term term) {
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += kSummed) {
    const int64_t end = begin + kSummed < n ? begin + kSummed : n;
    F32 sums[kChains] = {};
    int64_t i = begin;
    for (; i + kChains * kLanes <= end; i += kChains * kLanes) {
      WEFT_UNROLL
      for (int j = 0; j < kChains; ++j) sums[j] += term(load(x + i + j * kLanes), i + j * kLanes, kLanes);
    }
    for (; i < end; i += kLanes) {
      const int64_t count = end - i < kLanes ? end - i : kLanes;
      const F32 last = term(count == kLanes ? load(x + i) : load_first(x + i, count), i, count);
      sums[0] += keep_where(mask_of_first(count), last);
    }
    total += static_cast<double>(sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3])));
  }
  return total;
}

double exponentials(const float* x, int64_t n, float scale, float most, float* y) {
  const F32 shift = broadcast(most), factor = broadcast(scale);
  return sum_blocks(x, n, [=](F32 v, int64_t at, int64_t count) {
    const F32 e = exponential_of_negative((v - shift) * factor);
    if (count == kLanes) store(y + at, e);
    else store_first(y + at, e, count);
    return e;
  });
}

double sum_exponentials(const float* x, int64_t n, float most) {
  const F32 shift = broadcast(most);
  return sum_blocks(
      x, n, [=](F32 v, int64_t, int64_t) { return keep_where(v == v, exponential_of_negative(v - shift)); });
}

void multiply(float* y, int64_t n, float factor) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load(y + i) * broadcast(factor));
  for (; i < n; ++i) y[i] *= factor;
}

}  // namespace

extern const SoftmaxBodies kSoftmaxBodies;
const SoftmaxBodies kSoftmaxBodies = {WEFT_ISA_NAME, largest, exponentials, sum_exponentials, multiply};

}  // namespace weft::WEFT_ISA_NAMESPACE
