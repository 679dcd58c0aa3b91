/// The bytes of packed dense weights: what packing writes and the kernels of ops/gemm and ops/convolution read. Private to
/// those two.
///
/// Outputs are taken 16 at a time (a group, one lane each; the last group is filled up with zeros). A group holds its
/// weights by ascending k, k rounded up to a multiple of 32 with zeros:
///   f32:  for each k, 16 values.                     [k][16]
///   f16:  the same.
///   bf16: for each pair of k, 16 pairs of values.    [k / 2][16][2]
/// which is what a fused multiply-add (of f16 after a conversion), a dot product of bf16 pairs and a bf16 tile of AMX take as they are.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_LAYOUT_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_LAYOUT_H

#include <stdint.h>

namespace weft::dense {

inline constexpr int kGroup = 16;
inline constexpr int kPadding = 32;  // k of a group is a multiple of it

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Where weight (lane, k) stands in its group, in elements.
constexpr int64_t plain_index(int lane, int64_t k) { return k * kGroup + lane; }
constexpr int64_t bf16_index(int lane, int64_t k) { return k / 2 * (2 * kGroup) + 2 * lane + k % 2; }

/// Outputs of a matrix with gates: so many groups of values, then as many of their gates, and so on; at the end fewer.
inline constexpr int kPairedGroups = 3;

// What one thread's scratch holds: a panel of activations, the sums of a block of outputs, and one row being prepared. A panel
// larger than the second-level cache is no slower (README.md) and lets weights be read less often.
inline constexpr int64_t kPanelBytes = 2 << 20;
inline constexpr int64_t kTilePanelBytes = 1 << 20;  // of AMX: the second-level cache must hold weights, too
inline constexpr int64_t kSumsBytes = 384 << 10;
inline constexpr int64_t kRowBytes = 64 << 10;
inline constexpr int64_t kScratchBytes = kPanelBytes + kSumsBytes + kRowBytes;

}  // namespace weft::dense
#endif
