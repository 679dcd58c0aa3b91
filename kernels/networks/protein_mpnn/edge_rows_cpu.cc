// Compiled once per instruction set; see kernels/cpu/isa_bodies.h.
#include "kernels/networks/protein_mpnn/edge_rows_bodies.h"
#include "kernels/ops/activation/activation_functions.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

void gelu_of_sums(const float* x, int64_t x_stride, const float* shared, const float* const* first,
                  const float* const* second, int64_t rows, int64_t cols, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *in = x + r * x_stride, *a = first[r], *b = second[r];
    float* out = y + r * cols;
    for (int64_t c = 0; c < cols; c += kLanes) {
      F32 sum = load(in + c) + load(a + c) + load(b + c);
      if (shared != nullptr) sum += load(shared + c);
      store(out + c, Gelu::f(sum));
    }
  }
}

void sum_rows(const float* x, const float* weights, int64_t rows, int64_t cols, float* y) {
  for (int64_t c = 0; c < cols; c += kLanes) {
    F32 sums[2] = {};  // even and odd rows
    for (int64_t r = 0; r < rows; ++r) {
      const F32 row = load(x + r * cols + c);
      sums[r & 1] =
          weights == nullptr ? sums[r & 1] + row : multiply_add(broadcast(weights[r]), row, sums[r & 1]);
    }
    store(y + c, sums[0] + sums[1]);
  }
}

void radial(const float* distances, int64_t count, float* y) {
  constexpr float kWidth = (kRadialLast - kRadialFirst) / static_cast<float>(kRadialFunctions);
  float centres[kRadialFunctions];
  for (int64_t i = 0; i < kRadialFunctions; ++i)
    centres[i] = kRadialFirst + static_cast<float>(i) *
                                    ((kRadialLast - kRadialFirst) / static_cast<float>(kRadialFunctions - 1));
  const F32 scale = broadcast(1.0f / kWidth);
  for (int64_t i = 0; i < count; ++i) {
    const F32 distance = broadcast(distances[i]);
    for (int64_t c = 0; c < kRadialFunctions; c += kLanes) {
      const F32 z = (distance - load(centres + c)) * scale;
      store(y + i * kRadialFunctions + c, exponential_of_negative(-(z * z)));
    }
  }
}

void add_scaled(const float* x, float factor, const float* z, int64_t cols, float* y) {
  for (int64_t c = 0; c < cols; c += kLanes)
    store(y + c, multiply_add(broadcast(factor), load(z + c), load(x + c)));
}

}  // namespace

extern const EdgeRowBodies kEdgeRowBodies = {WEFT_ISA_NAME, gelu_of_sums, sum_rows, radial, add_scaled};

}  // namespace weft::WEFT_ISA_NAMESPACE
