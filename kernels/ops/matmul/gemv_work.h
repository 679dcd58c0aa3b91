/// What the kernels of gemv.cu and gemv_tiles.cu are told, and what they do with a product; device code, private to them.
#ifndef WEFT_KERNELS_OPS_MATMUL_GEMV_WORK_H
#define WEFT_KERNELS_OPS_MATMUL_GEMV_WORK_H

#include "kernels/ops/activation/activation_device.h"
#include "kernels/ops/matmul/gemv_cuda.h"
#include "kernels/quant/weight_tiles.h"

namespace weft {

/// One product of a launch.
struct GemvOperand {
  const uint8_t* w;
  float* y;
  const float* bias;
  int64_t n;
};

struct GemvWork {
  GemvOperand first;
  const uint8_t* up;
  const float* x;
  const float* norm_weight;
  const float* added;
  int64_t m, k;
  float epsilon;
  bool activates;
  Activation f;
  GemvOperand more[2];
};

inline GemvWork gemv_work(const GemvCuda& g) {
  const auto operand = [](const GemvMatrix& m) {
    return GemvOperand{static_cast<const uint8_t*>(m.w), m.y, m.bias, m.n};
  };
  return {operand({g.w, g.y, g.bias, g.n}),
          static_cast<const uint8_t*>(g.up),
          g.x,
          g.norm_weight,
          g.added,
          g.m,
          g.k,
          g.epsilon,
          g.f.has_value(),
          g.f.value_or(Activation::kSilu),
          {operand(g.more[0]), operand(g.more[1])}};
}

/// y = f(y + bias) * factor + added, as far as there are such, of the element at `row` of token `token`.
__device__ __forceinline__ void finish(const GemvWork& work, const GemvOperand& matrix, float y, float factor,
                                       int64_t token, int64_t row) {
  if (matrix.bias != nullptr) y += matrix.bias[row];
  if (work.activates) y = device::activated(work.f, y);
  if (work.up != nullptr) y *= factor;
  const int64_t at = token * matrix.n + row;
  if (work.added != nullptr) y += work.added[at];
  matrix.y[at] = y;
}

/// Of quantised matrices, in tiles. Precondition: what gemv_cuda() checks, m and n above 0.
Status gemv_of_tiles(const GemvCuda& g, CUstream_st* stream);

}  // namespace weft
#endif
