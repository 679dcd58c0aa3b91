#include <vector>

#include "kernels/ops/matmul/matmul.h"
#include "kernels/quant/dequantize.h"

namespace weft {

void matmul_reference(WeightFormat format, int64_t n, int64_t k, const void* src, const Activations& a,
                      float* y) {
  std::vector<float> w(static_cast<size_t>(k));
  for (int64_t row = 0; row < n; ++row) {
    dequantize(format, static_cast<const uint8_t*>(src) + row * weights_bytes(format, k), k, w.data());
    for (int64_t i = 0; i < a.m; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j) sum += double{a.x[i * a.x_stride + j]} * w[static_cast<size_t>(j)];
      y[i * n + row] = static_cast<float>(sum);
    }
  }
}

}  // namespace weft
