/// Pointwise non-linearities of MLPs, plain and gated.
///
/// kSilu: x / (1 + exp(-x)).  kGelu: x * Phi(x), exact (erf).  kGeluTanh: its tanh approximation.  kRelu: max(x, 0).
/// kReluSquared: max(x, 0)^2.  kQuickGelu: x / (1 + exp(-1.702 x)). SwiGLU and GeGLU are the gated forms with kSilu and kGeluTanh or kGelu.
/// Source: Hendrycks & Gimpel 2016, arXiv:1606.08415; Shazeer 2020, arXiv:2002.05202.
#ifndef WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_H
#define WEFT_KERNELS_OPS_ACTIVATION_ACTIVATION_H

#include <cstdint>

#include "kernels/cpu/isa.h"

namespace weft {

enum class Activation : uint8_t { kSilu, kGelu, kGeluTanh, kRelu, kReluSquared, kQuickGelu };

/// x[i] = f(x[i]); x: [count] f32. No allocation, no threads: callers split the range. An element's bits
/// depend on the element alone.
void activate(Activation f, float* x, int64_t count, IsaLevel level = active_isa());

/// gate[i] = f(gate[i]) * up[i]; gate, up: [count] f32, not overlapping.
void activate_gated(Activation f, float* gate, const float* up, int64_t count, IsaLevel level = active_isa());

/// x[i] = cap * tanh(x[i] / cap). cap: > 0.
void soft_cap(float cap, float* x, int64_t count, IsaLevel level = active_isa());

/// x[i] += y[i]; x, y: [count].
void add(float* x, const float* y, int64_t count, IsaLevel level = active_isa());

/// The definitions, naively, in double. `up` null: plain.
void activation_reference(Activation f, float* gate, const float* up, int64_t count);

}  // namespace weft
#endif
