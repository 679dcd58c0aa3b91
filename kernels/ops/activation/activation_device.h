/// The non-linearities of activation.h in device code. Private to kernels that apply them on the way out.
#ifndef WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_DEVICE_H
#define WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_DEVICE_H

#include "kernels/ops/activation/activation.h"
#include "kernels/simt/target.h"

namespace weft::device {

/// f is the same in all threads of a warp.
__device__ __forceinline__ float activated(Activation f, float x) {
  switch (f) {
    case Activation::kSilu: return x / (1.0f + expf(-x));
    case Activation::kGelu: return 0.5f * x * erfcf(x * -0.70710678118654752f);
    // 0.5 (1 + tanh u) = 1 / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
    case Activation::kGeluTanh: return x / (1.0f + expf(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case Activation::kRelu: return fmaxf(x, 0.0f);
    case Activation::kReluSquared: return fmaxf(x, 0.0f) * fmaxf(x, 0.0f);
    case Activation::kQuickGelu: return x / (1.0f + expf(-1.702f * x));
  }
  return x;
}

}  // namespace weft::device
#endif
