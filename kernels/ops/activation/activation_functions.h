/// The non-linearities as functions of a vector, for sources that are compiled once per instruction set. Private to ops that
/// apply them on the way in or out; activation.h is the interface.
#ifndef WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_FUNCTIONS_H
#define WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_FUNCTIONS_H

#include "kernels/cpu/vector_f32.h"

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
    // x Phi(x) = max(x, 0) - m Phi(-m) for m = |x|, and log2(Phi(-m)) = log2(t) + p(t) - m^2 / (2 log(2)), t = 1 / (1 + 0.32 m).
    // p is the polynomial of degree 7 with the least largest error for m up to 10 (Remez): 1.5e-7 of Phi(-m), 5e-5 at 20. What
    // remains is 0 from 13 on; m ends at 20, so that no product with an infinite m is not a number.
    const F32 m = minimum(broadcast(20.0f), absolute(x));
    const F32 t = broadcast(1.0f) / multiply_add(m, broadcast(0.32f), broadcast(1.0f));
    // In pairs and pairs of pairs: the chain of dependent operations is what takes the time.
    const F32 t2 = t * t, t4 = t2 * t2;
    const F32 p01 = multiply_add(broadcast(1.42032065f), t, broadcast(-2.96832792f));
    const F32 p23 = multiply_add(broadcast(-0.47852308f), t, broadcast(0.738623286f));
    const F32 p45 = multiply_add(broadcast(-2.30583907f), t, broadcast(1.5257284f));
    const F32 p67 = multiply_add(broadcast(-0.289323804f), t, broadcast(1.35734175f));
    const F32 p = multiply_add(multiply_add(p67, t2, p45), t4, multiply_add(p23, t2, p01));
    const F32 exponent = multiply_add(m * broadcast(-0.72134752f), m, p);
    return multiply_add(-(m * t), power_of_two(exponent), maximum(F32{}, x));
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

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
