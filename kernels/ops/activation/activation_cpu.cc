// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/ops/activation/activation_bodies.h"
#include "kernels/ops/activation/activation_functions.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

template <typename Function, bool kGated>
void apply(float* gate, const float* up, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    F32 y = Function::f(load(gate + i));
    if constexpr (kGated) y *= load(up + i);
    store(gate + i, y);
  }
  if (i == count) return;
  F32 y = Function::f(load_first(gate + i, count - i));
  if constexpr (kGated) y *= load_first(up + i, count - i);
  store_first(gate + i, y, count - i);
}

template <bool kGated>
void activate_any(uint8_t f, float* gate, const float* up, int64_t count) {
  switch (f) {
    case 0: return apply<Silu, kGated>(gate, up, count);
    case 1: return apply<Gelu, kGated>(gate, up, count);
    case 2: return apply<GeluTanh, kGated>(gate, up, count);
    case 3: return apply<Relu, kGated>(gate, up, count);
    case 4: return apply<ReluSquared, kGated>(gate, up, count);
    case 5: return apply<QuickGelu, kGated>(gate, up, count);
  }
}

void activate(uint8_t f, float* gate, const float* up, int64_t count) {
  if (up != nullptr) activate_any<true>(f, gate, up, count);
  else activate_any<false>(f, gate, up, count);
}

void soft_cap(float cap, float* x, int64_t count) {
  const F32 twice_inverse = broadcast(2.0f / cap);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    const F32 v = n == kLanes ? load(x + i) : load_first(x + i, n);
    const F32 y = broadcast(cap) * (broadcast(2.0f) * logistic(v * twice_inverse) - broadcast(1.0f));
    if (n == kLanes) store(x + i, y);
    else store_first(x + i, y, n);
  }
}

void add(float* x, const float* y, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(x + i, load(x + i) + load(y + i));
  if (i < count) store_first(x + i, load_first(x + i, count - i) + load_first(y + i, count - i), count - i);
}

}  // namespace

extern const ActivationBodies kActivationBodies;
const ActivationBodies kActivationBodies = {WEFT_ISA_NAME, activate, soft_cap, add};

}  // namespace weft::WEFT_ISA_NAMESPACE
