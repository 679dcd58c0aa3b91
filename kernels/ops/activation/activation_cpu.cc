// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/cpu/vector_f32.h"
#include "kernels/ops/activation/activation_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

WEFT_INLINE F32 logistic(F32 x) { return broadcast(1.0f) / (broadcast(1.0f) + exponential(-x)); }

struct Silu {
  static WEFT_INLINE F32 f(F32 x) { return x / (broadcast(1.0f) + exponential(-x)); }
};
struct GeluTanh {
  static WEFT_INLINE F32 f(F32 x) {
    // 0.5 (1 + tanh u) = logistic(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    const F32 cubic = multiply_add(x * x * x, broadcast(0.044715f), x);
    return x / (broadcast(1.0f) + exponential(cubic * broadcast(-1.5957691216057308f)));
  }
};
struct Gelu {
  static WEFT_INLINE F32 f(F32 x) {
    // erfc(a) = t exp(-a^2 + p(t)) for a = |x| / sqrt(2), t = 1 / (1 + a / 2), to 1.2e-7 of its value.
    // Source: Press et al. 1992, Numerical Recipes, section 6.2 (a Chebyshev fit).
    const F32 a = maximum(x, -x) * broadcast(0.70710678118654752f);
    const F32 t = broadcast(1.0f) / multiply_add(a, broadcast(0.5f), broadcast(1.0f));
    F32 p = broadcast(0.17087277f);
    p = multiply_add(p, t, broadcast(-0.82215223f));
    p = multiply_add(p, t, broadcast(1.48851587f));
    p = multiply_add(p, t, broadcast(-1.13520398f));
    p = multiply_add(p, t, broadcast(0.27886807f));
    p = multiply_add(p, t, broadcast(-0.18628806f));
    p = multiply_add(p, t, broadcast(0.09678418f));
    p = multiply_add(p, t, broadcast(0.37409196f));
    p = multiply_add(p, t, broadcast(1.00002368f));
    p = multiply_add(p, t, broadcast(-1.26551223f));
    const F32 half_erfc = broadcast(0.5f) * t * exponential(multiply_add(-a, a, p));
    return x * choose(x < F32{}, half_erfc, broadcast(1.0f) - half_erfc);
  }
};
struct Relu {
  static WEFT_INLINE F32 f(F32 x) { return maximum(F32{}, x); }
};
struct ReluSquared {
  static WEFT_INLINE F32 f(F32 x) { return Relu::f(x) * Relu::f(x); }
};

struct QuickGelu {
  static WEFT_INLINE F32 f(F32 x) { return x / (broadcast(1.0f) + exponential(x * broadcast(-1.702f))); }
};

template <typename Function>
void apply(float* gate, const float* up, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    if (n == kLanes) {
      const F32 y = Function::f(load(gate + i));
      store(gate + i, up ? y * load(up + i) : y);
    } else {
      const F32 y = Function::f(load_first(gate + i, n));
      store_first(gate + i, up ? y * load_first(up + i, n) : y, n);
    }
  }
}

void activate(uint8_t f, float* gate, const float* up, int64_t count) {
  switch (f) {
    case 0: return apply<Silu>(gate, up, count);
    case 1: return apply<Gelu>(gate, up, count);
    case 2: return apply<GeluTanh>(gate, up, count);
    case 3: return apply<Relu>(gate, up, count);
    case 4: return apply<ReluSquared>(gate, up, count);
    case 5: return apply<QuickGelu>(gate, up, count);
  }
}

void soft_cap(float cap, float* x, int64_t count) {
  const F32 twice_inverse = broadcast(2.0f / cap);
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = count - i < kLanes ? count - i : kLanes;
    const F32 v = n == kLanes ? load(x + i) : load_first(x + i, n);
    const F32 y = broadcast(cap) * (broadcast(2.0f) * logistic(v * twice_inverse) - broadcast(1.0f));
    store_first(x + i, y, n);
  }
}

void add(float* x, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] += y[i];
}

}  // namespace

extern const ActivationBodies kActivationBodies;
const ActivationBodies kActivationBodies = {WEFT_ISA_NAME, activate, soft_cap, add};

}  // namespace weft::WEFT_ISA_NAMESPACE
