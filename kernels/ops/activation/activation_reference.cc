#include <algorithm>
#include <cmath>

#include "kernels/ops/activation/activation.h"

namespace weft {

static double apply(Activation f, double x) {
  switch (f) {
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kGelu: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::kRelu: return std::max(x, 0.0);
    case Activation::kReluSquared: return std::max(x, 0.0) * std::max(x, 0.0);
    case Activation::kQuickGelu: return x / (1 + std::exp(-1.702 * x));
  }
  return x;
}

void activation_reference(Activation f, float* gate, const float* up, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    gate[i] = static_cast<float>(apply(f, gate[i]) * (up ? double{up[i]} : 1.0));
}

}  // namespace weft
