/// How finished sums leave the tile that computed them. Part of dense_panel_cpu.cc and compiled with it.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_WAY_OUT_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_WAY_OUT_H

#include "kernels/ops/gemm/dense_products.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

/// Some neighbouring rows of a run, some neighbouring groups.
struct Block {
  int64_t run, row, n_rows;
  int64_t group, n_groups;
};

/// The way out of finished sums of N neighbouring groups, kWhole, or of one group of `n` columns. A row's columns leave together:
/// they share a cache line.
template <int N, bool kWhole, bool kResidual>
WEFT_LANE_FN void put_groups_out(const PanelTask& task, const Block& block, int64_t group, int n,
                                 const float* sums, int64_t stride) {
  const PanelOutput& o = task.output;
  static_assert(kWhole || N == 1);
  const int lanes = kWhole ? kLanes : n;
  const int64_t column = (block.group + group) * kLanes;
  F32x16 bias[N], more[N];
#pragma GCC unroll 4
  for (int g = 0; g < N; ++g) {
    const int64_t at = column + g * kLanes;
    bias[g] = o.bias == nullptr ? f32_zero() : load_elements(o.bias, PanelElement::kF32, at, lanes);
    more[g] = o.more_bias == nullptr ? f32_zero() : load_elements(o.more_bias, PanelElement::kF32, at, lanes);
  }
  int64_t at = o.run_offsets[block.run] + block.row * o.row_stride + column;
  int64_t residual_at = 0;
  if (kResidual) residual_at = o.residual_run_offsets[block.run] + block.row * o.residual_row_stride + column;
  const PanelElement type = o.type;
  for (int64_t r = 0; r < block.n_rows; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < N; ++g) {
      F32x16 v = add(add(f32_load(sums + r * stride + (group + g) * kLanes), bias[g]), more[g]);
      if (kResidual) v = add(v, load_elements(o.residual, o.residual_type, residual_at + g * kLanes, lanes));
      store_elements(o.out, type, at + g * kLanes, v, lanes);
    }
    at += o.row_stride;
    residual_at += o.residual_row_stride;
  }
}

/// The way out of finished sums, block.n_rows rows of block.n_groups groups, `stride` elements apart.
__attribute__((noinline)) void put_out(const PanelTask& task, const Block& block, const float* sums,
                                       int64_t stride) {
  const bool adds = task.output.residual != nullptr;
  for (int64_t group = 0; group < block.n_groups;) {
    const int64_t left = task.output.columns - (block.group + group) * kLanes;
    if (block.n_groups - group >= 2 && left >= 2 * kLanes) {
      if (adds) put_groups_out<2, true, true>(task, block, group, kLanes, sums, stride);
      else put_groups_out<2, true, false>(task, block, group, kLanes, sums, stride);
      group += 2;
    } else if (left >= kLanes) {
      if (adds) put_groups_out<1, true, true>(task, block, group, kLanes, sums, stride);
      else put_groups_out<1, true, false>(task, block, group, kLanes, sums, stride);
      group += 1;
    } else {
      if (adds) put_groups_out<1, false, true>(task, block, group, static_cast<int>(left), sums, stride);
      else put_groups_out<1, false, false>(task, block, group, static_cast<int>(left), sums, stride);
      group += 1;
    }
  }
}

}  // namespace
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
