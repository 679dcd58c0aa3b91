/// The bodies of edge_rows_cpu.cc, one per instruction set; private to this folder.
#ifndef WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_EDGE_ROWS_BODIES_H
#define WEFT_KERNELS_NETWORKS_PROTEIN_MPNN_EDGE_ROWS_BODIES_H

#include <stdint.h>

#include "kernels/cpu/isa_bodies.h"

namespace weft {

inline constexpr int64_t kRadialFunctions = 16;
inline constexpr float kRadialFirst = 2, kRadialLast = 22;  // angstrom

/// cols: a multiple of 16.
struct EdgeRowBodies {
  const char* name;
  /// y[r] = gelu(x[r] + shared + first[r] + second[r]), rows of cols; shared may be null. y may be x.
  void (*gelu_of_sums)(const float* x, int64_t x_stride, const float* shared, const float* const* first,
                       const float* const* second, int64_t rows, int64_t cols, float* y);
  /// y = the sum of weights[r] * x[r]; weights null: of x[r].
  void (*sum_rows)(const float* x, const float* weights, int64_t rows, int64_t cols, float* y);
  /// y[i] = exp(-((distances[i] - centre) / width)^2) at kRadialFunctions centres from kRadialFirst to kRadialLast.
  void (*radial)(const float* distances, int64_t count, float* y);
  /// y = x + factor * z
  void (*add_scaled)(const float* x, float factor, const float* z, int64_t cols, float* y);
};
WEFT_DECLARE_ISA_BODIES(EdgeRowBodies, kEdgeRowBodies)

}  // namespace weft
#endif
