// Products with F32, F16 and BF16 weights, in f32; compiled once per body.
//
// One order of operations per output, whatever the number of rows at once: four sums, of the k with k mod 4 =
// 0, 1, 2, 3, each in ascending k, then (sum0 + sum1) + (sum2 + sum3). Four, because one would wait for its
// own last addition.

#include "kernels/cpu/lanes.h"
#include "kernels/ops/matmul/matmul_bodies.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

constexpr int kSums = 4;

template <WeightFormat kFormat>
WEFT_LANE_FN F32x16 load_weights(const uint8_t* group, int64_t k) {
  if constexpr (kFormat == WeightFormat::kF32) return f32_load((const float*)group + k * kLanes);
  else if constexpr (kFormat == WeightFormat::kF16) return f32_from_f16((const uint16_t*)group + k * kLanes);
  else return f32_from_bf16((const uint16_t*)group + k * kLanes);
}

template <WeightFormat kFormat, int kRows>
void multiply_rows(const GroupTask& task, int64_t row) {
  const float* x = task.x + row * task.x_stride;
  F32x16 sum[kRows][kSums];
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kSums; ++j) sum[r][j] = f32_zero();
  }
  int64_t k = 0;
  for (; k + kSums <= task.k; k += kSums) {
#pragma GCC unroll 4
    for (int j = 0; j < kSums; ++j) {
      const F32x16 w = load_weights<kFormat>(task.group, k + j);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) sum[r][j] = fma(w, f32_set1(x[r * task.x_stride + k + j]), sum[r][j]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kSums - 1; ++j) {
    if (k + j >= task.k) break;
    const F32x16 w = load_weights<kFormat>(task.group, k + j);
    for (int r = 0; r < kRows; ++r) sum[r][j] = fma(w, f32_set1(x[r * task.x_stride + k + j]), sum[r][j]);
  }
  for (int r = 0; r < kRows; ++r) {
    const F32x16 total = add(add(sum[r][0], sum[r][1]), add(sum[r][2], sum[r][3]));
    f32_store_n(task.y + (row + r) * task.y_stride, task.lanes, total);
  }
}

#if defined(WEFT_ISA_AVX512)
constexpr int kRowTile = 6;  // 24 sums
#else
constexpr int kRowTile = 1;
#endif

template <WeightFormat kFormat>
void multiply_format(const GroupTask& task) {
  int64_t row = 0;
  for (; row + kRowTile <= task.n_rows; row += kRowTile) multiply_rows<kFormat, kRowTile>(task, row);
  if constexpr (kRowTile > 2) {
    for (; row + 2 <= task.n_rows; row += 2) multiply_rows<kFormat, 2>(task, row);
  }
  for (; row < task.n_rows; ++row) multiply_rows<kFormat, 1>(task, row);
}

void multiply_group(const GroupTask& task) {
  switch (task.format) {
    case WeightFormat::kF32: return multiply_format<WeightFormat::kF32>(task);
    case WeightFormat::kF16: return multiply_format<WeightFormat::kF16>(task);
    case WeightFormat::kBF16: return multiply_format<WeightFormat::kBF16>(task);
    default: __builtin_unreachable();  // matmul.cc sends the other formats elsewhere
  }
}

}  // namespace

extern const FloatMatmulBodies kFloatMatmulBodies = {multiply_group};

}  // namespace weft::WEFT_ISA_NAMESPACE
