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

/// The way out of finished sums of N neighbouring groups, whose last has `n` columns. A row's columns leave together: they share
/// a cache line.
template <int N, bool kWhole, bool kResidual>
WEFT_LANE_FN void put_groups_out(const PanelTask& task, const Block& block, int64_t group, int n,
                                 const float* sums, int64_t stride) {
  const PanelOutput& o = task.output;
  const int64_t column = (block.group + group) * kLanes;
  F32x16 bias[N], more[N];
#pragma GCC unroll 4
  for (int g = 0; g < N; ++g) {
    const int lanes = kWhole || g + 1 < N ? kLanes : n;
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
      const int lanes = kWhole || g + 1 < N ? kLanes : n;
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

/// Rows of a panel that one tile holds: neighbours in a run, up to 16.
struct TileRows {
  int64_t run, row;
  int n;
};

/// A panel's rows in tiles: the whole ones of all runs first, so that shapes change seldom.
class RowTiles {
 public:
  explicit RowTiles(const PanelTask& task)
      : whole_(task.run_rows / kMostTileRows),
        rest_(static_cast<int>(task.run_rows % kMostTileRows)),
        n_whole_(task.n_runs * whole_),
        count_(n_whole_ + (rest_ == 0 ? 0 : task.n_runs)) {}
  int64_t count() const { return count_; }
  TileRows operator[](int64_t i) const {
    if (i < n_whole_) return {i / whole_, i % whole_ * kMostTileRows, kMostTileRows};
    return {i - n_whole_, whole_ * kMostTileRows, rest_};
  }

 private:
  int64_t whole_;  // tiles of a run
  int rest_;       // rows of its last one, if that is not whole
  int64_t n_whole_, count_;
};

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

/// Weights of a strip that stay in the first-level cache while all rows pass: of some taps, some steps of 32 values of k.
struct TileChunk {
  int64_t first_tap, n_taps, first_step, n_steps;
};
constexpr int64_t kMostChunkSteps = 16;

/// Two by two tiles of C, or what there is of them.
struct TileBlock {
  const uint8_t* a[2];  // the upper and the lower tile's rows, the first tap of the task
  const uint8_t* w;     // the strip's weights
  float* sums[2];
  int64_t sums_bytes;  // from one row of sums to the next
  bool continues;      // sums hold what to add to
  // Lines of weights, of the 32 that a step reads, that it asks for in the next strip, `ahead` bytes further on.
  int64_t first_ahead, last_ahead, ahead;
};

template <bool kLower, bool kSecond>
void multiply_tile_block(const PanelTask& task, const TileChunk& chunk, const TileBlock& b, Tiles& tiles) {
  constexpr int kRowBytes = kMostTileRowBytes, kStepBytes = kMostTileRows * kMostTileRowBytes, kLine = 64;
  if (!b.continues) {
    tiles.zero<0>();
    if constexpr (kSecond) tiles.zero<1>();
    if constexpr (kLower) tiles.zero<2>();
    if constexpr (kLower && kSecond) tiles.zero<3>();
  } else {
    tiles.load<0>(b.sums[0], b.sums_bytes);
    if constexpr (kSecond) tiles.load<1>(b.sums[0] + kLanes, b.sums_bytes);
    if constexpr (kLower) tiles.load<2>(b.sums[1], b.sums_bytes);
    if constexpr (kLower && kSecond) tiles.load<3>(b.sums[1] + kLanes, b.sums_bytes);
  }
  for (int64_t t = chunk.first_tap; t < chunk.first_tap + chunk.n_taps; ++t) {
    const int64_t offset = task.tap_offsets[t] + chunk.first_step * kRowBytes;
    const uint8_t *upper = b.a[0] + offset, *lower = kLower ? b.a[1] + offset : nullptr;
    const uint8_t* w = b.w + t * task.tap_bytes + chunk.first_step * kStepBytes;
    for (int64_t step = 0; step < chunk.n_steps; ++step) {
      tiles.load_once<4>(upper, task.row_stride);
      tiles.load<6>(w, kRowBytes);
      tiles.multiply_bf16<0, 4, 6>();
      if constexpr (kSecond) {
        tiles.load<7>(w + task.group_bytes, kRowBytes);
        tiles.multiply_bf16<1, 4, 7>();
      }
      if constexpr (kLower) {
        tiles.load_once<5>(lower, task.row_stride);
        tiles.multiply_bf16<2, 5, 6>();
        if constexpr (kSecond) tiles.multiply_bf16<3, 5, 7>();
      }
      for (int64_t line = b.first_ahead; line < b.last_ahead; ++line)
        prefetch_l2(w + b.ahead + (line & 15) * kLine + (line >> 4) * task.group_bytes);
      upper += kRowBytes;
      if constexpr (kLower) lower += kRowBytes;
      w += kStepBytes;
    }
  }
  tiles.store<0>(b.sums[0], b.sums_bytes);
  if constexpr (kSecond) tiles.store<1>(b.sums[0] + kLanes, b.sums_bytes);
  if constexpr (kLower) tiles.store<2>(b.sums[1], b.sums_bytes);
  if constexpr (kLower && kSecond) tiles.store<3>(b.sums[1] + kLanes, b.sums_bytes);
}

void multiply_tiles(const PanelTask& task, const TileChunk& chunk, const TileExtent& extent,
                    const TileBlock& b, Tiles& tiles) {
  const bool lower = extent.rows[1] != 0, second = extent.groups == 2;
  if (lower && second) multiply_tile_block<true, true>(task, chunk, b, tiles);
  else if (lower) multiply_tile_block<true, false>(task, chunk, b, tiles);
  else if (second) multiply_tile_block<false, true>(task, chunk, b, tiles);
  else multiply_tile_block<false, false>(task, chunk, b, tiles);
}

/// One chunk's place among those of a task.
struct ChunkPlace {
  bool is_first, is_last;
  int64_t next;  // bytes from its weights to those of the next chunk, of the same group
};

/// All rows times one chunk of a strip of one or two groups, and what comes after the last chunk.
void multiply_tile_strip(const PanelTask& task, const RowTiles& tiles_of_rows, const TileChunk& chunk,
                         const ChunkPlace& place, int64_t group, TileExtent& extent, Tiles& tiles) {
  TileBlock b = {};
  b.w = task.w + group * task.group_bytes;
  b.continues = !place.is_first || task.start == PanelStart::kContinue;
  // Sums that nobody reads later stand close together, a strip's after another's.
  const bool own_sums = task.output.out != nullptr && task.start == PanelStart::kZero;
  const int groups = task.n_groups - group < 2 ? 1 : 2;
  const int64_t stride = own_sums ? groups * kLanes : task.sums_stride;
  float* const sums = task.sums + group * kLanes * (own_sums ? task.n_runs * task.run_rows : 1);
  b.sums_bytes = stride * 4;
  if (group + groups < task.n_groups) b.ahead = groups * task.group_bytes;
  else if (!place.is_last) b.ahead = place.next - group * task.group_bytes;
  else if (task.next_w != nullptr) b.ahead = task.next_w - b.w;
  constexpr int64_t kLines = 2 * kMostTileRows, kMostLines = 4;
  const int64_t n_pairs = (tiles_of_rows.count() + 1) / 2;
  const int64_t share = (kLines + n_pairs - 1) / n_pairs, lines = share < kMostLines ? share : kMostLines;
  for (int64_t i = 0; i < tiles_of_rows.count(); i += 2) {
    TileExtent wanted;
    wanted.groups = groups;
    TileRows rows[2];
    for (int64_t half = 0; half < 2 && i + half < tiles_of_rows.count(); ++half) {
      rows[half] = tiles_of_rows[i + half];
      wanted.rows[half] = rows[half].n;
      b.a[half] = task.a + task.run_offsets[rows[half].run] + rows[half].row * task.row_stride;
      b.sums[half] = sums + (rows[half].run * task.run_rows + rows[half].row) * stride;
    }
    if (!(wanted == extent)) {
      extent = wanted;
      tiles.reshape(extent.shapes());
    }
    b.first_ahead = i / 2 * lines;
    b.last_ahead = b.first_ahead + lines < kLines ? b.first_ahead + lines : kLines;
    if (b.ahead == 0) b.last_ahead = 0;
    multiply_tiles(task, chunk, extent, b, tiles);
    if (!place.is_last || task.output.out == nullptr) continue;
    for (int half = 0; half < 2 && extent.rows[half] != 0; ++half)
      put_out(task, {rows[half].run, rows[half].row, rows[half].n, group, groups}, b.sums[half], stride);
  }
}

void multiply_bf16_tiles(const PanelTask& task) {
  constexpr int64_t kStepBytes = kMostTileRows * kMostTileRowBytes;
  const RowTiles tiles_of_rows(task);
  TileExtent extent;  // that the tiles have now
  Tiles tiles(extent.shapes());
  const int64_t steps = (task.k + dense::kPadding - 1) / dense::kPadding;
  // Chunks are as equal as they can be: of several taps, or of a part of one.
  const int64_t parts = (steps + kMostChunkSteps - 1) / kMostChunkSteps;
  const int64_t part_steps = (steps + parts - 1) / parts;
  const int64_t fit = kMostChunkSteps / steps < 1 ? 1 : kMostChunkSteps / steps;
  const int64_t tap_chunks = (task.n_taps + fit - 1) / fit,
                taps = (task.n_taps + tap_chunks - 1) / tap_chunks;
  for (int64_t tap = 0; tap < task.n_taps; tap += taps) {
    for (int64_t step = 0; step < steps; step += part_steps) {
      TileChunk chunk = {tap, taps, step, part_steps};
      if (tap + taps > task.n_taps) chunk.n_taps = task.n_taps - tap;
      if (step + part_steps > steps) chunk.n_steps = steps - step;
      const bool ends_tap = step + part_steps >= steps;
      ChunkPlace place = {tap == 0 && step == 0, ends_tap && tap + taps >= task.n_taps,
                          part_steps * kStepBytes};
      if (ends_tap) place.next = taps * task.tap_bytes - step * kStepBytes;
      for (int64_t group = 0; group < task.n_groups; group += 2)
        multiply_tile_strip(task, tiles_of_rows, chunk, place, group, extent, tiles);
    }
  }
}

}  // namespace

extern const DensePanelBodies kDensePanelBodies = {
    WEFT_ISA_NAME,
#if defined(WEFT_ISA_AMX)
    PanelElement::kBF16,
    true,
#elif defined(WEFT_ISA_AVX512BF16)
    PanelElement::kBF16,
    false,
#else
    PanelElement::kF32,
    false,
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
