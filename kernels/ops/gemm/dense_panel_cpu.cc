// The inner product of dense ops; compiled once per body. See README.md for what was measured.
//
// One order of operations an output, whatever the tile it is in: one sum over the taps in order and the k of each in order,
// from zero; then, with kContinue, that is added to what is there. Lanes are outputs, so no lane depends on its neighbours.

#include "kernels/ops/gemm/dense_panel.h"

#include "kernels/ops/gemm/dense_products.h"
#include "kernels/ops/gemm/dense_tiles.h"
#include "kernels/ops/gemm/dense_way_out.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

static_assert(kLanes == dense::kGroup);

// Tiles of sums that fill the registers with independent chains, by their number of groups.
#if defined(WEFT_ISA_AVX512)
constexpr int kMostGroups = 3;
constexpr int kRows[kMostGroups + 1] = {0, 14, 12, 8};  // of 32 registers 14, 24, 24 hold sums
#elif defined(WEFT_ISA_AVX2)
constexpr int kMostGroups = 1;
constexpr int kRows[kMostGroups + 1] = {0, 6};  // of 16 registers 12 hold sums
#else
constexpr int kMostGroups = 1;
constexpr int kRows[kMostGroups + 1] = {0, 2};
#endif

// What tiles ask for while they compute. AVX2's tile reads a line of weights a step, so a strip's first tile would wait for what
// is not in a cache: the tiles before it ask for it. With AVX-512 that costs more than it brings, and the next rows are worth it.
#if defined(WEFT_ISA_AVX2)
constexpr bool kAsksForRows = false, kAsksForWeights = true;
#else
constexpr bool kAsksForRows = true, kAsksForWeights = false;
#endif
constexpr int64_t kMostAheadBytes = 20 << 10;
constexpr int64_t kStepsAtOnce = 16;

/// A tile's place among those of its strip, and the weights of the next strip.
struct TilePlace {
  int64_t tile, n_tiles;
  int64_t next_strip;  // bytes from this strip's weights; 0: there is none
};

/// R rows from `a` on times G groups from `w` on, to sums `stride` elements apart.
template <typename Product, int R, int G>
__attribute__((noinline)) void multiply_tile(const PanelTask& task, const TilePlace& place, const uint8_t* a,
                                             const uint8_t* w, float* sums, int64_t stride) {
  F32x16 sum[R][G];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) sum[r][g] = f32_zero();
  }
  const int64_t row_stride = task.row_stride, group_bytes = task.group_bytes;
  const int64_t steps = (task.k + Product::kStep - 1) / Product::kStep;
  // Short rows: the next tile's. Long ones would be gone from the first-level cache by then.
  const int64_t ahead =
      steps * Product::kStep * Product::kElementBytes * R <= kMostAheadBytes ? R * row_stride : 256;
  for (int64_t t = 0; t < task.n_taps; ++t) {
    const uint8_t* x = a + task.tap_offsets[t];
    const uint8_t* v = w + t * task.tap_bytes;
    for (int64_t s = 0; s < steps; s += kStepsAtOnce) {
      if constexpr (kAsksForRows) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) __builtin_prefetch(x + r * row_stride + ahead, 0, 3);
      }
      if constexpr (kAsksForWeights) {
        // Each tile has its lines of every few steps.
        constexpr int64_t kLine = 64, kLines = kStepsAtOnce * Product::kWeightBytes / kLine;
        if (place.next_strip != 0) {
          for (int64_t line = place.tile; line < kLines; line += place.n_tiles)
            prefetch_l2(v + place.next_strip + line * kLine);
        }
      }
      const int64_t n = steps - s < kStepsAtOnce ? steps - s : kStepsAtOnce;
      for (int64_t i = 0; i < n; ++i) {
        Product::template add_step<R, G>(x, row_stride, v, group_bytes, sum);
        x += Product::kStep * Product::kElementBytes;
        v += Product::kWeightBytes;
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      float* to = sums + r * stride + g * kLanes;
      f32_store(to, task.start == PanelStart::kZero ? sum[r][g] : add(f32_load(to), sum[r][g]));
    }
  }
}

/// multiply_tile with R = rows. Precondition: 1 <= rows <= R.
template <typename Product, int R, int G>
void multiply_rows(int64_t rows, const PanelTask& task, const TilePlace& place, const uint8_t* a,
                   const uint8_t* w, float* sums, int64_t stride) {
  if (rows == R) return multiply_tile<Product, R, G>(task, place, a, w, sums, stride);
  if constexpr (R > 1) multiply_rows<Product, R - 1, G>(rows, task, place, a, w, sums, stride);
}

/// All rows times G groups from `group` on, in tiles of rows as equal as they can be: a remainder of its own would be slow.
template <typename Product, int G>
void multiply_strip(const PanelTask& task, int64_t group) {
  const int64_t n_tiles = (task.run_rows + kRows[G] - 1) / kRows[G];
  const uint8_t* w = task.w + group * task.group_bytes;
  TilePlace place = {0, n_tiles * task.n_runs, 0};
  if (group + G < task.n_groups) place.next_strip = G * task.group_bytes;
  else if (task.next_w != nullptr) place.next_strip = task.next_w - w;
  const bool out = task.output.out != nullptr;
  float tile_sums[kRows[G] * G * kLanes];  // of a tile that goes out at once
  for (int64_t run = 0; run < task.n_runs; ++run) {
    const uint8_t* a = task.a + task.run_offsets[run];
    Block block = {run, 0, 0, group, G};
    for (int64_t tile = 0; tile < n_tiles; ++tile, ++place.tile) {
      block.n_rows = task.run_rows / n_tiles + (tile < task.run_rows % n_tiles ? 1 : 0);
      float* sums = task.sums + (run * task.run_rows + block.row) * task.sums_stride + group * kLanes;
      int64_t stride = task.sums_stride;
      if (out && task.start == PanelStart::kZero) {
        sums = tile_sums;
        stride = G * kLanes;
      }
      multiply_rows<Product, kRows[G], G>(block.n_rows, task, place, a, w, sums, stride);
      if (out) put_out(task, block, sums, stride);
      a += block.n_rows * task.row_stride;
      block.row += block.n_rows;
    }
  }
}

template <typename Product>
void multiply(const PanelTask& task) {
  int64_t group = 0;
  if constexpr (kMostGroups == 3) {
    // Three groups at a time, but four as two and two: a strip of one group is slow.
    for (; task.n_groups - group >= 3 && task.n_groups - group != 4; group += 3)
      multiply_strip<Product, 3>(task, group);
    for (; task.n_groups - group >= 2; group += 2) multiply_strip<Product, 2>(task, group);
  }
  for (; group < task.n_groups; ++group) multiply_strip<Product, 1>(task, group);
}

}  // namespace

extern const DensePanelBodies kDensePanelBodies = {
    WEFT_ISA_NAME,
#if defined(WEFT_ISA_AVX512BF16)
    PanelElement::kBF16,
#else
    PanelElement::kF32,
#endif
    multiply<ProductInF32<WeightsF32>>,
#if defined(WEFT_ISA_AMX)
    multiply_bf16_tiles,
#elif defined(WEFT_ISA_AVX512BF16)
    multiply<ProductBF16>,
#else
    multiply<ProductSplitBF16>,
#endif
    multiply<ProductInF32<WeightsF16>>,
    multiply_bf16_tiles,
};

}  // namespace weft::WEFT_ISA_NAMESPACE
