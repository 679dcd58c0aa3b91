/// The inner product of bf16 by AMX: two by two tiles of sums. Part of dense_panel_cpu.cc and compiled with it, in bodies without
/// AMX over tiles that are arrays. README.md says what bounds it.
#ifndef WEFT_KERNELS_OPS_GEMM_DENSE_TILES_H
#define WEFT_KERNELS_OPS_GEMM_DENSE_TILES_H

#include "kernels/cpu/tiles.h"
#include "kernels/ops/gemm/dense_way_out.h"

namespace weft::WEFT_ISA_NAMESPACE {
namespace {

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
}  // namespace weft::WEFT_ISA_NAMESPACE
#endif
