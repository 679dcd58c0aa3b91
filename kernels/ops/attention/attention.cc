#include "kernels/ops/attention/attention.h"

#include <algorithm>

#include "kernels/ops/attention/attention_bodies.h"

namespace weft {

static_assert(kPageTokens == 32 && kMaxHeadDim == 256, "the bodies repeat them");

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

void attention_share(const AttentionShape& shape, const AttentionRow* rows, int64_t n_rows, uint32_t thread,
                     uint32_t n_threads, IsaLevel level) {
  const AttentionBodies& bodies = WEFT_ISA_BODY(kAttentionBodies, level);
  const int64_t block = kv_block_bytes(shape.format, shape.head_dim);
  const int64_t heads_per_group = shape.n_heads / shape.n_kv_heads;
  // Wide tiles share reading; narrower ones let every thread have its part where there are few rows.
  int64_t tile_width = kTileRows;
  const auto enough = [&] {
    const int64_t tiles_a_group = (heads_per_group + tile_width - 1) / tile_width;
    return n_rows * shape.n_kv_heads * tiles_a_group >= static_cast<int64_t>(n_threads);
  };
  while (tile_width > 1 && !enough()) tile_width /= 2;
  AttentionTile tile;
  tile.head_dim = shape.head_dim;
  tile.padded = padded_head_dim(shape.head_dim);
  tile.scale = shape.scale;
  tile.softcap = shape.softcap;
  int64_t item = 0;
  for (int64_t begin = 0, end; begin < n_rows; begin = end) {
    end = begin + 1;
    while (end < n_rows && rows[end].pages == rows[begin].pages) ++end;
    tile.pages = reinterpret_cast<char* const*>(rows[begin].pages);
    const int64_t pairs = (end - begin) * heads_per_group;
    for (int64_t g = 0; g < shape.n_kv_heads; ++g) {
      tile.key_offset = shape.layer_offset + g * 2 * block;
      tile.value_offset = tile.key_offset + block;
      for (int64_t pair = 0; pair < pairs; pair += tile_width) {
        if (item++ % n_threads != thread) continue;  // in turn: later rows see more tokens
        tile.n = static_cast<int>(std::min(tile_width, pairs - pair));
        for (int i = 0; i < tile.n; ++i) {
          const AttentionRow& row = rows[begin + (pair + i) / heads_per_group];
          const int64_t offset = (g * heads_per_group + (pair + i) % heads_per_group) * shape.head_dim;
          tile.q[i] = row.q + offset;
          tile.y[i] = row.y + offset;
          tile.last[i] = row.position;
          tile.first[i] = shape.window > 0 ? std::max<int64_t>(row.position - shape.window + 1, 0) : 0;
        }
        bodies.tile(static_cast<uint8_t>(shape.format), tile);
      }
    }
  }
}

}  // namespace weft
