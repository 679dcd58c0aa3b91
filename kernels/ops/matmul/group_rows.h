/// What the kernels of a group of 16 outputs share: where a step's bytes are, rows of y, how rows are taken at once. Part of
/// matmul_cpu.cc and matmul_tiles_cpu.cc, compiled once per body.
#ifndef WEFT_KERNELS_OPS_MATMUL_GROUP_ROWS_H
#define WEFT_KERNELS_OPS_MATMUL_GROUP_ROWS_H

#include "kernels/ops/matmul/matmul_bodies.h"
#include "kernels/ops/matmul/unpack_step.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

/// A number of rows as a type.
template <int kRows>
struct Rows {
  static constexpr int kCount = kRows;
};

/// A format as a type.
template <WeightFormat kOfWeights>
struct Format {
  static constexpr WeightFormat kFormat = kOfWeights;
};

/// Calls multiply(Format<format>()).
template <typename Multiply>
void with_format(WeightFormat format, const Multiply& multiply) {
  using enum WeightFormat;
  switch (format) {
    case kQ4_0: return multiply(Format<kQ4_0>());
    case kQ4_1: return multiply(Format<kQ4_1>());
    case kQ5_0: return multiply(Format<kQ5_0>());
    case kQ5_1: return multiply(Format<kQ5_1>());
    case kQ8_0: return multiply(Format<kQ8_0>());
    case kQ2_K: return multiply(Format<kQ2_K>());
    case kQ3_K: return multiply(Format<kQ3_K>());
    case kQ4_K: return multiply(Format<kQ4_K>());
    case kQ5_K: return multiply(Format<kQ5_K>());
    case kQ6_K: return multiply(Format<kQ6_K>());
    case kIQ4_XS: return multiply(Format<kIQ4_XS>());
    case kIQ4_NL: return multiply(Format<kIQ4_NL>());
    case kMXFP4: return multiply(Format<kMXFP4>());
    default: __builtin_unreachable();  // matmul.cc sends the float formats elsewhere and refuses the rest
  }
}

/// Where the parts of step s of a group are.
template <WeightFormat kFormat>
struct StepAddress {
  static constexpr QuantLayout kLayout = quant_layout(kFormat);
  const uint8_t* quants;
  const uint8_t* scales_section;

  StepAddress(const uint8_t* group, int64_t k)
      : quants(group), scales_section(group + k / kStep * kLayout.quant_bytes) {}

  __attribute__((always_inline)) void unpack(int64_t s, Step* step) const {
    const uint8_t* header = scales_section;
    const uint8_t* scales = scales_section + s * kLayout.scale_bytes;
    if constexpr (kLayout.header_bytes != 0) {
      const int64_t superblock = s / kStepsPerSuperblock;
      header += superblock * (kLayout.header_bytes + kStepsPerSuperblock * kLayout.scale_bytes);
      scales += (superblock + 1) * kLayout.header_bytes;
    }
    unpack_codes<kFormat>(quants + s * kLayout.quant_bytes, step->code);
    unpack_scales<kFormat>(header, scales, step->scale, step->offset);
  }
};

WEFT_LANE_FN void store_row(const GroupTask& task, int64_t row, F32x16 v) {
  float* y = task.y + row * task.y_stride;
  if (task.lanes == kLanes) f32_store(y, v);
  else f32_store_n(y, task.lanes, v);
}

WEFT_LANE_FN F32x16 load_row(const GroupTask& task, int64_t row) {
  const float* y = task.y + row * task.y_stride;
  return task.lanes == kLanes ? f32_load(y) : f32_load_n(y, task.lanes);
}

#if defined(WEFT_ISA_SCALAR)
constexpr int kRowTile = 1;
#else
// AVX-512: 8 sums, 8 partial sums, 8 codes and temporaries fill the 32 registers. AVX2 keeps some of them in memory, and is
// faster for it: more rows are more chains of dependent operations, and fewer loads of codes.
constexpr int kRowTile = 8;
#endif

// How far ahead of its use a packed byte is asked for. The hardware's prefetcher stops at every 4 KiB page and sees too
// little ahead through this much arithmetic: without this, half of the memory's bandwidth is lost.
constexpr int64_t kPrefetchBytes = 8192;

/// Calls multiply(rows, first_row) with rows = kRowTile as often as it fits into n_rows, then with smaller powers of two.
template <typename Multiply>
WEFT_LANE_FN void in_row_tiles(int64_t n_rows, const Multiply& multiply) {
  int64_t row = 0;
  for (; row + kRowTile <= n_rows; row += kRowTile) multiply(Rows<kRowTile>(), row);
  if constexpr (kRowTile > 4) {
    for (; row + 4 <= n_rows; row += 4) multiply(Rows<4>(), row);
  }
  if constexpr (kRowTile > 2) {
    for (; row + 2 <= n_rows; row += 2) multiply(Rows<2>(), row);
  }
  for (; row < n_rows; ++row) multiply(Rows<1>(), row);
}

// Many rows: some steps are unpacked into this panel, which then serves every row from the first-level cache.
// Between panels the sums wait in y; storing and loading an f32 changes no bits.
constexpr int kPanelSteps = 24;

template <WeightFormat kFormat>
__attribute__((noinline)) void unpack_panel(const GroupTask& task, int64_t first_step, int64_t n_steps,
                                            Step* panel) {
  const StepAddress<kFormat> weights(task.group, task.k);
  const int64_t bytes_per_step = group_bytes(kFormat, task.k) / (task.k / kStep);
  const uint8_t* ahead = task.group + first_step * bytes_per_step + kPrefetchBytes;
  for (int64_t s = 0; s < n_steps; ++s) {
    for (int64_t at = 0; at < bytes_per_step; at += kPlane) prefetch_l2(ahead + s * bytes_per_step + at);
    weights.unpack(first_step + s, &panel[s]);
  }
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
