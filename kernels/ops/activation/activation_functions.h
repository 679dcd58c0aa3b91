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
/// exponential() of what is not positive, in the fewer instructions: AVX-512 scales by a power of two in one.
WEFT_INLINE F32 decay(F32 x) {
#if defined(WEFT_ISA_AVX512)
  return exponential(x);
#else
  return exponential_of_negative(x);
#endif
}

struct Gelu {
  static WEFT_INLINE F32 f(F32 x) {
    // x Phi(x) = max(x, 0) - |x| erfc(a) / 2 for a = |x| / sqrt(2). erfc(a) = t exp(-a^2 + p(t)), t = 1 / (1 + a / 2), to 1.2e-7
    // of its value, so that the exponent is at most log(1 / 2). Beyond 20 it is 0, and so is its product with |x|, infinite or not.
    // Source: Press et al. 1992, Numerical Recipes, section 6.2 (a Chebyshev fit); log(2) is taken from its constant.
    const F32 magnitude = minimum(broadcast(20.0f), maximum(x, -x));
    const F32 a = magnitude * broadcast(0.70710678118654752f);
    const F32 t = broadcast(1.0f) / multiply_add(a, broadcast(0.5f), broadcast(1.0f));
    // In pairs and pairs of pairs: the chain of dependent operations is what takes the time.
    const F32 t2 = t * t, t4 = t2 * t2;
    const F32 p01 = multiply_add(broadcast(1.00002368f), t, broadcast(-1.26551223f - 0.69314718f));
    const F32 p23 = multiply_add(broadcast(0.09678418f), t, broadcast(0.37409196f));
    const F32 p45 = multiply_add(broadcast(0.27886807f), t, broadcast(-0.18628806f));
    const F32 p67 = multiply_add(broadcast(1.48851587f), t, broadcast(-1.13520398f));
    const F32 p89 = multiply_add(broadcast(0.17087277f), t, broadcast(-0.82215223f));
    const F32 low = multiply_add(p23, t2, p01), high = multiply_add(p67, t2, p45);
    const F32 p = multiply_add(multiply_add(p89, t4, high), t4, low);
    return multiply_add(-(magnitude * t), decay(multiply_add(-a, a, p)), maximum(F32{}, x));
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
