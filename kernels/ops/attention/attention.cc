#include "kernels/ops/attention/attention.h"

#include <algorithm>

#include "kernels/ops/attention/attention_bodies.h"

namespace weft {

static_assert(kPageTokens == 32 && kMaxHeadDim == 256, "the bodies repeat them");

namespace {

/// Adjacent rows of one sequence, and their tiles: of each KV head in turn, the pairs of its query heads and the rows.
struct Run {
  int64_t begin = 0, end = 0;  // rows
  int64_t first_tile = 0, n_tiles = 0;
};

Run next_run(const AttentionShape& shape, const AttentionRow* rows, int64_t n_rows, int64_t width,
             const Run& run) {
  Run next;
  next.begin = run.end;
  next.end = next.begin + 1;
  while (next.end < n_rows && rows[next.end].pages == rows[next.begin].pages) ++next.end;
  const int64_t pairs = (next.end - next.begin) * (shape.n_heads / shape.n_kv_heads);
  next.first_tile = run.first_tile + run.n_tiles;
  next.n_tiles = shape.n_kv_heads * ((pairs + width - 1) / width);
  return next;
}

int64_t count_tiles(const AttentionShape& shape, const AttentionRow* rows, int64_t n_rows, int64_t width) {
  Run run;
  while (run.end < n_rows) run = next_run(shape, rows, n_rows, width, run);
  return run.first_tile + run.n_tiles;
}

/// Wide tiles share reading; narrower ones let every thread have its part where there are few rows. What a tile keeps and reads
/// stays in the second-level cache.
int64_t tile_width(const AttentionShape& shape, int64_t n_rows, uint32_t n_threads) {
  constexpr int64_t kTileBytes = 16 << 10;
  const int64_t heads_per_group = shape.n_heads / shape.n_kv_heads;
  int64_t width = std::clamp<int64_t>(kTileBytes / (4 * padded_head_dim(shape.head_dim)), 4, kTilePairs);
  const auto tiles = [&] { return n_rows * heads_per_group / width * shape.n_kv_heads; };
  while (width > 4 && tiles() < 8 * int64_t{n_threads}) width /= 2;
  while (width > 1 &&
         n_rows * shape.n_kv_heads * ((heads_per_group + width - 1) / width) < int64_t{n_threads})
    width /= 2;
  return width;
}

}  // namespace

const char* to_string(KvFormat format) {
  switch (format) {
    case KvFormat::kF32: return "f32";
    case KvFormat::kF16: return "f16";
    case KvFormat::kBF16: return "bf16";
    case KvFormat::kQ8_0: return "q8_0";
  }
  return "?";
}

void store_kv(const AttentionShape& shape, const float* k, const float* v, std::byte* const* pages,
              int64_t position, IsaLevel level) {
  const AttentionBodies& bodies = WEFT_ISA_BODY(kAttentionBodies, level);
  const int64_t block = kv_block_bytes(shape.format, shape.head_dim);
  char* at = reinterpret_cast<char*>(pages[position / kPageTokens]) + shape.layer_offset;
  for (int64_t g = 0; g < shape.n_kv_heads; ++g, at += 2 * block)
    bodies.store(static_cast<uint8_t>(shape.format), k + g * shape.head_dim, v + g * shape.head_dim, at,
                 at + block, position % kPageTokens, shape.head_dim, padded_head_dim(shape.head_dim));
}

void attention_share(const AttentionShape& shape, const AttentionRow* rows, int64_t n_rows, SharedWork& work,
                     uint32_t thread, uint32_t n_threads, IsaLevel level) {
  const AttentionBodies& bodies = WEFT_ISA_BODY(kAttentionBodies, level);
  const int64_t block = kv_block_bytes(shape.format, shape.head_dim);
  const int64_t heads_per_group = shape.n_heads / shape.n_kv_heads;
  const int64_t width = tile_width(shape, n_rows, n_threads);
  AttentionTile tile;
  tile.head_dim = shape.head_dim;
  tile.padded = padded_head_dim(shape.head_dim);
  tile.scale = shape.scale;
  tile.softcap = shape.softcap;
  const int64_t count = count_tiles(shape, rows, n_rows, width);
  Run run;
  for (int64_t begin, end; work.take(thread, n_threads, count, 1, &begin, &end);) {
    for (int64_t index = begin; index < end; ++index) {
      if (index < run.first_tile) run = {};
      while (run.end == 0 || index >= run.first_tile + run.n_tiles)
        run = next_run(shape, rows, n_rows, width, run);
      const int64_t tiles_a_group = run.n_tiles / shape.n_kv_heads;
      const int64_t g = (index - run.first_tile) / tiles_a_group;
      const int64_t pair = (index - run.first_tile) % tiles_a_group * width;
      tile.pages = reinterpret_cast<char* const*>(rows[run.begin].pages);
      tile.key_offset = shape.layer_offset + g * 2 * block;
      tile.value_offset = tile.key_offset + block;
      tile.n = static_cast<int>(std::min(width, (run.end - run.begin) * heads_per_group - pair));
      for (int i = 0; i < tile.n; ++i) {
        const AttentionRow& row = rows[run.begin + (pair + i) / heads_per_group];
        const int64_t head = g * heads_per_group + (pair + i) % heads_per_group;
        tile.q[i] = row.q + head * shape.head_dim;
        tile.y[i] = row.y + head * shape.head_dim;
        tile.bias[i] = row.bias == nullptr ? nullptr : row.bias + head * shape.bias_head_stride;
        tile.last[i] = row.last_seen();
        tile.first[i] = shape.window > 0 ? std::max<int64_t>(row.position - shape.window + 1, 0) : 0;
      }
      bodies.tile(static_cast<uint8_t>(shape.format), tile);
    }
  }
}

}  // namespace weft
