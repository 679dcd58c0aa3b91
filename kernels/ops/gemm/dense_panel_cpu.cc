// The inner product of dense ops; compiled once per body. See README.md for what was measured.
//
// One order of operations an output, whatever the tile it is in: one sum over the taps in order and the k of each in order,
// from zero; then, with kContinue, that is added to what is there. Lanes are outputs, so no lane depends on its neighbours.

#include "kernels/ops/gemm/dense_panel.h"

#include "kernels/cpu/tiles.h"
#include "kernels/ops/gemm/dense_products.h"

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

/// Some neighbouring rows of a run, some neighbouring groups.
struct Block {
  int64_t run, row, n_rows;
  int64_t group, n_groups;
};

/// One group's 16 columns of a block on their way out, or the `n` of them that exist.
template <typename Rows>
WEFT_LANE_FN void put_group_out(const PanelTask& task, const Block& block, int64_t group, int n,
                                const Rows& rows) {
  const PanelOutput& o = task.output;
  const int64_t column = (block.group + group) * kLanes;
  const F32x16 bias = o.bias == nullptr ? f32_zero() : load_elements(o.bias, PanelElement::kF32, column, n);
  const F32x16 more =
      o.more_bias == nullptr ? f32_zero() : load_elements(o.more_bias, PanelElement::kF32, column, n);
  int64_t at = o.run_offsets[block.run] + block.row * o.row_stride + column;
  int64_t residual_at = 0;
  if (o.residual != nullptr)
    residual_at = o.residual_run_offsets[block.run] + block.row * o.residual_row_stride + column;
  for (int64_t r = 0; r < block.n_rows; ++r) {
    F32x16 v = add(add(rows(r), bias), more);
    if (o.residual != nullptr) {
      v = add(v, load_elements(o.residual, o.residual_type, residual_at, n));
      residual_at += o.residual_row_stride;
    }
    store_elements(o.out, o.type, at, v, n);
    at += o.row_stride;
  }
}

/// The way out of finished sums, block.n_rows rows of block.n_groups groups, `stride` elements apart.
__attribute__((noinline)) void put_out(const PanelTask& task, const Block& block, const float* sums,
                                       int64_t stride) {
  for (int64_t group = 0; group < block.n_groups; ++group) {
    const auto rows = [=](int64_t r) { return f32_load(sums + r * stride + group * kLanes); };
    const int64_t left = task.output.columns - (block.group + group) * kLanes;
    if (left >= kLanes) put_group_out(task, block, group, kLanes, rows);
    else put_group_out(task, block, group, static_cast<int>(left), rows);
  }
}

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

/// How many rows and groups two by two tiles of C have: 32 and 2, or what there is of them.
struct TileExtent {
  int rows[2] = {0, 0};  // of the upper and the lower tile; the lower one may have none
  int groups = 0;        // 1 or 2

  bool operator==(const TileExtent& other) const {
    return rows[0] == other.rows[0] && rows[1] == other.rows[1] && groups == other.groups;
  }
  /// Tiles 0 to 3: C; 4 and 5: rows of A; 6 and 7: groups of weights.
  TileShapes shapes() const {
    constexpr int kRowBytes = kMostTileRowBytes, kSteps = kMostTileRows;
    TileShapes shapes;
    for (int row = 0; row < 2; ++row) {
      if (rows[row] == 0) continue;
      shapes.set(4 + row, rows[row], kRowBytes);
      for (int g = 0; g < groups; ++g) shapes.set(2 * row + g, rows[row], kRowBytes);
    }
    for (int g = 0; g < groups; ++g) shapes.set(6 + g, kSteps, kRowBytes);
    return shapes;
  }
};

struct TileBlock {
  const uint8_t* a;
  const uint8_t* w;
  float* sums;
  TileExtent extent;
};

void multiply_tile_block(const PanelTask& task, const TileBlock& b, Tiles& tiles) {
  constexpr int kRowBytes = kMostTileRowBytes, kSteps = kMostTileRows;
  const bool lower = b.extent.rows[1] != 0, second = b.extent.groups == 2;
  const int64_t sums_bytes = task.sums_stride * 4;
  const int64_t lower_rows = b.extent.rows[0];
  float* lower_sums = b.sums + lower_rows * task.sums_stride;
  if (task.start == PanelStart::kZero) {
    tiles.zero<0>();
    if (second) tiles.zero<1>();
    if (lower) tiles.zero<2>();
    if (lower && second) tiles.zero<3>();
  } else {
    tiles.load<0>(b.sums, sums_bytes);
    if (second) tiles.load<1>(b.sums + kLanes, sums_bytes);
    if (lower) tiles.load<2>(lower_sums, sums_bytes);
    if (lower && second) tiles.load<3>(lower_sums + kLanes, sums_bytes);
  }
  for (int64_t t = 0; t < task.n_taps; ++t) {
    const uint8_t* a = b.a + task.tap_offsets[t];
    const uint8_t* w = b.w + t * task.tap_bytes;
    for (int64_t k = 0; k < task.k; k += dense::kPadding) {
      tiles.load<4>(a, task.row_stride);
      tiles.load<6>(w, kRowBytes);
      tiles.multiply_bf16<0, 4, 6>();
      if (second) {
        tiles.load<7>(w + task.group_bytes, kRowBytes);
        tiles.multiply_bf16<1, 4, 7>();
      }
      if (lower) {
        tiles.load<5>(a + lower_rows * task.row_stride, task.row_stride);
        tiles.multiply_bf16<2, 5, 6>();
        if (second) tiles.multiply_bf16<3, 5, 7>();
      }
      a += 2 * dense::kPadding;
      w += kSteps * kRowBytes;
    }
  }
  tiles.store<0>(b.sums, sums_bytes);
  if (second) tiles.store<1>(b.sums + kLanes, sums_bytes);
  if (lower) tiles.store<2>(lower_sums, sums_bytes);
  if (lower && second) tiles.store<3>(lower_sums + kLanes, sums_bytes);
}

void multiply_bf16_tiles(const PanelTask& task) {
  TileExtent extent;  // that the tiles have now
  Tiles tiles(extent.shapes());
  for (int64_t group = 0; group < task.n_groups; group += 2) {
    for (int64_t run = 0; run < task.n_runs; ++run) {
      for (int64_t row = 0; row < task.run_rows; row += 2 * kMostTileRows) {
        const int64_t rows = task.run_rows - row;
        TileBlock block;
        block.a = task.a + task.run_offsets[run] + row * task.row_stride;
        block.w = task.w + group * task.group_bytes;
        block.sums = task.sums + (run * task.run_rows + row) * task.sums_stride + group * kLanes;
        block.extent.rows[0] = static_cast<int>(rows < kMostTileRows ? rows : kMostTileRows);
        const int64_t rest = rows - block.extent.rows[0];
        block.extent.rows[1] = static_cast<int>(rest < kMostTileRows ? rest : kMostTileRows);
        block.extent.groups = task.n_groups - group < 2 ? 1 : 2;
        if (!(block.extent == extent)) {
          extent = block.extent;
          tiles.reshape(extent.shapes());
        }
        multiply_tile_block(task, block, tiles);
        if (task.output.out != nullptr) {
          put_out(task, {run, row, extent.rows[0] + extent.rows[1], group, extent.groups}, block.sums,
                  task.sums_stride);
        }
      }
    }
  }
}

}  // namespace

extern const DensePanelBodies kDensePanelBodies = {WEFT_ISA_NAME,
#if defined(WEFT_ISA_AMX)
                                                   PanelElement::kBF16, multiply<ProductInF32<WeightsF32>>,
                                                   multiply_bf16_tiles, multiply<ProductInF32<WeightsF16>>,
                                                   multiply_bf16_tiles
#elif defined(WEFT_ISA_AVX512BF16)
                                                   PanelElement::kBF16,   multiply<ProductInF32<WeightsF32>>,
                                                   multiply<ProductBF16>, multiply<ProductInF32<WeightsF16>>,
                                                   multiply_bf16_tiles
#else
                                                   PanelElement::kF32,
                                                   multiply<ProductInF32<WeightsF32>>,
                                                   multiply<ProductSplitBF16>,
                                                   multiply<ProductInF32<WeightsF16>>,
                                                   multiply_bf16_tiles
#endif
};

}  // namespace weft::WEFT_ISA_NAMESPACE
