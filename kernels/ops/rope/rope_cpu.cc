// Compiled once per instruction set; see kernels/cpu/isa_bodies.h. Plain loops that the compiler vectorises.
#include "kernels/cpu/isa_bodies.h"
#include "kernels/ops/rope/rope_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

void interleaved(const float* cos_sin, float* x, int64_t n_rotated) {
  for (int64_t i = 0; i < n_rotated; i += 2) {
    const float a = x[i], b = x[i + 1], c = cos_sin[i], s = cos_sin[i + 1];
    x[i] = a * c - b * s;
    x[i + 1] = a * s + b * c;
  }
}

void halves(const float* cos_sin, float* x, int64_t n_rotated) {
  const int64_t half = n_rotated / 2;
  float* __restrict low = x;
  float* __restrict high = x + half;
  for (int64_t i = 0; i < half; ++i) {
    const float a = low[i], b = high[i], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
    low[i] = a * c - b * s;
    high[i] = a * s + b * c;
  }
}

}  // namespace

extern const RopeBodies kRopeBodies;
const RopeBodies kRopeBodies = {WEFT_ISA_NAME, interleaved, halves};

}  // namespace weft::WEFT_ISA_NAMESPACE
