#include <vector>

#include "kernels/ops/gemm/dense_pack.h"
#include "kernels/ops/gemm/gemm.h"
#include "kernels/tensor_checks.h"

namespace weft {
namespace {

double sum_of_products(const Gemm& g, WeightFormat format, const void* weights, int64_t row, int64_t n) {
  const DType compute = g.w.shape.compute;
  const int64_t k = g.w.shape.k;
  double sum = g.bias ? g.bias[n] : 0;
  for (int64_t i = 0; i < k; ++i) {
    const float a = load_element(g.a.data, g.a.dtype, row * g.a.strides[0] + i);
    const float w = dense::read_weight(format, weights, n * k + i);
    sum += double{rounded_to(compute, a)} * rounded_to(compute, w);
  }
  return sum;
}

double activated(const Gemm& g, double x) {
  float value = static_cast<float>(x);
  if (!g.activation) return x;
  activation_reference(*g.activation, &value, nullptr, 1);
  return value;
}

}  // namespace

void gemm_reference(const Gemm& g, WeightFormat format, const void* weights) {
  const bool gated = g.w.shape.pairing == GemmPairing::kValueGate;
  for (int64_t row = 0; row < g.c.shape[0]; ++row) {
    for (int64_t n = 0; n < g.c.shape[1]; ++n) {
      double y = sum_of_products(g, format, weights, row, n);
      if (gated) y *= activated(g, sum_of_products(g, format, weights, row, n + g.w.shape.n / 2));
      else y = activated(g, y);
      if (g.residual.rank != 0)
        y += load_element(g.residual.data, g.residual.dtype, row * g.residual.strides[0] + n);
      store_element(g.c.data, g.c.dtype, row * g.c.strides[0] + n, static_cast<float>(y));
    }
  }
}

}  // namespace weft
