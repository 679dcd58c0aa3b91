/// The bytes of a packed matrix: what pack_matrix() writes and the kernels read. Private to this folder.
///
/// Rows are taken 16 at a time (a group); the last group is filled up with zero rows. Lane l of a group is
/// row 16 g + l.
///
/// Float formats: for each k in order, 16 values (lane 0 to 15).
///
/// Quantised formats: a group is its quants section, then its scales section, then padding to 64 bytes. K is
/// walked in steps of 32. The quants section holds, a step, these planes of 64 bytes, in which byte 4 l + j
/// belongs to lane l, and the codes w[v] (v = 0..7), where byte 4 l + j is the code of k = 4 v + j:
///   nibbles:   4 planes; plane i: low nibble is w[i], high nibble w[i + 4]
///   pairs:     2 planes; plane i: bits 2 f, 2 f + 1 are w[4 i + f], f = 0..3
///   bits:      1 plane;  bit v is w[v]
///   bytes:     8 planes; plane v is w[v]
/// Codes of 3, 5 and 6 bits are the sum of two of these, the second one above the first.
/// The scales section holds, every 8 steps for the formats with superblocks, a header of f16[16] once or
/// twice (d, dmin), and in each step one of the StepScales.
#ifndef WEFT_KERNELS_OPS_MATMUL_PACKED_LAYOUT_H
#define WEFT_KERNELS_OPS_MATMUL_PACKED_LAYOUT_H

#include <stdint.h>

#include "kernels/quant/format.h"

namespace weft {

inline constexpr int kGroupRows = 16;
inline constexpr int kStep = 32;  // k values a step
inline constexpr int kStepsPerSuperblock = 8;
inline constexpr int kPlane = 64;  // bytes

struct QuantLayout {
  int quant_bytes;   // a step, of 16 rows
  int scale_bytes;   // a step, of 16 rows
  int header_bytes;  // a superblock, of 16 rows; 0: the format has none
};

/// scale_bytes, by format: Q4_0, Q5_0, Q8_0, IQ4_NL: f16 d[16].  Q4_1, Q5_1: f16 d[16], m[16].  MXFP4: u8
/// e[16]. Q4_K, Q5_K: u8 scale[16], min[16].  IQ4_XS: i8 scale[16].  Q2_K: u8 (scale | min << 4)[2][16], a
/// half step each. Q3_K, Q6_K: i8 scale[2][16].
constexpr QuantLayout quant_layout(WeightFormat format) {
  switch (format) {
    case WeightFormat::kQ4_0:
    case WeightFormat::kIQ4_NL: return {4 * kPlane, 32, 0};
    case WeightFormat::kQ4_1: return {4 * kPlane, 64, 0};
    case WeightFormat::kQ5_0: return {5 * kPlane, 32, 0};
    case WeightFormat::kQ5_1: return {5 * kPlane, 64, 0};
    case WeightFormat::kQ8_0: return {8 * kPlane, 32, 0};
    case WeightFormat::kMXFP4: return {4 * kPlane, 16, 0};
    case WeightFormat::kQ2_K: return {2 * kPlane, 32, 64};
    case WeightFormat::kQ3_K: return {3 * kPlane, 32, 32};
    case WeightFormat::kQ4_K: return {4 * kPlane, 32, 64};
    case WeightFormat::kQ5_K: return {5 * kPlane, 32, 64};
    case WeightFormat::kQ6_K: return {6 * kPlane, 32, 32};
    case WeightFormat::kIQ4_XS: return {4 * kPlane, 16, 32};
    default: return {0, 0, 0};
  }
}

constexpr bool is_float(WeightFormat format) {
  return format == WeightFormat::kF32 || format == WeightFormat::kF16 || format == WeightFormat::kBF16;
}

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr int64_t scales_section_bytes(WeightFormat format, int64_t k) {
  const QuantLayout layout = quant_layout(format);
  const int64_t steps = k / kStep;
  return steps * layout.scale_bytes + steps / kStepsPerSuperblock * layout.header_bytes;
}

/// Bytes of a group of 16 rows.
constexpr int64_t group_bytes(WeightFormat format, int64_t k) {
  if (is_float(format)) return round_up(k * kGroupRows * block_layout(format).bytes, kPlane);
  return round_up(k / kStep * quant_layout(format).quant_bytes + scales_section_bytes(format, k), kPlane);
}

// Activations are rounded in blocks of so many values: smaller blocks round less (README.md has what it costs).
inline constexpr int kRoundedBlock = 8;
inline constexpr int kBlocksPerStep = kStep / kRoundedBlock;

/// 32 values of one row of activations, rounded: x[k] ~ scale[k / 8] * value[k]. One cache line.
/// Each block: scale = largest magnitude / 127, value = x / scale rounded to nearest even.
struct alignas(64) RoundedStep {
  int8_t value[kStep];
  float scale[kBlocksPerStep];
  float sum[2];    // of each half: its blocks' scale * (sum of the values), added
  float sum_both;  // sum[0] + sum[1]
  float unused;
};
static_assert(sizeof(RoundedStep) == 64);

/// The same in the recipe of tiles: x[k] ~ scale * (256 * high[k] + low[k]), which is 16 bits. One scale, largest magnitude /
/// 32512: integer products of 32 values with codes of 8 bits stay below 2^29.
struct alignas(64) PlaneStep {
  int8_t high[kStep];  // -127 to 127
  int8_t low[kStep];
  float scale;
  float sum[2];    // of each half: scale * (sum of its rounded values)
  float sum_both;  // the same of all
  float unused[12];
};
static_assert(sizeof(PlaneStep) == 128);

}  // namespace weft
#endif
