#include "kernels/ops/activation/activation.h"

#include "kernels/ops/activation/activation_bodies.h"

namespace weft {

static_assert(static_cast<int>(Activation::kSilu) == 0 && static_cast<int>(Activation::kGelu) == 1 &&
              static_cast<int>(Activation::kGeluTanh) == 2 && static_cast<int>(Activation::kRelu) == 3 &&
              static_cast<int>(Activation::kReluSquared) == 4 &&
              static_cast<int>(Activation::kQuickGelu) == 5);

void activate(Activation f, float* x, int64_t count, IsaLevel level) {
  WEFT_ISA_BODY(kActivationBodies, level).activate(static_cast<uint8_t>(f), x, nullptr, count);
}
void activate_gated(Activation f, float* gate, const float* up, int64_t count, IsaLevel level) {
  WEFT_ISA_BODY(kActivationBodies, level).activate(static_cast<uint8_t>(f), gate, up, count);
}
void soft_cap(float cap, float* x, int64_t count, IsaLevel level) {
  WEFT_ISA_BODY(kActivationBodies, level).soft_cap(cap, x, count);
}
void add(float* x, const float* y, int64_t count, IsaLevel level) {
  WEFT_ISA_BODY(kActivationBodies, level).add(x, y, count);
}

}  // namespace weft
